# %% [markdown]
# # 00 · Start here: solutions
#
# Try the exercises first. Each solution ends in a claim, so that you can see
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
# The images are those of the chapter, a few fewer of them to save time.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

images = data.load("cifar10", "train", limit=pick(quick=6_000, full=50_000))
train, validation = data.hold_out(images, 1_000, seed=0)
x = validation.unit()  # (1000, 3, 32, 32)


def error_after(epochs, latent_dim):
    torch.manual_seed(0)
    model = ConvAutoencoder(latent_dim)
    fit(model, train, epochs=epochs, verbose=False)
    return mse(x, reconstruct(model, x))


# %% [markdown]
# ## Exercise 1
#
# One mean over all images for each of the two errors, and one division. The
# mean of the single images' R² would be another number: there a calm image,
# with little error to remove, counts as much as a busy one.


# %% tags=["exercise"]
# Exercise 00.1
def r_squared(x, x_hat, mean):
    """Return 1 - MSE / MSE of the mean image, a number.

    x and x_hat are (N, C, H, W) in [0, 1], mean is (C, H, W).
    """
    # --- solution
    error = (x - x_hat).square().mean()
    error_of_mean = (x - mean).square().mean()
    return 1 - error / error_of_mean
    # --- end


# %%
from ae_lib import exercises

exercises.check("00.1", r_squared)

# %% [markdown]
# ## Exercise 2
#
# First the mean, then the logarithm. Many programs do it the other way round.
# The mean of the single images' PSNRs is never lower, and higher the more the
# images differ: an easy way to gain a decibel on paper.


# %% tags=["exercise"]
# Exercise 00.2
def psnr_of_set(x, x_hat):
    """Return the PSNR in dB of the MSE of all images, a number.

    x and x_hat are (N, C, H, W) in [0, 1].
    """
    # --- solution
    error = (x - x_hat).square().mean()
    return -10 * torch.log10(error)
    # --- end


# %%
from ae_lib import exercises

exercises.check("00.2", psnr_of_set)

# %% [markdown]
# ## Exercise 3
#
# Only the size of the code changes, for the network and for PCA alike. Fit PCA
# once, with 200 components, and cut it to the first 20.

# %%
pca = PCA.fit(train, 200)
error_20 = {"PCA": mse(x, pca.truncate(20)(x)), "network": error_after(4, 20)}
print({name: round(value, 4) for name, value in error_20.items()})

# %% [markdown]
# PCA still wins, but narrowly: at 200 numbers it was far ahead, at 20 the two
# are neighbours. The smaller the code, the sooner the network has learned to
# fill it. With more steps the order turns, as chapter 03 shows for 32 numbers.

# %%
# NBVAL_CHECK_OUTPUT
ratio_20 = error_20["network"] / error_20["PCA"]
claim("with 20 numbers the two are neighbours", ratio_20, "~", 1, tol=0.5)

# %% [markdown]
# ## Exercise 4
#
# Three times the epochs, here 6 against 2 to save time: you had 12 against 4.
# Note that the schedule of the learning rate is stretched too: it falls to
# zero at the end of the run, however long it is.

# %%
error_2, error_6 = error_after(2, 200), error_after(6, 200)
error_pca = mse(x, pca(x))
print(f"2: {error_2:.4f}   6: {error_6:.4f}   PCA: {error_pca:.4f}")

# %%
# NBVAL_CHECK_OUTPUT
gain = error_6 / error_2
claim("three times the epochs cut the error by a fifth", gain, "<", 0.8)
claim("and leave PCA far ahead", error_6 / error_pca, ">", 1.2)

# %% [markdown]
# It falls, and PCA is still far ahead. With so few images, patience alone does
# not change that; chapter 05 follows the race with all 50,000.
#
# ## Exercise 5
#
# Averaging blocks of 4×4 pixels keeps 3×8×8 = 192 numbers. No training at all.

# %%
import torch.nn.functional as F

small = F.avg_pool2d(x, 4)  # (1000, 3, 8, 8)
large = F.interpolate(small, size=32, mode="bicubic").clamp(0, 1)
error_small = mse(x, large)
print(f"8×8 pixels {error_small:.4f}   PCA {error_pca:.4f}")

# %% [markdown]
# Shrinking costs nothing, beats the mean image several times over, and loses
# to PCA and to the network of the chapter. PCA spends its numbers better: it
# may choose *which* 200 weighted sums to keep.

# %%
# NBVAL_CHECK_OUTPUT
claim("PCA with 200 numbers beats 192 pixels", error_pca / error_small, "<", 1)
nothing = mse(x, train.unit().mean(0).expand_as(x))
claim("8×8 pixels beat the mean image", nothing / error_small, ">", 3)
