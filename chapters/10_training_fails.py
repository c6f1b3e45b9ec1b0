# %% [markdown]
# # 10 · When training fails
#
# The loss is flat, or it is NaN, or it falls and stops too early. The usual
# advice fits on a card: He initialisation, no sigmoids, clip the gradients,
# smaller batches, Adam. Which of these cures what? On this page one small
# network is broken in many ways, and every remedy has to prove itself.
#
# **You will be able to**
#
# - read a loss against the mean image, and a network by its signal ratio and
#   its gradients;
# - tell a vanishing signal from a vanishing gradient, and cure both;
# - say what clipping can do, and what it cannot;
# - compare optimizers, schedules and batch sizes fairly;
# - recognise dead units, a code that is too small and images that are too few.
#
# **Cost:** about 120 s on 2 CPU cores, half of that on quiet ones.

# %%
# Set-up, the same in every chapter; on Colab it also fetches the library.
import importlib.util, subprocess, sys

if importlib.util.find_spec("ae_lib") is None:
    url = "git+https://github.com/convolutional-autoencoders/course"
    pip = "pip install -q --no-deps torchmetrics lightning-utilities".split()
    subprocess.run([sys.executable, "-m", *pip, url], check=True)
import torch

from ae_lib import claim, data, pick, plots

# %% [markdown]
# ## A small laboratory
#
# To break a network a hundred times, keep it small. The photographs are halved
# to 16×16, the mean image of the training set is subtracted, and one number
# scales all pixels. Then a loss of 1 *is* the mean image, and what a network
# explains of the variance is $R^2 = 1 - \text{loss}$.

# %%
import torch.nn.functional as F

images = data.load("cifar10", limit=1_280)
credit = images.source + ", 16×16"
halved = F.avg_pool2d(images.unit(), 2)  # (1280, 3, 16, 16)
x_train, x_val = halved[:1_024], halved[1_024:]
mean_image = x_train.mean(dim=0)
scale = (x_train - mean_image).square().mean().sqrt()
x_train, x_val = (x_train - mean_image) / scale, (x_val - mean_image) / scale

# %% [markdown]
# The network has eight layers with weights: three convolutions, the code, its
# way back, two more convolutions and the output. (The last two layers, in
# `out`, are a transposed convolution of 4×4, stride 4, written so that it is
# fast.) What follows the inner layers is the patient of this page: an
# activation, with or without batch normalisation before it.

# %%
from torch import nn


def network(act=nn.ReLU, norm=True, latent_dim=32, width=16, seed=0):
    torch.manual_seed(seed)

    def after():
        return [nn.BatchNorm2d(width)] * norm + [act()]

    def conv():
        return [nn.Conv2d(width, width, 3, padding=1), *after()]

    down = [nn.Conv2d(3, width, 4, stride=4), *after()]  # (B, 16, 4, 4)
    down += [*conv(), *conv(), nn.Flatten()]  # (B, 256)
    code = [nn.Linear(16 * width, latent_dim)]  # (B, 32)
    back = [nn.Linear(latent_dim, 16 * width)]  # (B, 256)
    up = [nn.Unflatten(1, (width, 4, 4)), *after(), *conv(), *conv()]
    out = [nn.Conv2d(width, 48, 1), nn.PixelShuffle(4)]  # (B, 3, 16, 16)
    return nn.Sequential(*down, *code, *back, *up, *out)


# %% [markdown]
# Training is a step, as in chapter 05, with a place for the two things we
# shall want to change: the limit of clipping and the schedule. It records the
# loss and the norm of the gradient. (`fused` lets Adam treat all weights in
# one call: the same numbers but for rounding, in a quarter of the time.)


# %%
def adam(lr):
    return lambda model: torch.optim.Adam(model.parameters(), lr, fused=True)


def step(model, optimizer, x, clip=float("inf")):
    loss = F.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item(), norm.item()


# %%
def draw(x, size, steps, seed):
    """Yield so many batches; each image comes once before any comes again."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for rows in torch.randperm(len(x), generator=generator).split(size):
            if steps == 0:
                return
            steps -= 1
            yield x[rows]


@torch.no_grad()
def r2(model, x=x_val):
    error = F.mse_loss(model.eval()(x), x)
    return (1 - error / x.square().mean()).item()


# %%
STEPS = 120


def train(
    model, optimizer, x=x_train, steps=STEPS, size=32, seed=0,
    clip=float("inf"), schedule=lambda progress: 1.0,
):  # fmt: skip
    """Train; return the losses, the norms of the gradient, and R²."""
    model.train()
    optimizer, record = optimizer(model), []
    peak = optimizer.param_groups[0]["lr"]
    for i, batch in enumerate(draw(x, size, steps, seed)):
        optimizer.param_groups[0]["lr"] = peak * schedule(i / steps)
        record.append(step(model, optimizer, batch, clip))
        if not torch.tensor(record[-1]).isfinite().all():
            break
    losses, norms = zip(*record)
    return {"loss": losses, "norm": norms, "r2": r2(model)}


# %% [markdown]
# First a healthy patient, and beside it the same one with a learning rate that
# is far too low. **Guess:** after 120 steps, how much of the variance does the
# healthy network explain, and how much does PCA with as many numbers?

# %%
from ae_lib.baselines import PCA

pca = PCA.fit(halved[:1_024], latent_dim=32)


def pca_r2(k):
    error = (pca.truncate(k)(halved[1_024:]) - halved[1_024:]) / scale
    return (1 - error.square().mean() / x_val.square().mean()).item()


def show(runs, lines=(2, 32)):
    """Draw losses, means of ten steps each, and what to compare them with."""
    values = {n: torch.tensor(r["loss"]).view(-1, 10) for n, r in runs.items()}
    values = {name: losses.mean(dim=1) for name, losses in values.items()}
    at = torch.arange(10, STEPS + 1, 10)
    figure = plots.line_with_spread(
        at, values, "step", "loss, mean image = 1", source=credit
    )
    levels = {"mean image": 1} | {f"PCA-{k}": 1 - pca_r2(k) for k in lines}
    for name, level in levels.items():
        figure.axes[0].axhline(level, color="0.35", linestyle=":")
        figure.axes[0].text(STEPS, level, name, ha="right", va="bottom")
    return figure


# %%
runs = {
    "healthy, 0.003": train(network(), adam(3e-3)),
    "rate 0.000001": train(network(), adam(1e-6)),
}

# %% [markdown]
# **Look for** the first step at which a line crosses the mean image.

# %%
show(runs)

# %% [markdown]
# The healthy one dives below the line of the mean image within the first
# dozens of steps and is on its way to PCA; it would need many more steps to
# come near 32 components. The other stays where it began, *above* the mean
# image: untrained answers are worse than a constant one.
#
# This library has a *doctor*: `doctor.examine` takes a model, the batches that
# its training consumes, and the optimizer, and runs such comparisons by
# itself: against baselines, on one batch, and in short trainings that differ
# in one factor, its arms. What it finds has a name (a code), a severity and a
# remedy. What does it say of the healthy network, before training?

# %%
from ae_lib import doctor


def ask(model, optimizer, x=x_train):
    order = torch.randperm(len(x), generator=torch.manual_seed(0))
    batches = x[order].split(32)
    return doctor.examine(model, batches, optimizer=optimizer(model))


def names(report, code):
    claim(f"the doctor names {code}", report.codes.count(code), ">", 0)


# %%
# NBVAL_CHECK_OUTPUT
report = ask(network(), adam(3e-3))
faults = [f for f in report.findings if f.severity != "info"]
claim("faults that the doctor finds in it", len(faults), "~", 0, tol=0)
healthy, slow = (run["r2"] for run in runs.values())
claim("healthy: over 40 % of the variance explained", healthy, ">", 0.4)
claim("with a rate far too low: nothing", slow, "<", 0.02)

# %% [markdown]
# ## Two instruments
#
# A loss says *that* something is wrong. Two numbers per layer say where. The
# **signal ratio** looks forward: how much of what a layer puts out differs
# from image to image? It is the deviation among images over the root mean
# square. At 1 all of it is signal; at 0.001 every image gets nearly the same
# answer.

# %%
HEAVY = (nn.Conv2d, nn.Linear)
LAYERS = range(1, 9)


def weighted(model):
    return [layer for layer in model if isinstance(layer, HEAVY)]


@torch.no_grad()
def signal(model, x=x_train[:128]):
    ratios = []
    for layer in model.train():
        x = layer(x)
        if isinstance(layer, HEAVY):
            rms = x.square().mean().sqrt()
            ratios.append((x.var(dim=0).mean().sqrt() / rms).item())
    return ratios


# %% [markdown]
# The **gradient** looks backward: how strongly does the loss pull at the
# weights of each layer? One batch, and the norm per layer.


# %%
def gradients(model, x=x_train[:128]):
    model.train().zero_grad()
    F.mse_loss(model(x), x).backward()
    return [layer.weight.grad.norm().item() for layer in weighted(model)]


# %% [markdown]
# Weights can be drawn anew by a scheme. Glorot's keeps the size of a signal
# through a linear layer, He's through a layer with ReLU. PyTorch's own default
# is neither: without batch normalisation, a ReLU network under it loses a
# factor of about $\sqrt 6$ of the *size* of its signal at every layer. (The
# ratio above does not see size.)


# %%
def redraw(model, scheme, gain=1.0):
    for layer in weighted(model):
        scheme(layer.weight)
        layer.weight.data *= gain
        nn.init.zeros_(layer.bias)
    return model


def glorot(model):
    return redraw(model, nn.init.xavier_normal_)


def he(model, gain=1.0):
    return redraw(model, nn.init.kaiming_normal_, gain)


# %% [markdown]
# ## Vanishing
#
# Seven versions of the same network: three activations, three ways to draw the
# weights, with batch normalisation and without. Sigmoid is on every list of
# forbidden activations, "because it saturates", and so is tanh.

# %%
SIGMOID, RELU, HE, NORM = "sigmoid", "ReLU", "ReLU, He", "ReLU, batch norm"
versions = {
    SIGMOID: lambda s: network(nn.Sigmoid, norm=False, seed=s),
    "sigmoid, Glorot": lambda s: glorot(network(nn.Sigmoid, False, seed=s)),
    "sigmoid, batch norm": lambda s: network(nn.Sigmoid, seed=s),
    "tanh, Glorot": lambda s: glorot(network(nn.Tanh, False, seed=s)),
    RELU: lambda s: network(norm=False, seed=s),
    HE: lambda s: he(network(norm=False, seed=s)),
    NORM: lambda s: network(seed=s),
}

# %% [markdown]
# **Predict** from the activation alone: in which versions do all images get
# the same code? The code is the fourth layer.

# %%
ratios = {name: signal(make(0)) for name, make in versions.items()}
plots.line_with_spread(
    LAYERS, ratios, "layer", "signal ratio", ylog=True, source=credit
)

# %% [markdown]
# Without batch normalisation, each sigmoid layer divides the signal by
# several: a sigmoid answers between 0 and 1, so its outputs share a mean of
# 0.5, and what differs among images is a ripple on top. Glorot's weights do
# not change that. Tanh, with its mean of zero, keeps everything.
#
# Now backward. **Which versions will stop training?**

# %%
pulls = {name: gradients(make(0)) for name, make in versions.items()}
plots.line_with_spread(
    LAYERS, pulls, "layer", "norm of the gradient", ylog=True, source=credit
)

# %% [markdown]
# Two lines rise by orders of magnitude from the first layer to the last: the
# sigmoids without batch normalisation. Plain ReLU with PyTorch's weights is
# low too: in the first layer hundreds of times below its twin with batch
# normalisation. But up to the code its *forward* signal is alive. So here are
# two troubles, and one can find out which matters. Train all seven with Adam,
# and with SGD, momentum 0.9.


# %%
def sgd(lr):
    return lambda model: torch.optim.SGD(model.parameters(), lr, momentum=0.9)


SEEDS = pick(quick=2, full=5)


def repeat(make, optimizer, seeds=SEEDS, **options):
    return [train(make(s), optimizer, seed=s, **options) for s in range(seeds)]


def score(runs):
    return [run["r2"] for run in runs]


# %%
with_adam = {v: repeat(make, adam(3e-3)) for v, make in versions.items()}
with_sgd = {v: repeat(make, sgd(0.1)) for v, make in versions.items()}
a = {version: score(runs) for version, runs in with_adam.items()}
s = {version: score(runs) for version, runs in with_sgd.items()}

# %% [markdown]
# R² on validation images, a dot per seed. **Commit yourself:** which of the
# seven fail with Adam?

# %%
plots.bars(a, "Adam 0.003: R²", source=credit)

# %% [markdown]
# The sigmoids without batch normalisation stay at the mean image for all of
# the 120 steps, or nearly. Plain ReLU, whose first layer gets a tiny gradient,
# trains well: Adam divides each gradient by its own size, so a small one is
# nearly as good as a large one, as long as it is far above Adam's $\epsilon$
# of $10^{-8}$. And He's weights, the cure on the card, do *harm*; we shall
# come back to that. **Predict** what SGD makes of the seven.

# %%
plots.bars(s, "SGD 0.1: R²", source=credit)

# %% [markdown]
# For SGD the size of the gradient counts, and at this rate plain ReLU stays at
# the mean image. Batch normalisation cures it, and the sigmoids too, under
# either optimizer. And forbidden tanh, drawn after Glorot, learns as well as
# ReLU with batch normalisation, or better.


# %%
# NBVAL_CHECK_OUTPUT
def mean(values):
    return sum(values) / len(values)


stuck = max(s[SIGMOID] + s["sigmoid, Glorot"])
better = min(a["sigmoid, batch norm"] + s["sigmoid, batch norm"])
behind = min(a["sigmoid, batch norm"]) - max(a[SIGMOID])
claim("SGD leaves the sigmoids at the mean image", stuck, "<", 0.1)
claim("Adam leaves them far behind batch norm", behind, ">", 0.1)
claim("batch normalisation cures both", better, ">", 0.2)
weak = pulls[NORM][0] / pulls[RELU][0]
claim("plain ReLU: a first gradient far weaker", weak, ">", 50, unit="times")
claim("and yet Adam trains it", min(a[RELU]), ">", 0.4)
claim("SGD does not", max(s[RELU]), "<", 0.1)
claim("with batch norm it does", min(s[NORM]), ">", 0.4)
tanh, sgd_tanh = (mean(r["tanh, Glorot"]) - mean(r[NORM]) for r in (a, s))
claim("tanh, Glorot, beats ReLU with batch norm: Adam", tanh, ">", 0.04)
claim("and with SGD it is no worse", sgd_tanh, ">", -0.03)

# %% [markdown]
# Was it saturation? A sigmoid is flat where its input is beyond ±5. **Guess**
# the share of such inputs in the network that stays at the mean image.

# %%
# NBVAL_CHECK_OUTPUT
x, flat = x_train[:128], []
for layer in versions[SIGMOID](0):
    if isinstance(layer, nn.Sigmoid):
        flat.append((x.abs() > 5).float().mean())
    x = layer(x).detach()
claim("share of saturated units in any layer", max(flat), "<", 0.01)

# %% [markdown]
# None, before training. So what holds this network up at the start is no
# plateau. An offset that all images share, and a slope of at most a quarter,
# fit what we measured. The doctor's name for it is *common mode*. Here it only
# informs: with this optimizer, a short training gets through all the same.

# %%
report = ask(versions[SIGMOID](0), adam(3e-3))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
names(report, "signal.common-mode")

# %% [markdown]
# ## A loud answer
#
# Why do He's weights harm? They keep the size of the signal all the way, to
# the output. So the first answer is nearly as large as an image and has
# nothing to do with it. **Predict** what happens if the output layer alone is
# drawn ten times smaller.


# %%
def quiet(model):
    weighted(model)[-1].weight.data *= 0.1
    return model


def sound(seed):
    return quiet(he(network(norm=False, seed=seed)))


quietly = {"Adam": repeat(sound, adam(3e-3)), "SGD": repeat(sound, sgd(0.1))}
shown = {"Adam, He": with_adam[HE][0], "SGD, He": with_sgd[HE][0]}
shown |= {f"{name}, quiet": runs[0] for name, runs in quietly.items()}
show(shown, lines=())

# %% [markdown]
# The loud networks begin *above* the mean image, come down to its line and
# stay there for long. What they learn first is to be silent. The quiet ones
# begin at the line; Adam leaves it at once, SGD some time later. One
# layer, one factor, and the textbook cure works, with SGD as well.

# %%
# NBVAL_CHECK_OUTPUT
first = min(run["loss"][0] for run in with_adam[HE])
lead = min(score(quietly["Adam"])) - max(a[HE])
claim("He's weights: a first answer worse than the mean", first, ">", 1.2)
claim(
    "and behind PyTorch's own, with Adam",
    mean(a[RELU]) - mean(a[HE]),
    ">",
    0.1,
)
claim("a quiet output: far ahead of a loud one", lead, ">", 0.1)
claim("and SGD learns as well", min(score(quietly["SGD"])), ">", 0.3)

# %% [markdown]
# ## Exploding
#
# Draw the weights of this sound network three times too large. Eight layers,
# $3^8 = 6561$. The usual advice: clip the gradient, to a norm of 1.
# **Predict** the R² with clipping: near 0.5, near 0, or far below?


# %%
def large(seed):
    return quiet(he(network(norm=False, seed=seed), gain=3.0))


burst = {
    "SGD": repeat(large, sgd(0.1)),
    "SGD, clipped": repeat(large, sgd(0.1), clip=1.0),
    "Adam, clipped": repeat(large, adam(3e-3), clip=1.0),
    "Adam, right weights": quietly["Adam"],
}
for name, runs in burst.items():
    for run in runs:
        losses = f"{run['loss'][0]:10.3g} … {run['loss'][-1]:8.3g}"
        print(f"{name:<20} {len(run['loss']):>3} steps {losses}")

# %%
# NBVAL_CHECK_OUTPUT
wild, *clipped, right = (score(runs) for runs in burst.values())
finite = [value for value in wild if value == value]  # NaN equals nothing
lead = min(right) - max(sum(clipped, []))
claim("unclipped, no run learns", max(finite, default=-1), "<", 0.1)
claim("clipped, all stay far behind right weights", lead, ">", 0.15)

# %% [markdown]
# Without clipping, infinity after a few steps. Clipping keeps the loss finite;
# most of these runs then give up their answers and say the mean image, and
# none comes near the network whose weights were right. To find the disease by
# hand, look at the size of the signal before any step. **Guess** its growth
# from layer to layer.

# %%
x, sizes = x_train[:128], []
for layer in large(0):
    x = layer(x).detach()
    if isinstance(layer, HEAVY):
        sizes.append(x.square().mean().sqrt().item())
print(*(f"{size:.3g}" for size in sizes))

# %%
# NBVAL_CHECK_OUTPUT
growth = (sizes[6] / sizes[0]) ** (1 / 6)
report = ask(large(0), sgd(0.1))
claim("growth from layer to layer", growth, "~", 3, tol=1, unit="times")
names(report, "step.too-large")

# %% [markdown]
# About threefold, until the quiet output. So infinity is the symptom, and
# weights that are too large the disease. The doctor, given the program with
# SGD, sees that no step of that size can be right.
#
# So what is clipping good for? For accidents. Let one image of the 1,024 be
# damaged: its pixels were never scaled and are 255 times too large. **Guess**
# what one image can do, with and without clipping.

# %%
damaged = x_train.clone()
damaged[100] *= 255
tanh = versions["tanh, Glorot"]
broken = score(repeat(tanh, sgd(0.1), x=damaged))
saved = score(repeat(tanh, sgd(0.1), x=damaged, clip=1.0))

# %%
# NBVAL_CHECK_OUTPUT
cost = mean(s["tanh, Glorot"]) - mean(broken)
claim("one damaged image spoils the run", cost, ">", 0.1)
claim("clipped, the run is sound", min(saved), ">", 0.45)

# %% [markdown]
# That is its use: it bounds what a rare batch can do. Mending the data would
# be better still.
#
# ## Too low, too high
#
# One dial, four decades. The network without batch normalisation, and with it:
# "batch normalisation allows higher learning rates", says the folklore.
# **Guess** how wide the range of good rates is for each.

# %%
FEW = pick(quick=1, full=3)  # seeds, where one run says enough
rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]
nets = {"without batch norm": sound, "with batch norm": versions[NORM]}
sweep = {
    name: [score(repeat(make, adam(lr), FEW)) for lr in rates]  # (5, FEW)
    for name, make in nets.items()
}
plots.line_with_spread(
    rates,
    {name: torch.tensor(rows).T for name, rows in sweep.items()},
    "Adam's learning rate",
    "R²",
    xlog=True,
    source=credit,
)

# %% [markdown]
# Too low and too high look different. Below the good range nothing has
# happened *yet*. Above it, without batch normalisation, the network falls back
# to the mean image; with it, it loses a part. Here the folklore is right.

# %%
# NBVAL_CHECK_OUTPUT
without, with_norm = sweep.values()
claim("at 0.1, batch norm still learns", min(with_norm[4]), ">", 0.2)
claim("without it, nothing is learned", max(without[4]), "<", 0.1)
started = max(without[0] + with_norm[0])
claim("at 0.00001 neither has begun", started, "<", 0.1)
best = min(max(mean(row) for row in rows) for rows in sweep.values())
claim("between them both learn", best, ">", 0.4)

# %% [markdown]
# By hand: watch how far a step moves the weights, relative to their size;
# about a thousandth is a common rule of thumb. The doctor goes further and
# tries: it fits sixteen images with your rate and with others.

# %%
low, high = ask(sound(0), adam(1e-6)), ask(sound(0), adam(0.3))
print(low.findings[0], high.findings[0], sep="\n\n")

# %%
# NBVAL_CHECK_OUTPUT
names(low, "step.too-small")
names(high, "step.too-large")

# %% [markdown]
# ## Three optimizers, fairly
#
# Adam, SGD with momentum, RMSprop. Compared at one common rate, 0.001, the
# contest is decided before it starts. So each gets its own rate, the best of a
# few by one seed, and is then judged by other seeds. **Put the three in
# order** for both contests.


# %%
def rmsprop(lr):
    return lambda model: torch.optim.RMSprop(model.parameters(), lr)


grids = {
    "Adam": (adam, [1e-3, 3e-3, 1e-2]),
    "SGD": (sgd, [1e-3, 1e-1, 3e-1, 1.0]),
    "RMSprop": (rmsprop, [3e-4, 1e-3, 3e-3]),
}
tuning = {
    name: {lr: train(network(), make(lr))["r2"] for lr in grid}
    for name, (make, grid) in grids.items()
}
best = {name: max(tried, key=tried.get) for name, tried in tuning.items()}

# %%
tuned, common = {}, {name: [tried[1e-3]] for name, tried in tuning.items()}
for name, (make, _) in grids.items():
    tuned[f"{name}, {best[name]:g}"] = [
        train(network(seed=seed), make(best[name]), seed=seed)["r2"]
        for seed in range(1, 1 + SEEDS)
    ]

# %% [markdown]
# Three bars for the common rate, one run each, and three for the tuned rates,
# on seeds that took no part in the tuning.

# %%
both = {f"{n}, 0.001 for all": v for n, v in common.items()} | tuned
plots.bars(both, "R²", source=credit)

# %% [markdown]
# At the common rate SGD looks hopeless. Each at its own rate, the three differ
# by a few hundredths.

# %%
# NBVAL_CHECK_OUTPUT
values = [mean(v) for v in tuned.values()]
behind = common["Adam"][0] - common["SGD"][0]
claim("at 0.001 for all, Adam is far ahead of SGD", behind, ">", 0.2)
apart = max(values) - min(values)
claim("each at its own rate, they are nearly level", apart, "<", 0.1)

# %% [markdown]
# That holds for a network with batch normalisation. The plain ReLU above was
# trained by Adam at its usual rate and not by SGD at one that suits the other
# networks: Adam's gift may be less a better end than that one rate suits more
# networks.
#
# ## A schedule
#
# Does a falling rate help? Try two peaks, 0.01 from the good range and 0.1
# from above it, and three shapes: constant, falling in a line to zero, and
# one-cycle (chapter 05).

# %%
from ae_lib.recipe import constant, one_cycle

shapes = {
    "constant": constant,
    "falling": lambda t: 1 - t,
    "one-cycle": one_cycle,
}
planned = {}
for peak in (0.01, 0.1):
    for name, shape in shapes.items():
        runs = repeat(versions[NORM], adam(peak), schedule=shape)
        planned[f"{peak}, {name}"] = score(runs)

# %% [markdown]
# **Predict:** in which of the two groups will the bars differ?

# %%
plots.bars(planned, "R²", source=credit)

# %% [markdown]
# At 0.01 the three are alike. At 0.1 one-cycle brings back most of what was
# lost. A line that starts at the peak does not; what sets the two apart is the
# slow beginning.

# %%
# NBVAL_CHECK_OUTPUT
scores = {name: mean(values) for name, values in planned.items()}
gain = max(scores["0.01, falling"], scores["0.01, one-cycle"])
gain -= scores["0.01, constant"]
repaired = scores["0.1, one-cycle"] - scores["0.1, constant"]
slow = scores["0.1, one-cycle"] - scores["0.1, falling"]
claim("in the good range a schedule adds little", gain, "<", 0.06)
claim("above it one-cycle repairs something", repaired, ">", 0.02)
claim("more than a falling line does", slow, ">", 0)

# %% [markdown]
# Over 120 steps one-cycle, with its slow beginning, repairs a rate that is too
# high, and no schedule adds much to one that is right. Long runs are another
# matter, not measured here.
#
# ## Batch size
#
# "The noise of small batches helps to escape." Two networks of above sit at
# the mean image under SGD, the sigmoids and the plain ReLU. Free them with
# batches of 8, and twice the steps? **Guess** which of the two escapes.

# %%
# NBVAL_CHECK_OUTPUT
freed = [
    repeat(versions[name], sgd(0.1), size=8, steps=240)
    for name in (SIGMOID, RELU)
]
claim("best R² with batches of 8", max(sum(map(score, freed), [])), "<", 0.1)

# %% [markdown]
# Neither, at this rate and in 240 steps. What noise did not do, batch
# normalisation did. What small batches do
# buy is steps. Two sizes, at equal steps and then at equal images. **Guess**
# the better size for each of the two.

# %%
equal = {}
for name in ("equal steps", "equal images"):
    for size in (8, 128):
        steps = 120 if name == "equal steps" else 2_560 // size
        runs = repeat(versions[NORM], adam(3e-3), FEW, size=size, steps=steps)
        equal[f"{name}, {size}"] = score(runs)
plots.bars(equal, "R²", source=credit)

# %% [markdown]
# At equal steps the larger batch wins: its gradient is cleaner, and it has
# seen sixteen times the images. At equal images the larger number of steps
# wins. Neither result needs an escape from anything.

# %%
# NBVAL_CHECK_OUTPUT
scores = {name: mean(values) for name, values in equal.items()}
clean = scores["equal steps, 128"] - scores["equal steps, 8"]
often = scores["equal images, 8"] - scores["equal images, 128"]
claim("equal steps: batches of 128 beat those of 8", clean, ">", 0.02)
claim("equal images: batches of 8 beat those of 128", often, ">", 0.1)

# %% [markdown]
# ## Too small, too large
#
# A network can be too small in its code or in its layers, or too large for its
# images. **Predict** for codes of 1, 2, 8 and 32 numbers how far the network
# stays behind PCA with as many.

# %%
codes = [1, 2, 8, 32]
curves = {
    "network": [train(network(latent_dim=k), adam(1e-2))["r2"] for k in codes],
    "PCA": [pca_r2(k) for k in codes],
}
plots.line_with_spread(
    codes, curves, "numbers in the code", "R²", xlog=True, source=credit
)

# %% [markdown]
# With one or two numbers the network is near the line of PCA: the code is what
# limits it. With 32 it is far below the line: now
# the code is not the trouble, the training is. That is how to tell the two
# apart, and how the doctor does.

# %%
report = ask(network(latent_dim=1), adam(1e-2))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
names(report, "code.too-small")
ones, gap = curves["network"], curves["PCA"][3] - curves["network"][3]
near = ones[0] - curves["PCA"][0]
claim("one number: as good as PCA-1", near, "~", 0, tol=0.1)
claim("32 numbers cure it", ones[3] - ones[0], ">", 0.15)
claim("and leave PCA-32 far ahead, in so few steps", gap, ">", 0.1)

# %% [markdown]
# Now the layers. Widths of 2, 16 and 32 channels. **Guess:** is the widest
# harder to train, as they say?


# %%
def channels(width):
    return lambda s: network(width=width, seed=s)


wide = {
    f"{width} channels": score(repeat(channels(width), adam(1e-2), FEW))
    for width in (2, 16, 32)
}
plots.bars(wide, "R²", source=credit)

# %% [markdown]
# Two channels are too few. Beyond 16 more channels bring nothing in 120 steps,
# and do no harm either. *Too large* is a matter of the images. Train width 16
# on 64 images, and on all 1,024, for as many steps. **Predict** the four
# curves.

# %%
histories = {}
for count in (64, 1_024):
    model, x = network(), x_train[:count]
    history = histories[f"{count:,} images"] = {
        "train_loss": [],
        "val_loss": [],
    }
    for part in range(8):
        train(model, adam(1e-2), x=x, steps=40, seed=part)
        history["train_loss"].append(1 - r2(model, x))
        history["val_loss"].append(1 - r2(model))
baselines = {"mean image": 1}
figure = plots.curves(
    histories, baselines=baselines, ylabel="1 − R²", source=credit
)
figure.axes[0].set_xlabel("40 steps each")
figure

# %% [markdown]
# On 64 images training falls without end, while validation turns and rises. On
# all of them the two curves stay together. A network of this width is too
# large for 64 images, and not for 1,024.

# %%
# NBVAL_CHECK_OUTPUT
two, sixteen, many = (mean(values) for values in wide.values())
few, enough = histories.values()
claim("two channels are too few", sixteen - two, ">", 0.05)
claim("32 are as good as 16", many - sixteen, "~", 0, tol=0.08)
overfit = few["val_loss"][-1] / few["train_loss"][-1]
claim("on 64 images validation is far above training", overfit, ">", 2)
together = enough["val_loss"][-1] / enough["train_loss"][-1]
claim("on all images it is not", together, "<", 1.5)
more = few["val_loss"][-1] - enough["val_loss"][-1]
claim("more images cure it", more, ">", 0.05)

# %% [markdown]
# ## Dead units
#
# A ReLU whose input is negative for every image answers zero, and its gradient
# is zero as well. Steps that are much too large can do it: at a rate of 0.1,
# above, the network without batch normalisation fell back to the mean image.
# **Guess** the share of its units that are dead by then, and at 0.003.


# %%
@torch.no_grad()
def dead(model, x=x_val):
    """Return the share of units that are zero for every image."""
    silent = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, (nn.ReLU, nn.Sigmoid)):
            silent.append((x.transpose(0, 1).flatten(1) <= 0).all(dim=1))
    return torch.cat(silent).float().mean().item()


shares = {}
for lr in (0.003, 0.1):
    model = sound(0)
    train(model, adam(lr))
    shares[lr] = dead(model)
    print(f"rate {lr}: {shares[lr]:.0%} of the units are dead")

# %%
# NBVAL_CHECK_OUTPUT
claim("a rate too high kills many units", shares[0.1], ">", 0.3)
claim("a good one hardly any", shares[0.003], "<", 0.1)

# %% [markdown]
# To try the cures, make the damage alike for all: every convolution but the
# last gets a bias of −2. Four networks in that state, trained with Adam at
# 0.003. **Predict** which of them recover.


# %%
def push(model, bias=-2.0):
    for layer in weighted(model)[:-1]:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, bias)
    return model


def pushed(act=nn.ReLU, norm=False):
    return lambda s: push(quiet(he(network(act, norm, seed=s))))


woken = {
    "ReLU": pushed(),
    "leaky ReLU": pushed(lambda: nn.LeakyReLU(0.1)),
    "PReLU": pushed(nn.PReLU),
    "ReLU, batch norm": pushed(norm=True),
}
woken = {name: score(repeat(m, adam(3e-3))) for name, m in woken.items()}
plots.bars(woken, "R²", source=credit)

# %% [markdown]
# ReLU stays at the mean image: with whole layers dead, no gradient passes.
# Leaky ReLU wakes up, and so does PReLU, which starts at a steeper slope and
# lets each layer learn it. Batch normalisation never notices: it subtracts the
# bias again.

# %%
# NBVAL_CHECK_OUTPUT
lost, leaky, prelu, normed = woken.values()
claim("dead ReLUs stay dead", max(lost), "<", 0.05)
claim("leaky ReLU recovers", min(leaky), ">", 0.25)
claim("so does PReLU", min(prelu), ">", 0.3)
claim("batch normalisation is immune", min(normed), ">", 0.35)

# %% [markdown]
# And the doctor, given the first of them:

# %%
report = ask(pushed()(0), adam(3e-3))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
names(report, "signal.dead-units")

# %% [markdown]
# ## Patients for you
#
# `patient(n)` builds a broken network with its optimizer. Which of six
# causes it has depends on `n` alone, and is not written on the page. `treat(n,
# cause)` mends what the named cause breaks, and nothing else, trains, and
# fails if that was not it.

# %%
import random

HEALTHY = {
    "act": nn.ReLU,
    "latent_dim": 32,
    "gain": 1.0,  # on He's weights
    "bias": 0.0,  # of the convolutions
    "brake": 1.0,  # on Adam's rate
    "boost": 1.0,  # of Adam's rate
}
CAUSES = {
    "rate too low": {"brake": 1 / 3_000},
    "rate too high": {"boost": 100.0},
    "weights too large": {"gain": 3.0},
    "common mode": {"act": nn.Sigmoid},
    "dead units": {"bias": -2.0},
    "code too small": {"latent_dim": 1},
}


# %%
def patient(n, treatment=None):
    """Return (model, optimizer), with one cause of trouble, or treated."""
    broken = CAUSES[random.Random(n).choice(list(CAUSES))]
    mended = {key: HEALTHY[key] for key in CAUSES.get(treatment, {})}
    s = HEALTHY | broken | mended
    model = network(s["act"], False, s["latent_dim"], seed=n)
    model = push(quiet(he(model, s["gain"])), s["bias"])
    return model, adam(3e-3 * s["brake"] * s["boost"])


def treat(n, cause):
    result = train(*patient(n, cause), seed=n)["r2"]
    claim(f"patient {n} recovers", result, ">", 0.4)


# %% [markdown]
# ## What we saw
#
# A loss is read against the mean image. [Vanishing](#Vanishing) has two kinds:
# a tiny gradient stopped SGD and not Adam; a tiny signal stopped both, in a
# network of sigmoids without a saturated unit at the start. Batch
# normalisation cured both kinds. He's weights did harm, until the [output was
# quiet](#A-loud-answer); tanh beat ReLU. Clipping does not cure
# [exploding](#Exploding) weights, it bounds accidents. Tuned one by one,
# [Adam, SGD and RMSprop](#Three-optimizers,-fairly) are nearly level.
# [One-cycle](#A-schedule) repairs a rate that is too high. Small
# [batches](#Batch-size) freed nothing; they buy steps. A network may be too
# large [for its images](#Too-small,-too-large). A rate too high can [kill
# units](#Dead-units); units that a bias had silenced were woken by a leak, and
# batch normalisation was immune to that.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **A flat loss.** Someone drew all weights with a deviation of 0.02, "small
#    weights are safe". R² stays at 0. Is the rate too low? Are the units dead?
#    Name the `cause` in one of the doctor's words, write a `measure(model, x)`
#    that is far off in this program and neither in a healthy network nor in a
#    look-alike, and `repair` it: R² must rise. The check brings its own images
#    of this shape.


# %%
def faint(seed=0):
    """Return a network for images (B, 3, 16, 16), and its optimizer."""
    model = network(norm=False, seed=seed)
    for layer in weighted(model):
        nn.init.normal_(layer.weight, std=0.02)  # as in a well-known recipe
        nn.init.zeros_(layer.bias)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


# %% tags=["exercise"]
# Exercise 10.1
from torch import nn


class Diagnosis:
    """The program `faint`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        ...  # your code here

    def measure(self, model, x):
        """Return a number that is far off in this program alone."""
        ...  # your code here

    def repair(self, model, optimizer):
        """Return a model and an optimizer that learn."""
        ...  # your code here


# %%
from ae_lib import exercises

exercises.check("10.1", Diagnosis)

# %% [markdown]
# 2. **Look-alikes.** Write `diagnose(model, optimizer, x)` for networks that
#    `network` has built: the name of the trouble, or `"none"`. The check has
#    ten that you have not seen, some of them healthy. Which instrument has to
#    be asked first, because what it finds spoils the others?


# %% tags=["exercise"]
# Exercise 10.2
import torch.nn.functional as F
from torch import nn


def diagnose(model, optimizer, x):
    """Return the cause of the trouble in a network like those of this page.

    One of "signal.dead-units", "signal.common-mode", "step.too-small", "none".
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("10.2", diagnose)

# %%
exercises.progress("10")

# %% [markdown]
# The others have no check below them: a treatment or a number tells.
#
# 3. **Three patients.** Name the cause of `patient(2)`, `patient(6)` and
#    `patient(9)`. All three stay at a flat loss. Use the instruments of this
#    page before you ask the doctor. You have succeeded when `treat(n, cause)`
#    prints its claim for all three, and you can name for each a look-alike
#    that it rejects, and the measurement that told them apart.
# 4. **Clip, with Adam.** Adam divides each gradient by its own size. So does
#    clipping change anything for Adam at 0.003, when one image is damaged?
#    And an Adam that forgets in ten steps, `betas=(0.9, 0.9)`, with that image
#    and without? Predict first. You have succeeded when you can explain what
#    you found.
# 5. **Sharp minima.** "Large batches generalise worse." On 256 images, train
#    with batches of 16 and of 256 until the *training* R² is 0.7, and on until
#    it is 0.8; compare validation at both. You have succeeded when you can say
#    how large the difference is next to that between seeds.
#
# Solutions:
# [solutions/10_training_fails.ipynb](solutions/10_training_fails.ipynb).
#
# ## Further reading
#
# - X. Glorot, Y. Bengio, [Understanding the difficulty of training deep
#   feedforward neural
#   networks](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS 2010.
#   Looks into the layers, as we did: the sigmoid's mean drives the top layer
#   into saturation as training goes on.
# - K. He et al., [Delving deep into
#   rectifiers](https://arxiv.org/abs/1502.01852), ICCV 2015. He's weights, and
#   PReLU, in one paper.
# - R. Pascanu, T. Mikolov, Y. Bengio, [On the difficulty of training recurrent
#   neural networks](https://arxiv.org/abs/1211.5063), ICML 2013. Where
#   clipping comes from: rare cliffs, not wrong weights.
# - D. Choi et al., [On empirical comparisons of optimizers for deep
#   learning](https://arxiv.org/abs/1910.05446), 2019. The order of optimizers
#   depends on how each was tuned.
# - C. J. Shallue et al., [Measuring the effects of data parallelism on neural
#   network training](https://arxiv.org/abs/1811.03600), JMLR 2019. Batch size
#   with everything tuned: little is left of the folklore.
