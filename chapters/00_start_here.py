# %% [markdown]
# # 00 · Start here
#
# An image of 32×32 colour pixels is 3,072 numbers. Send them through a network
# that has room for only 200 in its middle, and ask for the image back. What
# survives, and what decides it?
#
# **You will be able to**
#
# - train a convolutional autoencoder in five lines and say how good it is;
# - find your way through the course, on your laptop or on Colab;
# - choose between the two budgets, and know which data your figures show;
# - check that your machine is ready.
#
# **Cost:** about 30 s on 2 CPU cores.

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
# ## The images
#
# `data.load` gives you CIFAR-10 when it is on your disk: 50,000 small
# photographs of ten kinds of things. When it is not, you get *shapes*, a
# stand-in that the course draws itself, and a line says so. Nothing downloads
# unless you ask: `make data`, or `python -m ae_lib.fetch` in a terminal.
#
# Run the cell. Which of the two do you have? The small print under each figure
# always tells.

# %%
images = data.load("cifar10", "train", limit=pick(quick=8_000, full=50_000))
train, validation = data.hold_out(images, 1_000, seed=0)
plots.samples(images, n=16, columns=8, source=images.source)

# %% [markdown]
# If you see photographs, you have CIFAR-10; if you see drawn shapes on cloudy
# backgrounds, you have the stand-in. Both teach the same lessons. Every claim
# of the course is checked on both, and where they differ the text says so.
#
# ## Five lines
#
# Now the network. It folds each image into 200 numbers, the *code*, and
# unfolds the code into an image again. It sees each training image four times.

# %%
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

torch.manual_seed(0)
model = ConvAutoencoder(latent_dim=200)
history = fit(model, train, validation=validation, epochs=4)

# %% [markdown]
# `validation` is the mean squared error on 1,000 images that the network was
# not trained on. Is it a good number? An error alone means nothing: it needs
# something to be compared with. The cheapest competitor ignores the input and
# always answers with the mean image.
#
# **Guess before you run:** how many times larger is the error of the mean
# image, three times, or ten?

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, psnr, reconstruct

x = validation.unit()  # (1000, 3, 32, 32), float in [0, 1]
x_hat = reconstruct(model, x)  # (1000, 3, 32, 32)
pca = PCA.fit(train, 200)
rivals = {
    "mean image": MeanImage.fit(train)(x),
    "PCA, 200 numbers": pca(x),
    "our network": x_hat,
}
for name, y in rivals.items():
    print(f"{name:18} MSE {mse(x, y):.4f}   PSNR {psnr(mse(x, y)):.1f} dB")

# %% [markdown]
# The network is several times better than the mean image. And yet the third
# line is humbling: principal component analysis, a method of 1901 without a
# single non-linearity, also uses 200 numbers, and after so short a training it
# wins. Chapter 03 is about why, and chapter 05 about what it takes to change
# it.
#
# Look at the images before you read on. Find what the network keeps (place,
# colour, outline) and what it loses. Row three shows where it errs.

# %%
plots.reconstructions(x[:8], x_hat[:8], source=images.source)

# %% [markdown]
# Smooth regions and large outlines come back; edges and fine texture do not,
# and the error maps draw them. Keep this picture in mind as the starting line.
#
# Some statements in this course are *claims*: a sentence, a measured value and
# a bound. If a claim did not hold on your machine, its cell would stop with an
# error, here and in the automatic tests, for which the comment in its first
# line is a mark. These are the first two.

# %%
# NBVAL_CHECK_OUTPUT
mean_error, pca_error, our_error = (mse(x, y) for y in rivals.values())
claim(
    "the network's error is less than half that of the mean image",
    our_error / mean_error,
    "<",
    0.5,
)
verdict, bound = pick(quick=("still better", 1), full=("not yet beaten", 1.1))
claim(
    f"after four short epochs, PCA with as many numbers is {verdict}",
    pca_error / our_error,
    "<",
    bound,
)

# %% [markdown]
# ## The map
#
# | chapter | the question |
# |---|---|
# | [01 CNNs as feature extractors](01_features.ipynb) | What does a convolution see, and what are features good for? |
# | [02 Images as data](02_images.ipynb) | What must be true of the data before any training? |
# | [03 From PCA to autoencoders](03_pca_to_autoencoders.ipynb) | What is an autoencoder without its non-linearities? |
# | [04 Building](04_building.ipynb) | How do 3,072 numbers become 200 and an image again? |
# | [05 Training and validation](05_training.ipynb) | When has it learned, and how would you know? |
# | [06 Seeing what it learned](06_seeing.ipynb) | What is in the code, and what is lost? |
# | [07 Repairing a published network](07_repair.ipynb) | Which repairs of a published network pay? |
# | [08 The bottleneck, measured](08_bottleneck.ipynb) | How much fits into 10, 200, 1000 numbers? |
# | [09 Experiments that scale](09_scaling.ipynb) | When is a difference more than luck? |
# | [10 When training fails](10_training_fails.ipynb) | Which remedy cures what? |
# | [11 When reconstructions disappoint](11_reconstructions.ipynb) | Copies, blur, lost objects: which cures work? |
# | [12 The code that never changed](12_constant_code.ipynb) | Who made an autoencoder give one answer to everything? |
# | [13 A method](13_method.ipynb) | How do you find faults that hide one another? |
# | [14 Features for downstream models](14_downstream.ipynb) | Do codes help a classifier? |
# | [15 Denoising](15_denoising.ipynb) | Who removes noise better, a network or a filter? |
# | [16 Anomaly detection](16_anomalies.ipynb) | Is what reconstructs badly odd? |
# | [17 Generation](17_generation.ipynb) | What does a decoder say about a code nobody encoded? |
# | [18 Variants](18_variants.ipynb) | What does one more term in the loss buy? |
# | [19 Towards today's models](19_todays_models.ipynb) | What is a word of a picture worth, and who guesses what is hidden? |
# | [20 Your own images](20_own_images.ipynb) | What becomes of a folder of my pictures? |
#
# Each chapter asks you to predict before it shows, and ends with exercises.
# Worked solutions lie in the folder `solutions`, apart from the chapters, so
# that you can try first.
#
# ## Two budgets
#
# Everything runs on two CPU cores within minutes. That is the budget `quick`,
# and it is the default. With `AE_BUDGET=full` in the environment, before
# JupyterLab starts, the same notebooks use all 50,000 images and train longer:
# for a GPU, or for a night. What only the full budget can show is recorded in
# the course and shown beside your own quick run, with its date and machine.
#
# ## Your machine
#
# The last cell looks at what you have. A GPU is used when there is one; a
# recent processor computes with 16-bit numbers where that is faster.

# %%
from ae_lib.devices import fast_bf16, pick_device

device = pick_device()
print("budget   ", pick(quick="quick", full="full"))
print("images   ", images.source)
print("device   ", device, "with 16-bit training" if fast_bf16(device) else "")
print("speed    ", f"{max(history.images_per_second):,.0f} images/s")

# %% [markdown]
# The costs that the chapters state were measured at about 1,000 images per
# second. If you have far less, close other programs first, and run one
# training at a time: two would wait for each other.
#
# On **Colab**, choose *Runtime → Change runtime type → GPU*, then *Run all*.
# In **JupyterLab**, *Run → Run All Cells* does the same; Shift-Enter goes cell
# by cell, which is the better way to learn.
#
# ## What we saw
#
# A network with 200 numbers in its middle gives back recognisable images after
# seconds of training. Its error means something only beside a baseline, and
# the first serious baseline still beats it. From here on, every number in the
# course comes with its rival.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **A scale of your own.** Write `r_squared(x, x_hat, mean)`: the share of
#    the mean image's error that a reconstruction removes. It is 1 for a copy
#    and 0 for the mean image, which is that of the *training* images and is
#    given.


# %% tags=["exercise"]
# Exercise 00.1
def r_squared(x, x_hat, mean):
    """Return 1 - MSE / MSE of the mean image, a number.

    x and x_hat are (N, C, H, W) in [0, 1], mean is (C, H, W).
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("00.1", r_squared)

# %% [markdown]
# 2. **Decibels of a set.** Write `psnr_of_set(x, x_hat)`: −10 log₁₀ of the MSE
#    of *all* images together, as this course counts.


# %% tags=["exercise"]
# Exercise 00.2
def psnr_of_set(x, x_hat):
    """Return the PSNR in dB of the MSE of all images, a number.

    x and x_hat are (N, C, H, W) in [0, 1].
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("00.2", psnr_of_set)

# %%
exercises.progress("00")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Fewer numbers.** Train with `latent_dim=20` and compare with PCA of 20
#    components. Who wins now? You have succeeded when you can state both
#    errors.
# 4. **More patience.** Give the network of this chapter 12 epochs, not
#    four. By which factor does its error fall, and does it pass PCA?
# 5. **Your own baseline.** Shrink each image to 8×8 pixels and enlarge it
#    again. That keeps 192 numbers. How does it compare with the three above?
#
# Solutions: [solutions/00_start_here.ipynb](solutions/00_start_here.ipynb).
#
# ## Further reading
#
# - G. Hinton and R. Salakhutdinov, *Reducing the dimensionality of data with
#   neural networks*, Science 313, 2006. The paper that set deep autoencoders
#   against PCA, with the same question as this chapter.
# - K. Pearson, *On lines and planes of closest fit to systems of points in
#   space*, Philosophical Magazine 2, 1901. Where PCA begins.
# - A. Krizhevsky, *Learning multiple layers of features from tiny images*,
#   technical report, University of Toronto, 2009. Where CIFAR-10 comes from.
