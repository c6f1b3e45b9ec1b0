# %% [markdown]
# # 12 · The code that never changed: solutions
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
# ## Exercise 1
#
# The start counts images, so it moves by the size of a batch and is not
# multiplied by it again. The last stop may lie behind the end: a slice ends
# where the data do.


# %% tags=["exercise"]
# Exercise 12.1
def slices(n, batch_size):
    """Return a list of pairs (start, stop), one for each batch."""
    # --- solution
    starts = range(0, n, batch_size)
    return [(start, start + batch_size) for start in starts]
    # --- end


# %%
from ae_lib import exercises

exercises.check("12.1", slices)

# %% [markdown]
# ## Exercise 2
#
# The mean and the median, pixel by pixel. Most pixels of most digits are
# black, so with the absolute error a stuck network draws even less than a
# blurred 8.


# %% tags=["exercise"]
# Exercise 12.2
def best_constant(x, loss):
    """Return the best single answer (C, H, W) to all images x (N, C, H, W).

    loss is "mse" or "l1".
    """
    # --- solution
    if loss == "mse":
        return x.mean(dim=0)
    return x.median(dim=0).values
    # --- end


# %%
from ae_lib import exercises

exercises.check("12.2", best_constant)

# %% [markdown]
# ## Exercise 3
#
# Number the images, and count which numbers come by.


# %%
def visits(slices):
    batches = [range(1_000)[a:b] for a, b in slices]
    seen = {i for batch in batches for i in batch}
    return len(seen), sum(len(batch) == 0 for batch in batches)


loops = {"a": range(0, 1000, 100), "b": range(10), "c": range(0, 1000, 1000)}
found = {k: visits([(j, j + 100) for j in js]) for k, js in loops.items()}
for name, (seen, empty) in found.items():
    print(f"({name}) sees {seen} images, {empty} empty batches")

# %%
# NBVAL_CHECK_OUTPUT
claim("(a) sees all", found["a"][0], "~", 1000, tol=0)
claim(
    "(b) sees the first 109, nearly the same batch",
    found["b"][0],
    "~",
    109,
    tol=0,
)
claim("(c) sees the first hundred only", found["c"][0], "~", 100, tol=0)
posted = visits([(j * 100, (j + 1) * 100) for j in range(0, 1000, 100)])
claim("the posted loop leaves nine batches empty", posted[1], "~", 9, tol=0)

# %% [markdown]
# In (b) and (c) no batch is empty, so a test for empty batches would let
# them pass. The count of distinct images does not. On sorted data both would
# end at the mean of the first digits.
#
# ## Exercise 4
#
# The signal ratio at the code of the untrained network is a matter of one
# batch. It says whether there is anything to learn from; time has no part in
# it.

# %%
from ae_lib.posted import RELU, PostedAutoencoder, Variant, train

images = data.load("mnist", limit=1_000)
x = images[images.labels.argsort(stable=True)].unit()
a = Variant(shuffle=False, empty=0, whole=True, steps=60)
b = Variant(RELU, lr=1e-6, empty=0, whole=True, steps=60)


@torch.no_grad()
def signal_at_code(variant):
    torch.manual_seed(0)
    z = PostedAutoencoder(**variant.network).encode(x)
    return (z.std(0).square().mean() / z.square().mean()).sqrt()


@torch.no_grad()
def variation(model):
    x_hat = model(x)
    return (x_hat.var(0).mean() / x.var(0).mean()).sqrt()


# %%
# NBVAL_CHECK_OUTPUT
alike = [variation(train(v, x, x[:50])[0]) for v in (a, b)]
claim("after 60 steps A answers with one picture", alike[0], "<", 0.1)
claim("and so does B, nearly", alike[1], "<", 0.3)
claim("A has no signal before the first step", signal_at_code(a), "<", 0.05)
claim("B has: it only needs time", signal_at_code(b), ">", 0.3)

# %% [markdown]
# The cure of A is to mix the batches and to let the signal through; more
# epochs of the same help little. The cure of B is the rate.
#
# ## Exercise 5
#
# Fourteen pictures, fourteen errors. The nearest one names the picture.

# %%
from ae_lib.metrics import mse

every = data.load("mnist", limit=1_000)
x = every.unit()
pictures = {"black": x[0] * 0, "white": x[0] * 0 + 1}
pictures["best grey"] = x[0] * 0 + x.mean()
pictures["mean image"] = x.mean(0)
for digit in range(10):
    pictures[f"mean {digit}"] = x[every.labels == digit].mean(0)
scores = {k: mse(x, p.expand_as(x)) for k, p in pictures.items()}


def picture_of(loss):
    return min(scores, key=lambda name: abs(scores[name] - loss))


# %%
# NBVAL_CHECK_OUTPUT
right = sum(picture_of(scores[name]) == name for name in scores)
claim("each is found from its error", right, "~", len(scores), tol=0)
lowest = float(min(scores, key=scores.get) == "mean image")
claim("none is below the mean image", lowest, "~", 1, tol=0)

# %% [markdown]
# A loss near one of these is a hint, not a proof: look at the pictures, too.
