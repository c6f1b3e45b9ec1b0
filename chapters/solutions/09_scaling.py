# %% [markdown]
# # 09 · Experiments that scale: solutions
#
# Try the exercises first. Each solution ends in claims, so that you can see
# what was to be found.

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
# ## Exercise 1
#
# Look the seed up in the other arm; what has no partner stays out. Then it is
# one list of differences, and the error of its mean is its deviation by the
# square root of their number.


# %% tags=["exercise"]
# Exercise 09.1
def paired_difference(usual, new):
    """Return the mean difference, new - usual, and its standard error.

    Both are dicts from seed to error; only seeds in both make a pair.
    """
    # --- solution
    d = torch.tensor(
        [new[seed] - usual[seed] for seed in usual if seed in new]
    )
    return d.mean(), d.std() / len(d) ** 0.5
    # --- end


# %%
from ae_lib import exercises

exercises.check("09.1", paired_difference)

# %% [markdown]
# ## Exercise 2
#
# The search chooses, and says no more. What the winner is worth its fresh runs
# say: whoever takes the best of *those* has chosen again. And `argmin` takes a
# NaN for the least there is.


# %% tags=["exercise"]
# Exercise 09.2
def winner_report(search, fresh):
    """Return the mean and the standard error of the winner's fresh runs.

    search (T,) has the error of each trial, NaN where it diverged; fresh
    (T, S) the errors of S more runs of each.
    """
    # --- solution
    runs = fresh[search.nan_to_num(torch.inf).argmin()]  # (S,)
    return runs.mean(), runs.std() / len(runs) ** 0.5
    # --- end


# %%
from ae_lib import exercises

exercises.check("09.2", winner_report)

# %% [markdown]
# ## Exercise 3
#
# Twenty ideas that do nothing, a thousand times over.

# %%
random = torch.Generator().manual_seed(0)
mean, deviation = 0.040, 0.0013
errors = mean + deviation * torch.randn(1_000, 20, generator=random)
best = errors.min(dim=1).values  # (1000,)
second = mean + deviation * torch.randn(1_000, generator=random)
gain = 100 * (1 - best.mean() / mean).item()  # per cent
left = 100 * (1 - second.mean() / mean).item()
print(f"best of twenty: {gain:.1f} % better; the second time: {left:.1f} %")

# %% [markdown]
# The best of twenty draws lies about 1.87 deviations below the mean. It is a
# gain that any paper would report, and on the second day it is gone.

# %%
# NBVAL_CHECK_OUTPUT
claim("best of twenty: a gain from nothing", gain, ">", 5, unit="%")
claim("the second time it is gone", left, "~", 0, tol=0.5, unit="%")

# %% [markdown]
# ## Exercise 4
#
# `run` takes two seeds now: one for the first weights, one for the order.

# %%
from ae_lib.models import ConvAutoencoder
from ae_lib.recipe import one_cycle
from ae_lib.training import fit

images = data.load("cifar10", limit=pick(quick=896, full=50_000))
train, validation = data.hold_out(images, pick(quick=256, full=5_000))


def run(rate, weights, order):
    torch.manual_seed(weights)
    history = fit(
        ConvAutoencoder(latent_dim=64),
        train,
        validation=validation,
        epochs=1,
        batch_size=32,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=rate),
        schedule=one_cycle,
        seed=order,
        verbose=False,
        watch=0,
    )
    return history.val_loss[-1]


# %%
n = 6
usual = torch.tensor([run(0.003, s, s) for s in range(n)])
arms = {
    "both the same": torch.tensor([run(0.004, s, s) for s in range(n)]),
    "same order only": torch.tensor(
        [run(0.004, (s + 1) % n, s) for s in range(n)]
    ),
    "same weights only": torch.tensor(
        [run(0.004, s, (s + 1) % n) for s in range(n)]
    ),
}
spread = {}
for name, errors in arms.items():
    spread[name] = (errors - usual).std().item()
    print(f"{name:18} deviation of the differences {spread[name]:.5f}")

# %% [markdown]
# What a seed carries is mostly its first weights or mostly its order,
# depending on the network and on how short the run is; look at the two lower
# lines. Pairing both is never wrong, and it is free.

# %%
# NBVAL_CHECK_OUTPUT
both, order, weights = spread.values()
claim("pairing both beats the weaker half", both / max(order, weights), "<", 1)

# %% [markdown]
# ## Exercise 5
#
# Each half has its own mean. The mean over the whole batch weighs them by
# their sizes.

# %%
from torch.nn.functional import mse_loss


def gradient(model, x):
    model.zero_grad()
    mse_loss(model(x), x).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def apart(a, b):
    return ((a - b).norm() / a.norm()).item()


# %%
torch.manual_seed(0)
model = ConvAutoencoder(latent_dim=64).eval()
x = train[:64].unit()  # (64, 3, 32, 32)
whole = gradient(model, x)
off, right = {}, {}
for n in (32, 40):
    a, b = gradient(model, x[:n]), gradient(model, x[n:])
    off[n] = apart(whole, (a + b) / 2)
    right[n] = apart(whole, (n * a + (64 - n) * b) / 64)
    print(
        f"{n} and {64 - n}: plain mean {off[n]:.1e}, weighted {right[n]:.1e}"
    )

# %% [markdown]
# The plain mean is right for equal halves only. There is one more trap. In
# training, batch normalisation subtracts the mean of the images *it sees*,
# and each process sees its own.

# %%
model.train()
whole = gradient(model, x)
a, b = gradient(model, x[:32]), gradient(model, x[32:])
normed = apart(whole, (a + b) / 2)
print(f"with batch normalisation, equal halves: {normed:.1e}")

# %%
# NBVAL_CHECK_OUTPUT
claim("equal halves: the plain mean is right", off[32], "<", 1e-4)
claim("40 and 24: it is not", off[40], ">", 1e-3)
claim("weighted by size it is", right[40], "<", 1e-4)
claim("batch norm spoils even equal halves", normed, ">", 1e-3)

# %% [markdown]
# `ae_lib.distributed` therefore adds up sums and not means, and lets batch
# normalisation take its mean and variance over all processes.
