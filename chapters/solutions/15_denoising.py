# %% [markdown]
# # 15 · Denoising: solutions
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

# %%
from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.denoising import Residual, Spoilt, repair
from ae_lib.metrics import mse, psnr, reconstruct

train = data.load("cifar10", limit=pick(quick=1_050, full=50_000))
train, validation = data.hold_out(train, 50)
test = data.load("cifar10", "test", limit=200)
x, x_val = test.unit(), validation.unit()  # (200 | 50, 3, 32, 32)


# %%
def seeded(seed):
    return torch.Generator().manual_seed(seed)


def decibels(x, y):
    return psnr(mse(x, y.clamp(0, 1)))


noisy = gaussian(x, 0.1, seeded(1))

# %% [markdown]
# ## Exercise 1
#
# Spoil on the way in, and compare with what was there before.


# %% tags=["exercise"]
# Exercise 15.1
def denoising_loss(model, spoil, x, generator):
    """Return the loss, a tensor of one number with a gradient.

    x (N, C, H, W) is clean; spoil(x, generator) returns a spoilt copy.
    """
    # --- solution
    x_hat = model(spoil(x, generator))  # (N, C, H, W)
    return (x_hat - x).square().mean()
    # --- end


# %%
from ae_lib import exercises

exercises.check("15.1", denoising_loss)

# %% [markdown]
# ## Exercise 2
#
# `unfold` cuts out squares, along the height and then along the width; two new
# dimensions at the end hold each square. Padding with zeros, the usual
# default, would give black a vote.


# %% tags=["exercise"]
# Exercise 15.2
def median_filter(x, size):
    """Return the median of each square of size×size, the shape of x.

    x is (N, C, H, W), size an odd number.
    """
    # --- solution
    r = size // 2
    x = torch.nn.functional.pad(x, (r, r, r, r), mode="replicate")
    squares = x.unfold(2, size, 1).unfold(3, size, 1)  # (N, C, H, W, s, s)
    return squares.flatten(4).median(dim=-1).values  # (N, C, H, W)
    # --- end


# %%
from ae_lib import exercises

exercises.check("15.2", median_filter)

# %% [markdown]
# On the images of the page it does what the library's median does there.

# %%
# NBVAL_CHECK_OUTPUT
specks = salt_and_pepper(x, 0.1, seeded(1))
gain = decibels(x, median_filter(specks, 3)) - decibels(x, specks)
claim("3×3 medians against a tenth of specks", gain, ">", 6, unit="dB")

# %% [markdown]
# ## Exercise 3
#
# Repair first. A speck still stands out then, exactly black or white. PCA
# spreads each speck over the whole image, and afterwards nobody can tell where
# it was: there is no suspect left to repair.

# %%
from ae_lib.baselines import PCA

pca = PCA.fit(train, 800)


def shrink(x, sigma=0.1):
    factor = pca.variances / (pca.variances + sigma**2)  # (800,)
    return pca.decode(factor * pca.encode(x)).clamp(0, 1)


both = salt_and_pepper(noisy, 0.1, seeded(4))
orders = {
    "nothing": both,
    "shrink only": shrink(both),
    "shrink, then repair": repair(shrink(both)),
    "repair, then shrink": shrink(repair(both)),
}
for name, y in orders.items():
    print(f"{name:<20} {decibels(x, y):.1f} dB")

# %%
# NBVAL_CHECK_OUTPUT
right, wrong = orders["repair, then shrink"], orders["shrink, then repair"]
cost = decibels(x, right) - decibels(x, wrong)
claim("the wrong order costs decibels", cost, ">", 2, unit="dB")

# %% [markdown]
# ## Exercise 4
#
# The chapter's network, `Residual` of `ae_lib.denoising`, with a target that
# is noisy as well. `fit` hands the loss the clean image, so the loss can add
# the noise.

# %%
from torch.nn.functional import mse_loss
from ae_lib.training import fit


def train_residual(spoil, loss=mse_loss, epochs=4):
    torch.manual_seed(0)
    model = Residual()
    options = {"epochs": epochs, "batch_size": 16, "loss": loss}
    fit(Spoilt(model, spoil), train, verbose=False, watch=0, **options)
    return model


# %% [markdown]
# First with clean targets, then with noisy ones.


# %%
def spoil(x, generator):
    return gaussian(x, 0.1, generator)


target = seeded(5)
taught = {
    "clean targets": train_residual(spoil),
    "noisy targets": train_residual(
        spoil, lambda y, x: mse_loss(y, spoil(x, target))
    ),
}

# %%
quality = {k: decibels(x, reconstruct(m, noisy)) for k, m in taught.items()}
print({name: f"{value:.2f} dB" for name, value in quality.items()})

# %% [markdown]
# The best answer under squared error is the *mean* of the targets that go with
# an input. The noise of the target is independent of the input and has mean 0,
# so the mean of noisy targets is that of clean ones; it only takes more images
# until it has averaged out. Clipping breaks this near black and white: there
# the noise that is left has a mean, and the network learns it as if it were
# part of the image.

# %%
# NBVAL_CHECK_OUTPUT
done = decibels(x, noisy)
cost = quality["clean targets"] - quality["noisy targets"]
worth = quality["noisy targets"] - done
claim("without a clean image it still denoises", worth, ">", 3, unit="dB")
claim("that costs less than 1 dB", cost, "<", 1, unit="dB")

# %% [markdown]
# ## Exercise 5
#
# The same share of the image is lost, in larger pieces.


# %%
def squares(size):
    return lambda x, generator: mask(x, 0.25, generator, size=size)


# %%
dials, scores = [0.4, 0.5, 0.7, 1.0, 1.4, 2.0], {}
for size in (1, 4):
    holed = mask(x, 0.25, seeded(1), size=size)
    holed_val = mask(x_val, 0.25, seeded(2), size=size)
    s = min(dials, key=lambda s: mse(x_val, repair(holed_val, s)))
    model = train_residual(squares(size))
    scores[size] = {
        "repair": decibels(x, repair(holed, s)),
        "network": decibels(x, reconstruct(model, holed)),
    }
    print(size, {k: f"{v:.1f} dB" for k, v in scores[size].items()})

# %% [markdown]
# A lost pixel has neighbours that know nearly all about it. The middle of a
# lost square has none beside it, and the mean of what lies around is a
# poor guess. There the network, which has seen how images go on, loses less
# than the filter, and has caught up with it.

# %%
# NBVAL_CHECK_OUTPUT
lost = {name: scores[1][name] - scores[4][name] for name in scores[1]}
claim("repair: squares cost decibels", lost["repair"], ">", 3, unit="dB")
ahead = scores[4]["network"] - scores[4]["repair"]
claim("on squares the network has caught up", ahead, ">", -0.3, unit="dB")
if pick(quick=True, full=False):  # a long training gains more on pixels
    less = lost["repair"] - lost["network"]
    claim("the network loses less", less, ">", 1, unit="dB")
