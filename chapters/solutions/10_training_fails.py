# %% [markdown]
# # 10 · When training fails: solutions
#
# Each exercise ends in claims, so that you can compare more than the code.

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
# The laboratory of the chapter, once more: a notebook cannot import from
# another. A test of the course holds both equal.

# %%
import torch.nn.functional as F

images = data.load("cifar10", limit=1_280)
credit = images.source + ", 16×16"
halved = F.avg_pool2d(images.unit(), 2)  # (1280, 3, 16, 16)
x_train, x_val = halved[:1_024], halved[1_024:]
mean_image = x_train.mean(dim=0)
scale = (x_train - mean_image).square().mean().sqrt()
x_train, x_val = (x_train - mean_image) / scale, (x_val - mean_image) / scale

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


# %%
def adam(lr):
    return lambda model: torch.optim.Adam(model.parameters(), lr, fused=True)


# %% [markdown]
# A step, a stream of batches, and the measure:


# %%
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


# %%
@torch.no_grad()
def r2(model, x=x_val):
    error = F.mse_loss(model.eval()(x), x)
    return (1 - error / x.square().mean()).item()


# %% [markdown]
# The loop:

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
# Its weights, its instruments, and its patients:

# %%
HEAVY = (nn.Conv2d, nn.Linear)


def weighted(model):
    return [layer for layer in model if isinstance(layer, HEAVY)]


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
# A quiet output, and biases that push units below zero:


# %%
def quiet(model):
    weighted(model)[-1].weight.data *= 0.1
    return model


def push(model, bias=-2.0):
    for layer in weighted(model)[:-1]:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, bias)
    return model


# %%
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
# The second instrument, for units that are dead:


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


# %% [markdown]
# The six causes:

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

# %%
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


# %% [markdown]
# And the treatment:


# %%
def treat(n, cause):
    result = train(*patient(n, cause), seed=n)["r2"]
    claim(f"patient {n} recovers", result, ">", 0.4)


# %% [markdown]
# ## Exercise 1
#
# The program, and the size of its signal behind each layer, beside that of the
# network with He's weights.


# %%
def faint(seed=0):
    """Return a network for images (B, 3, 16, 16), and its optimizer."""
    model = network(norm=False, seed=seed)
    for layer in weighted(model):
        nn.init.normal_(layer.weight, std=0.02)  # as in a well-known recipe
        nn.init.zeros_(layer.bias)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


@torch.no_grad()
def sizes(model, x=x_train[:128]):
    found = []
    for layer in model:
        x = layer(x)
        if isinstance(layer, HEAVY):
            found.append(f"{x.square().mean().sqrt():.0e}")
    return found


print("faint   ", *sizes(faint()[0]))
print("with He ", *sizes(quiet(he(network(norm=False)))))

# %% [markdown]
# Each layer keeps a fifth of it or less. What reaches the output is next to
# nothing, and what comes back to the first layer is less. No unit is dead, and
# the tiny answers to the images differ as they should: the *ratio* looks
# healthy. And the rate is innocent: SGD multiplies it with a gradient that is
# nearly zero.


# %% tags=["exercise"]
# Exercise 10.1
from torch import nn


class Diagnosis:
    """The program `faint`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        # --- solution
        return "signal.init-scale"
        # --- end

    def measure(self, model, x):
        """Return a number that is far off in this program alone."""
        # --- solution
        sizes = []
        for layer in model:
            x = layer(x)
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                sizes.append(x.square().mean().log().item())
        return sizes[-2] - sizes[0]  # the last layer may be quiet
        # --- end

    def repair(self, model, optimizer):
        """Return a model and an optimizer that learn."""
        # --- solution
        for layer in model:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight)
                last = layer
        last.weight.data *= 0.1  # a quiet answer
        return model, optimizer
        # --- end


# %%
from ae_lib import exercises

exercises.check("10.1", Diagnosis)

# %% [markdown]
# The recipe of small weights is sound where batch normalisation follows each
# layer and restores the size. Without it, its smallness is multiplied eight
# times.
#
# ## Exercise 2
#
# First the units, layer by layer: behind a dead layer nothing else can be
# judged. Then the code, which needs a signal for a step to mean anything. Then
# the step.


# %% tags=["exercise"]
# Exercise 10.2
import torch.nn.functional as F
from torch import nn


def diagnose(model, optimizer, x):
    """Return the cause of the trouble in a network like those of this page.

    One of "signal.dead-units", "signal.common-mode", "step.too-small", "none".
    """
    # --- solution
    h, ratios = x, []
    for layer in model.train():
        h = layer(h)
        silent = (h.transpose(0, 1).flatten(1) <= 0).all(1)
        if isinstance(layer, nn.ReLU) and silent.float().mean() > 0.5:
            return "signal.dead-units"
        if isinstance(layer, nn.Linear):
            ratios.append((h.var(0).mean() / h.square().mean()).sqrt())
    if ratios[0] < 0.1:  # at the code
        return "signal.common-mode"
    before = model[0].weight.detach().clone()
    F.mse_loss(model(x), x).backward()
    optimizer.step()
    moved = (model[0].weight - before).norm() / before.norm()
    return "step.too-small" if moved < 1e-5 else "none"
    # --- end


# %%
from ae_lib import exercises

exercises.check("10.2", diagnose)

# %% [markdown]
# A unit is a channel here, and one dead layer is enough: the share over the
# whole network would miss it.
#
# ## Exercise 3
#
# First the forward pass, before any training: the signal ratio at the code,
# and the share of dead units.

# %%
for n in (2, 6, 9):
    model, _ = patient(n)
    print(
        f"patient {n}: signal {signal(model)[3]:.4f}, dead {dead(model):.0%}"
    )

# %% [markdown]
# In patient 6 most units are dead, and nothing at all arrives at the code: 0
# divided by 0. In 9 all units are alive and the signal is a few hundredths.
# Patient 2 has neither. So look at how far 2 moves: the change of the weights
# in one step, relative to their size.

# %%
model, optimizer = patient(2)
before = [layer.weight.detach().clone() for layer in weighted(model)]
train(model, optimizer, steps=1)
for layer, old in zip(weighted(model), before):
    print(f"{((layer.weight - old).norm() / old.norm()).item():.1e}", end=" ")

# %% [markdown]
# A thousandth is usual; this is near a hundred-thousandth. The rate is too
# low. Three names, then, and three treatments:

# %%
# NBVAL_CHECK_OUTPUT
answers = {2: "rate too low", 6: "dead units", 9: "common mode"}
for n, cause in answers.items():
    treat(n, cause)


# %% [markdown]
# And every name fails on the other two patients:

# %%
# NBVAL_CHECK_OUTPUT
wrong = [
    train(*patient(n, cause), seed=n)["r2"]
    for n in answers
    for m, cause in answers.items()
    if m != n
]
claim("no look-alike's treatment helps", max(wrong), "<", 0.4)

# %% [markdown]
# ## Exercise 4
#
# The damaged image of the chapter, with Adam. The usual explanation for what
# you may have found: Adam divides by a *running* mean of the squared gradient.
# It forgets over a thousand steps, so the accident stays in it and slows the
# run down. If that is all, an Adam that forgets in ten steps should be cured.


# %%
def forgetful(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3, betas=(0.9, 0.9))


def judge(optimizer, x, clip=float("inf")):
    scores = []
    for s in (0, 1):
        model = glorot(network(nn.Tanh, norm=False, seed=s))
        scores.append(train(model, optimizer, x, seed=s, clip=clip)["r2"])
    return sum(scores) / 2


# %%
damaged = x_train.clone()
damaged[100] *= 255
sound = judge(adam(3e-3), x_train)
plain = judge(adam(3e-3), damaged)
clipped = judge(adam(3e-3), damaged, clip=1.0)
short = judge(forgetful, damaged)
fresh = judge(forgetful, x_train)

# %%
# NBVAL_CHECK_OUTPUT
claim("one image harms Adam, too", sound - plain, ">", 0.05)
claim("clipping undoes it", sound - clipped, "<", 0.05)
claim("a short memory falls behind clipping", clipped - short, ">", 0.03)
claim("on clean images it is as good", fresh - sound, "~", 0, tol=0.05)
claim("so it is the one image that harms it", fresh - short, ">", 0.05)

# %% [markdown]
# Clipping does change something for Adam: it keeps the accident out of both
# its memories, the mean of the gradients and that of their squares. The usual
# explanation is not the whole story. With a short memory much of the damage
# remains, and it is damage: on clean images the short memory trains as well as
# the long one.
#
# ## Exercise 5
#
# Train until the training R² has passed 0.7, and go on until it has passed
# 0.8; look at the validation each time.

# %%
x_few = x_train[:256]


def until(size, seed, goals=(0.7, 0.8)):
    model, found = network(seed=seed), []
    optimizer = adam(3e-3)(model)
    for i, batch in enumerate(draw(x_few, size, 1_500, seed)):
        step(model.train(), optimizer, batch)
        if i % 10 == 9 and r2(model, x_few) > goals[len(found)]:
            found.append((i + 1, r2(model, x_few), r2(model)))
            if len(found) == len(goals):
                break
    return found


# %%
found = {size: [until(size, s) for s in (0, 1)] for size in (16, 256)}
for size, runs in found.items():
    for steps, a, b in sum(runs, []):
        print(f"{size:>3}: {steps:>4} steps, training {a:.2f}, new {b:.2f}")

# %%
# NBVAL_CHECK_OUTPUT
gaps = {n: [[a - b for _, a, b in run] for run in found[n]] for n in found}
early, late = (
    [[gap[goal] for gap in gaps[n]] for n in (16, 256)] for goal in (0, 1)
)
extra = [sum(large) / 2 - sum(small) / 2 for small, large in (early, late)]
reached = min(run[1][1] for runs in found.values() for run in runs)
claim("all runs reach the second goal", reached, ">", 0.8)
claim("at 0.7 the gap hardly depends on it", extra[0], "~", 0, tol=0.05)
claim("at 0.8 the large batch has the larger gap", extra[1], ">", 0.02)
spread = max(max(gap) - min(gap) for gap in late)
claim("by more than seeds differ", extra[1] - spread, ">", 0)

# %% [markdown]
# Who stops at 0.7 sees nothing. At 0.8, where learning by heart has begun, the
# folklore is right here: a few hundredths, more than between seeds. Why, these
# runs do not say: a batch of all images has no noise, its batch normalisation
# knows every image, and it took fewer steps with more images in each. And
# networks a thousand times as large may differ.
