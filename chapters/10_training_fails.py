# %% [markdown]
# # 10 · When training fails
#
# The loss is flat, or it is NaN, or it falls and stops too early. The usual
# advice fits on a card: He initialisation, no sigmoids, clip the gradients,
# smaller batches, Adam. Which of these cures what? On this page one small
# network is broken in eight ways, and every remedy has to prove itself.
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
# **Cost:** about 100 s on 2 CPU cores.

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
# To break a network eighty times, keep it small. The photographs are halved to
# 16×16, the mean image of the training set is subtracted, and one number
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
# way back, and three more. What follows each of them is the patient of this
# page: an activation, with or without batch normalisation before it.

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
    out = nn.ConvTranspose2d(width, 3, 4, stride=4)  # (B, 3, 16, 16)
    return nn.Sequential(*down, *code, *back, *up, out)


# %% [markdown]
# Training is a step, as in chapter 05, with a place for the two things we
# shall want to change: the limit of clipping and the schedule. It records the
# loss and the norm of the gradient.


# %%
def adam(lr):
    return lambda model: torch.optim.Adam(model.parameters(), lr=lr)


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
    model, optimizer, x=x_train, steps=STEPS, size=64, seed=0,
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
# The doctor of this library runs such comparisons by itself. What does it say
# of the healthy network, before training?

# %%
from ae_lib import doctor


def ask(model, optimizer, x=x_train, **more):
    batches = x[torch.randperm(len(x), generator=torch.manual_seed(0))].split(
        64
    )
    return doctor.examine(model, batches, optimizer=optimizer(model), **more)


def first(report):
    return report.codes[0] if report.codes else "no fault found"


# %%
# NBVAL_CHECK_OUTPUT
print("healthy:", first(ask(network(), adam(3e-3))))

# %%
# NBVAL_CHECK_OUTPUT
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
HEAVY = (nn.Conv2d, nn.Linear, nn.ConvTranspose2d)
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
# factor of about $\sqrt 6$ of its signal at every layer.


# %%
def glorot(model):
    return redraw(model, nn.init.xavier_normal_)


def he(model, gain=1.0):
    return redraw(model, nn.init.kaiming_normal_, gain)


def redraw(model, scheme, gain=1.0):
    for layer in weighted(model):
        scheme(layer.weight)
        layer.weight.data *= gain
        nn.init.zeros_(layer.bias)
    return model


# %% [markdown]
# ## Vanishing
#
# Seven versions of the same network: three activations, three ways to draw the
# weights, with batch normalisation and without. Sigmoid is on every list of
# forbidden activations, "because it saturates", and so is tanh.

# %%
SIGMOID, RELU, HE = "sigmoid", "ReLU", "ReLU, He"
versions = {
    SIGMOID: lambda s: network(nn.Sigmoid, norm=False, seed=s),
    "sigmoid, Glorot": lambda s: glorot(network(nn.Sigmoid, False, seed=s)),
    "sigmoid, batch norm": lambda s: network(nn.Sigmoid, seed=s),
    "tanh, Glorot": lambda s: glorot(network(nn.Tanh, False, seed=s)),
    RELU: lambda s: network(norm=False, seed=s),
    HE: lambda s: he(network(norm=False, seed=s)),
    "ReLU, batch norm": lambda s: network(seed=s),
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
# sigmoids without batch normalisation. The plain ReLU with PyTorch's weights is
# low in all layers, hundreds of times below He's in the first. But their
# *forward* signal differs: ReLU keeps a good part of it. So we have two
# troubles here, and can find out which one matters. Train all seven with Adam,
# and with SGD, momentum 0.9.


# %%
def sgd(lr):
    return lambda model: torch.optim.SGD(model.parameters(), lr, momentum=0.9)


SEEDS = pick(quick=2, full=5)
score = {"Adam": {}, "SGD": {}}
for optimizer, name in ((adam(3e-3), "Adam"), (sgd(0.1), "SGD")):
    for version, make in versions.items():
        score[name][version] = [
            train(make(s), optimizer, seed=s)["r2"] for s in range(SEEDS)
        ]

# %% [markdown]
# R² on validation images, a dot per seed. **Commit yourself:** which of the
# seven fail with Adam?

# %%
plots.bars(score["Adam"], "Adam 0.003: R²", source=credit)

# %% [markdown]
# With Adam only the sigmoids without batch normalisation are in trouble: some
# runs never leave the mean image, some leave it late. The
# plain ReLU, whose first layer gets a tiny gradient, trains as well as with
# He's weights: Adam divides each gradient by its own size, so a small one is
# as good as a large one. **Predict** what SGD makes of it.

# %%
plots.bars(score["SGD"], "SGD 0.1: R²", source=credit)

# %% [markdown]
# For SGD the size counts, and the plain ReLU stays at the mean image. He's
# weights help, though not with every seed; batch normalisation helps every
# time and with either activation. And forbidden tanh, drawn after Glorot,
# beats ReLU drawn after He.


# %%
# NBVAL_CHECK_OUTPUT
def mean(values):
    return sum(values) / len(values)


a, s = score["Adam"], score["SGD"]
NORM = "ReLU, batch norm"
better = min(a["sigmoid, batch norm"] + s["sigmoid, batch norm"])
behind = min(a["sigmoid, batch norm"]) - max(a[SIGMOID])
claim("SGD leaves the sigmoids at the mean image", max(s[SIGMOID]), "<", 0.1)
claim("with Glorot's weights, too", max(s["sigmoid, Glorot"]), "<", 0.1)
claim("Adam leaves them far behind batch norm", behind, ">", 0.2)
claim("batch normalisation cures both", better, ">", 0.2)
claim("plain ReLU: Adam trains it", min(a[RELU]), ">", 0.4)
claim("and SGD does not", max(s[RELU]), "<", 0.1)
gain = max(s[HE]) - max(s[RELU])
claim("He's weights help SGD, in the better run", gain, ">", 0.08)
claim("they do not help Adam", mean(a[HE]) - mean(a[RELU]), "<", 0.05)
tanh = mean(a["tanh, Glorot"]) - mean(a[HE])
claim("tanh with Glorot's weights beats ReLU with He's", tanh, ">", 0.04)

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
claim("no unit is saturated", max(flat), "<", 0.01)

# %% [markdown]
# None. The cause is the shared mean, not the plateau. The doctor's name for it
# is *common mode*:

# %%
report = ask(versions[SIGMOID](0), adam(3e-3))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
print("sigmoids:", first(report))

# %% [markdown]
# ## Exploding
#
# Draw He's weights three times too large. Eight layers, $3^8 = 6561$: the
# output is thousands of times too large, and its squared error tens of
# millions. The usual advice: clip the gradient, to a norm of 1. **Predict**
# the R² with clipping: near 0.5, near 0, or far below?


# %%
def large(seed):
    return he(network(norm=False, seed=seed), gain=3.0)


def sound(seed):
    return he(network(norm=False, seed=seed))


NEVER = float("inf")
cases = {
    "SGD": (large, sgd(0.1), NEVER),
    "SGD, clipped": (large, sgd(0.1), 1.0),
    "Adam, clipped": (large, adam(3e-3), 1.0),
    "Adam, right weights": (sound, adam(3e-3), NEVER),
}
burst = {
    name: [train(make(s), opt, seed=s, clip=clip) for s in range(SEEDS)]
    for name, (make, opt, clip) in cases.items()
}

# %%
for name, done in burst.items():
    for run in done:
        losses = f"{run['loss'][0]:10.3g} … {run['loss'][-1]:8.3g}"
        print(f"{name:<20} {len(run['loss']):>3} steps {losses}")

# %%
# NBVAL_CHECK_OUTPUT
wild, *clipped, right = ([run["r2"] for run in d] for d in burst.values())
finite = [score for score in wild if score == score]  # NaN equals nothing
claim("unclipped, no run learns", max(finite, default=-1), "<", 0.1)
claim("clipped, none does either", max(sum(clipped, [])), "<", 0.1)
claim("with weights of the right size they learn", min(right), ">", 0.3)

# %% [markdown]
# A run that ends in infinity, or one that stays at 1. Clipping keeps the loss
# finite, and that is all: the network gives up its answers and says the mean
# image. The infinity was the symptom, too large weights the disease. The
# doctor, on the same program:

# %%
report = ask(large(0), sgd(0.1))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
print("weights times three:", first(report))

# %% [markdown]
# So what is clipping good for? For accidents. Let one image of the 1,024 be
# damaged: its pixels were never scaled and are 255 times too large. **Guess**
# what one image can do, with and without clipping.

# %%
damaged = x_train.clone()
damaged[100] *= 255
accident = {"unclipped": [], "clipped": []}
for name, clip in (("unclipped", float("inf")), ("clipped", 1.0)):
    for s in range(SEEDS):
        model = glorot(network(nn.Tanh, norm=False, seed=s))
        run = train(model, sgd(0.1), x=damaged, seed=s, clip=clip)
        accident[name].append(run["r2"])

# %%
# NBVAL_CHECK_OUTPUT
broken, saved = mean(accident["unclipped"]), min(accident["clipped"])
claim("one damaged image spoils the run", saved - broken, ">", 0.05)
claim("clipped, the run is sound", saved, ">", 0.4)

# %% [markdown]
# That is its use: it bounds what a rare batch can do. Mending the data would
# be better still.
#
# ## Too low, too high
#
# One dial, six decades. The network without batch normalisation, and with it:
# "batch normalisation allows higher learning rates", says the folklore.
# **Guess** how wide the range of good rates is for each.

# %%
rates = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
nets = {"without batch norm": sound, "with batch norm": versions[NORM]}
sweep = {
    name: [train(make(0), adam(lr))["r2"] for lr in rates]
    for name, make in nets.items()
}
values = {
    n: torch.tensor(v).nan_to_num(-1).clamp(-1) for n, v in sweep.items()
}
plots.line_with_spread(
    rates,
    values,
    "Adam's learning rate",
    "R², cut at −1",
    xlog=True,
    source=credit,
)

# %% [markdown]
# Too low and too high look different. Below the good range nothing has
# happened *yet*. Above it, without batch normalisation, the network falls back
# to the mean image or below it; with it, it loses much less. Here the folklore
# is right.

# %%
# NBVAL_CHECK_OUTPUT
without, with_norm = (values[name][4].item() for name in nets)
claim("at 0.1, batch norm still learns", with_norm, ">", 0.2)
claim("without it, nothing is learned", without, "<", 0.1)
claim(
    "at 0.00001 neither has begun",
    max(v[0] for v in values.values()),
    "<",
    0.1,
)

# %% [markdown]
# By hand: watch how far a step moves the weights, relative to their size. A
# thousandth is usual. The doctor goes further and tries: it fits sixteen
# images with your rate, with a tenth and ten times of it, and with Adam at
# 0.001.

# %%
low, high = ask(sound(0), adam(1e-6)), ask(sound(0), adam(0.3))
print(low.findings[0], high.findings[0], sep="\n\n")

# %%
# NBVAL_CHECK_OUTPUT
print("0.000001:", first(low))
print("0.3:", first(high))

# %% [markdown]
# ## Three optimizers, fairly
#
# Adam, SGD with momentum, RMSprop. Compared at one common rate, 0.001, the
# contest is decided before it starts. So each gets its own rate, the best of
# four by one seed, and is then judged by other seeds. **Put the three in
# order** for both contests.


# %%
def rmsprop(lr):
    return lambda model: torch.optim.RMSprop(model.parameters(), lr)


grids = {
    "Adam": (adam, [1e-3, 3e-3, 1e-2, 3e-2]),
    "SGD": (sgd, [1e-3, 1e-1, 3e-1, 1.0]),
    "RMSprop": (rmsprop, [3e-4, 1e-3, 3e-3, 1e-2]),
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
        train(network(seed=s), make(best[name]), seed=s)["r2"]
        for s in range(1, 1 + SEEDS)
    ]

# %% [markdown]
# Three bars for the common rate, one run each, and three for the tuned rates,
# on seeds that took no part in the tuning.

# %%
both = {f"{n}, 0.001 for all": v for n, v in common.items()} | tuned
plots.bars(both, "R²", source=credit)

# %% [markdown]
# At the common rate SGD looks hopeless. At its own it is level with Adam:
# the difference between the two is no larger than between seeds. RMSprop,
# which is Adam without momentum, is a little behind.

# %%
# NBVAL_CHECK_OUTPUT
ours, theirs, rms = (mean(v) for v in tuned.values())
behind = common["Adam"][0] - common["SGD"][0]
claim("at 0.001 for all, Adam is far ahead of SGD", behind, ">", 0.2)
claim("each at its own rate, they are level", ours - theirs, "~", 0, tol=0.06)
claim("RMSprop does not beat them", rms - max(ours, theirs), "<", 0.02)

# %% [markdown]
# That holds for a network with batch normalisation. Without it, above, SGD was
# far behind: Adam's gift is less a better end than a wider range of networks
# and rates at which it works at all.
#
# ## A schedule
#
# Does a falling rate help? Try two peaks, the tuned 0.01 and three times as
# much, and three shapes: constant, falling in a line to zero, and one-cycle
# (chapter 05).

# %%
from ae_lib.recipe import constant, one_cycle

shapes = {
    "constant": constant,
    "falling": lambda t: 1 - t,
    "one-cycle": one_cycle,
}
planned = {}
for peak in (0.01, 0.03):
    for name, shape in shapes.items():
        planned[f"{peak}, {name}"] = [
            train(network(seed=s), adam(peak), seed=s, schedule=shape)["r2"]
            for s in range(SEEDS)
        ]

# %% [markdown]
# **Predict:** in which of the two groups will the bars differ?

# %%
plots.bars(planned, "R²", source=credit)

# %% [markdown]
# At 0.01 the three are alike. At 0.03, too high for a constant rate, one-cycle
# brings back what was lost; a line that starts at the peak at once does not.

# %%
# NBVAL_CHECK_OUTPUT
scores = {name: mean(values) for name, values in planned.items()}
tuned_gain = max(scores["0.01, falling"], scores["0.01, one-cycle"])
tuned_gain -= scores["0.01, constant"]
high_gain = scores["0.03, one-cycle"] - scores["0.03, constant"]
over = max(scores.values()) - scores["0.01, constant"]
claim("at a tuned rate a schedule adds little", tuned_gain, "<", 0.04)
claim("at a rate too high one-cycle repairs something", high_gain, ">", 0)
claim("no schedule is far above the tuned constant", over, "<", 0.05)

# %% [markdown]
# Over 120 steps a schedule repairs a rate that is too high and adds next to
# nothing to one that is right. Long runs are another matter: our
# network's records in chapter 05 were made with one.
#
# ## Batch size
#
# "Small batches escape poor minima." The sigmoids of above sit in a poor place
# indeed: the mean image. Free them with batches of 8? To be fair, a batch of
# 64 gets as many *steps*. **Guess** which of the two escapes.

# %%
escape = {}
for size in (8, 64):
    escape[f"batches of {size}, 240 steps"] = [
        train(versions[SIGMOID](s), adam(3e-3), steps=240, size=size, seed=s)[
            "r2"
        ]
        for s in range(SEEDS)
    ]
for name, values in escape.items():
    print(f"{name}: R²", *(f"{v:.2f}" for v in values))

# %%
# NBVAL_CHECK_OUTPUT
small_120 = [
    train(versions[SIGMOID](s), adam(3e-3), size=8, seed=s)["r2"]
    for s in range(SEEDS)
]
lag = min(score["Adam"]["sigmoid, batch norm"]) - max(small_120)
claim("120 steps of 8 free no sigmoid as batch norm does", lag, ">", 0.2)

# %% [markdown]
# In 120 steps batches of 8 free nobody. In 240 steps a sigmoid network can
# leave the mean image under Adam, with either size, at a moment that depends
# on the seed. It is steps that free it, and not noise; batch normalisation did
# more in half of them.
#
# What small batches do buy is steps. Three sizes, at equal steps and then at
# equal images. **Guess** the best size for each of the two.

# %%
equal = {}
for size in (16, 64, 256):
    same = train(network(), adam(3e-3), size=size)
    images_same = train(network(), adam(3e-3), steps=7_680 // size, size=size)
    equal[size] = same["r2"], images_same["r2"]
    row = f"{equal[size][0]:.2f}, images {equal[size][1]:.2f}"
    print(f"{size:>3}: equal steps {row}")

# %%
# NBVAL_CHECK_OUTPUT
(steps_16, images_16), _, (steps_256, images_256) = equal.values()
claim("equal steps: 256 beats 16", steps_256 - steps_16, ">", 0.02)
claim("equal images: 16 beats 256", images_16 - images_256, ">", 0.1)

# %% [markdown]
# At equal steps the cleaner gradient wins; at equal images the larger number
# of steps does. Neither result needs a poor minimum, or an escape.
#
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
# With one or two numbers the network is at the line of PCA: the code is what
# limits it, and no optimizer will help. With 32 it is far below the line: now
# the code is not the trouble, the training is. That is how to tell the two
# apart, and how the doctor does.

# %%
report = ask(network(latent_dim=1), adam(1e-2))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
print("code of one number:", first(report))
ones, gap = curves["network"], curves["PCA"][3] - curves["network"][3]
claim(
    "one number: as good as PCA-1", ones[0] - curves["PCA"][0], "~", 0, tol=0.1
)
claim("32 numbers cure it", ones[3] - ones[0], ">", 0.15)
claim("and leave PCA-32 far ahead, in so few steps", gap, ">", 0.1)

# %% [markdown]
# Now the layers. Widths of 2, 16 and 48 channels, on all 1,024 images; then
# width 16 on 64 images. **Guess:** is the widest harder to train, as they say?

# %%
wide = {}
for width in (2, 16, 48):
    wide[f"{width} channels"] = [train(network(width=width), adam(1e-2))["r2"]]
few = {"train_loss": [], "val_loss": []}
model, x_few = network(), x_train[:64]
for part in range(8):
    train(model, adam(1e-2), x=x_few, steps=40, size=32, seed=part)
    few["train_loss"].append(1 - r2(model, x_few))
    few["val_loss"].append(1 - r2(model))
plots.curves({"64 images": few}, baselines={"mean image": 1}, source=credit)

# %% [markdown]
# An "epoch" in this figure is 40 steps. Training falls without end, validation
# turns and rises: too large for its *images*. The widths, on all images:

# %%
plots.bars(wide, "R²", source=credit)

# %% [markdown]
# Two channels are too few. Beyond 16 more channels bring nothing in 120 steps,
# and do no harm either.

# %%
# NBVAL_CHECK_OUTPUT
two, sixteen, many = (v[0] for v in wide.values())
claim("two channels are too few", sixteen - two, ">", 0.05)
claim("48 are as good as 16", many - sixteen, "~", 0, tol=0.06)
overfit = few["val_loss"][-1] / few["train_loss"][-1]
claim("on 64 images validation is far above training", overfit, ">", 2)
more = sixteen - (1 - few["val_loss"][-1])
claim("more images cure it", more, ">", 0.05)

# %% [markdown]
# ## Dead units
#
# A ReLU whose input is negative for every image answers zero, and its gradient
# is zero as well. One step that is much too large can do it. **Guess** the
# share of dead units after a single step of SGD at rate 10, and at 0.1.


# %%
@torch.no_grad()
def dead(model, x=x_val):
    """Return the share of units that are zero for every image."""
    silent = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            silent.append((x.transpose(0, 1).flatten(1) <= 0).all(dim=1))
    return torch.cat(silent).float().mean().item()


one_step = {lr: sound(0) for lr in (0.1, 10.0)}
for lr, model in one_step.items():
    train(model, sgd(lr), steps=1)
    print(f"one step at {lr}: {dead(model):.0%} of the units are dead")

# %%
# NBVAL_CHECK_OUTPUT
gentle, hard = (dead(model) for model in one_step.values())
claim("one step too large kills many units", hard, ">", 0.1)
claim("a gentle one hardly any", gentle, "<", 0.06)

# %% [markdown]
# To try the cures, make the damage alike for all: after such a step, say,
# every convolution has a bias of −2. Four networks in that state, trained with
# Adam at 0.003. **Predict** which of them recover.


# %%
def pushed(act=nn.ReLU, norm=False, seed=0):
    model = he(network(act, norm, seed=seed))
    for layer in weighted(model):
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, -2.0)
    return model


kinds = {
    "ReLU": {},
    "leaky ReLU": {"act": lambda: nn.LeakyReLU(0.1)},
    "PReLU": {"act": nn.PReLU},
    "ReLU, batch norm": {"norm": True},
}
woken = {
    name: [
        train(pushed(seed=s, **kind), adam(3e-3), seed=s)["r2"]
        for s in range(SEEDS)
    ]
    for name, kind in kinds.items()
}
plots.bars(woken, "R²", source=credit)

# %% [markdown]
# ReLU stays at the mean image: with whole layers dead, no gradient passes.
# Leaky ReLU and PReLU, which lets each network learn its slope, wake up. Batch
# normalisation never notices: it subtracts the bias again.

# %%
# NBVAL_CHECK_OUTPUT
lost, leaky, prelu, normed = woken.values()
claim("dead ReLUs stay dead", max(lost), "<", 0.05)
claim("leaky ReLU recovers", min(leaky), ">", 0.25)
claim("so does PReLU", min(prelu), ">", 0.25)
claim("batch normalisation is immune", min(normed), ">", 0.35)

# %% [markdown]
# And the doctor, given the first of them:

# %%
report = ask(pushed(), adam(3e-3))
print(report.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
print("pushed:", first(report))

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
    "lr": 3e-3,  # Adam's
}
CAUSES = {
    "rate too low": {"lr": 1e-6},
    "rate too high": {"lr": 0.3},
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
    model = he(network(s["act"], False, s["latent_dim"], seed=n), s["gain"])
    for layer in weighted(model):
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, s["bias"])
    return model, adam(s["lr"])


def treat(n, cause):
    result = train(*patient(n, cause), seed=n)["r2"]
    claim(f"patient {n} recovers", result, ">", 0.4)


# %% [markdown]
# ## What we saw
#
# A loss is read against the mean image. [Vanishing](#Vanishing) has two kinds:
# a tiny gradient stops SGD and not Adam; a tiny signal stops SGD and holds
# Adam up, and its cause was the shared mean of the sigmoids, without a
# saturated unit. Batch normalisation cured both kinds; He's weights helped
# SGD, at times, and not Adam; tanh beat ReLU. Clipping does not cure
# [exploding](#Exploding) weights, it bounds accidents. Tuned one by one, [Adam
# and SGD](#Three-optimizers,-fairly) are level. A [schedule](#A-schedule)
# repairs a rate that is too high. Small [batches](#Batch-size) freed nothing;
# they buy steps. And one step can [kill units](#Dead-units) that only a leak,
# or batch normalisation, wakes.
#
# ## Exercises
#
# 1. **Three patients.** Name the cause of `patient(2)`, `patient(6)` and
#    `patient(9)`. All three stay at a flat loss. Use the instruments of this
#    page before you ask the doctor. You have succeeded when `treat(n, cause)`
#    prints its claim for all three, and you can name for each a look-alike
#    that it rejects, and the measurement that told them apart.
# 2. **Clip, with Adam.** Adam divides each gradient by its own size. So does
#    clipping change anything for Adam at 0.003, when one image is damaged?
#    Predict first. You have succeeded when you can explain what you found.
# 3. **Sharp minima.** "Large batches generalise worse." On 256 images, train
#    with batches of 16 and of 256 until the *training* R² is the same, and
#    compare validation. You have succeeded when you can say how large the
#    difference is next to that between seeds.
#
# Solutions:
# [solutions/10_training_fails.ipynb](solutions/10_training_fails.ipynb).
#
# ## Further reading
#
# - X. Glorot, Y. Bengio, [Understanding the difficulty of training deep
#   feedforward neural
#   networks](https://proceedings.mlr.press/v9/glorot10a.html), AISTATS 2010.
#   Looks into the layers, as we did, and finds the sigmoid's mean guilty.
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
