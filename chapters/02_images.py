# %% [markdown]
# # 02 · Images as data
#
# Four versions of the same training set lie before you. One trains well. One
# has the wrong range, one the wrong order, one its axes scrambled, and none of
# them raises an error. Could you tell them apart without training anything?
#
# **You will be able to**
#
# - say what shape, type and range a batch of images must have, and check it;
# - write the data set whose target is its own input;
# - split, shuffle and batch so that every image is seen once per epoch;
# - audit a data set in seconds and catch three silent mistakes.
#
# **Cost:** about 10 s on 2 CPU cores.

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
# ## What an image is
#
# The course keeps a whole data set in one tensor of bytes: `N` images, `C`
# channels, `H` rows, `W` columns, each number an integer from 0 to 255. That
# is the order in which PyTorch wants its axes. Picture files and plotting
# libraries put the channels last, and half of all scrambled data begins there.

# %%
images = data.load("cifar10", "train", limit=pick(quick=10_000, full=50_000))
print(images)
print(images.pixels.dtype, tuple(images.pixels.shape))  # (N, 3, 32, 32)
print(", ".join(images.classes))

# %% [markdown]
# Three bytes for each of 1,024 pixels make 3,072 numbers. Bytes are four times
# smaller than floats: 50,000 such images take 154 MB in memory, and all of
# them fit beside the model on any GPU.
#
# Networks want floats of moderate size. `to_unit` divides by 255, and it
# refuses to guess: floats outside [0, 1] are an error, since nobody knows what
# was done to them before.

# %%
x = images.unit()  # (N, 3, 32, 32), float in [0, 1]
mean, std = x.mean(dim=(0, 2, 3)), x.std(dim=(0, 2, 3))  # (3,), (3,)
for name, m, s in zip(("red", "green", "blue"), mean, std):
    print(f"{name:6} mean {m:.3f}   standard deviation {s:.3f}")

# %% [markdown]
# All three channels sit near the middle of the range. Should you subtract the
# mean and divide by the deviation, as classifiers do? For an autoencoder that
# changes the *target* too. Standardised pixels leave [0, 1], and then a
# sigmoid at the end of the decoder cannot reach them. How much does that cost
# even a perfect network? Clip the targets to what the sigmoid can give and
# measure what is left.

# %%
standard = (x - mean[:, None, None]) / std[:, None, None]  # (N, 3, 32, 32)
best = standard.clamp(0, 1)  # the best that a sigmoid could ever answer
lost = ((standard - best) ** 2).mean() / standard.var()
print(f"error that no training can remove: {lost:.0%} of the variance")

# %% [markdown]
# Standardised data and a sigmoid do not go together; [0, 1] and a sigmoid do,
# and that is what this course uses. The next figure shows how a byte image
# looks when someone shifts the range, divides twice or swaps the axes.
#
# **Guess first:** which of the three mistakes will be invisible to the eye?

# %%
swapped = images.pixels.permute(0, 2, 3, 1)  # (N, 32, 32, 3)
scrambled = swapped.reshape(-1, 3, 32, 32)  # right shape, wrong data
looks = torch.stack(
    [x[0], (2 * x[0] - 1).clamp(0, 1), x[0] / 255, scrambled[0] / 255]
)  # (4, 3, 32, 32)
titles = ["as it should be", "in [-1, 1]", "divided twice", "reshaped"]
plots.samples(looks, n=4, columns=4, titles=titles, source=images.source)

# %% [markdown]
# Dividing twice gives an image that is black to the eye and still has all its
# information; a shift to [-1, 1] loses its dark half once it is clipped for
# the screen. The last one is the treacherous one: `reshape` where `permute`
# was meant gives the right shape, the right range and the right mean.
#
# ## A data set whose target is its input
#
# A classifier's data set returns an image and a label. An autoencoder's
# returns the image twice. PyTorch asks for two methods: how many items are
# there, and what is item `i`?

# %%
from torch.utils.data import Dataset


class ReconstructionDataset(Dataset):
    def __init__(self, images):
        self.pixels = images.pixels  # (N, C, H, W) uint8

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, i):
        x = data.to_unit(self.pixels[i])  # (C, H, W), float in [0, 1]
        return x, x


# %% [markdown]
# The bytes become floats one image at a time, only when asked for. Returning
# the same tensor twice is safe here, for nothing changes it in place. A
# denoising autoencoder would return `(noisy, x)` instead, and that one line
# would be the whole difference.
#
# ## Splits
#
# Three sets with three jobs. The network learns from the training set. You
# make your choices on the *validation* set, which is cut from the training
# images by a seed. The *test* set stays closed until the last figure of a
# piece of work: whoever chooses by it measures their own choosing.

# %%
train, validation = data.hold_out(images, 1_000, seed=0)
print(len(train), "for training,", len(validation), "for validation")

# %% [markdown]
# A split should share no image with the other. Identical pictures in both
# would make the validation error look better than it is, so look for them by
# their bytes.


# %%
def fingerprints(images):
    return {pixels.numpy().tobytes() for pixels in images.pixels}


shared = fingerprints(train) & fingerprints(validation)
print(len(shared), "images of the validation set are also in the training set")

# %% [markdown]
# ## Batches and shuffling
#
# One epoch visits every image once, in an order drawn anew. Why bother? Many
# collections come sorted by class: first all airplanes, then all automobiles.
# Sort ours in the same way and look at what the network would be fed.
#
# **Guess:** how far does the mean colour of a batch of 128 wander from the
# mean of all images, sorted and shuffled?

# %%
by_class = train[train.labels.argsort(stable=True)]


def colours(pixels, **options):
    groups = data.batches(pixels, 128, **options)
    return torch.stack([data.to_unit(x).mean(dim=(0, 2, 3)) for x in groups])


sorted_colours = colours(by_class.pixels, shuffle=False)  # (batches, 3)
mixed_colours = colours(by_class.pixels, seed=0)  # (batches, 3)

# %% [markdown]
# Each point below is one batch: its mean amount of blue, in the order in which
# the network would meet it. Look for steps.

# %%
orders = {"sorted by class": sorted_colours, "shuffled": mixed_colours}
blue = {name: means[:, 2] for name, means in orders.items()}
steps = range(len(mixed_colours))
plots.line_with_spread(
    steps,
    blue,
    "batch of 128 images",
    "mean blue, 0 to 1",
    source=images.source,
)

# %% [markdown]
# Shuffled batches are small samples of the whole and wander only by chance.
# Sorted ones change in character as the classes go by, if the classes differ
# in colour: photographs do (airplanes and ships bring the sky), the stand-in's
# do not. What both share is that a sorted batch holds a single class. That is
# the number an audit should use.


# %%
def classes_per_batch(labels, **options):
    column = labels[:, None]  # (N, 1)
    sizes = [len(b.unique()) for b in data.batches(column, 128, **options)]
    return sum(sizes) / len(sizes)


sorted_classes = classes_per_batch(by_class.labels, shuffle=False)
mixed_classes = classes_per_batch(by_class.labels, seed=0)
print(
    f"classes per batch: {sorted_classes:.1f} sorted, "
    f"{mixed_classes:.1f} shuffled"
)

# %% [markdown]
# Everything random here comes from a seed: the same seed and epoch give the
# same order, on every machine. That is what makes a training run repeatable,
# and a claim below checks it.
#
# ## Two roads to a batch
#
# `DataLoader` is PyTorch's own way: it asks the data set for one image after
# the other and stacks them. The course takes a shorter road. All bytes stay in
# one tensor, a batch is one indexing operation, and 128 images become floats
# at once. Same images, same order; how much faster?

# %%
import time

loader = data.loader(train, 128, seed=0)
start = time.perf_counter()
slow = [x for x, target in loader]  # each x (128, 3, 32, 32)
middle = time.perf_counter()
batches = data.batches(train.pixels, 128, seed=0)
fast = [data.to_unit(pixels) for pixels in batches]
end = time.perf_counter()
print(
    f"DataLoader {middle - start:.2f} s, one tensor {end - middle:.2f} s, "
    f"ratio {(middle - start) / (end - middle):.1f}"
)

# %% [markdown]
# Batch by batch they agree in every pixel, as the claim below checks. The time
# between them is Python's: a function call and a small tensor for every single
# image. Beside the training
# itself it is small on a CPU, and large on a GPU that waits for its data. Keep
# the `DataLoader` for images that do not fit into memory or need decoding.

# %%
# NBVAL_CHECK_OUTPUT
different = sum(not torch.equal(a, b) for a, b in zip(slow, fast))
claim("both roads give the same batches in the same order", different, "<=", 0)
order, again, other = (data.epoch_order(9_000, seed=s) for s in (0, 0, 1))
moved = (order != again).sum()
claim("the same seed gives the same order", moved, "<=", 0)
claim("another seed moves nearly all", (order != other).sum(), ">", 8_900)

# %% [markdown]
# ## An audit
#
# Now the question of the opening. Three measurements, each of them a line or
# two, catch what the eye and the error messages miss.
#
# *Range*: smallest and largest value. *Order*: classes per batch. *Layout*:
# how strongly a pixel resembles its neighbour. In real images it does, at
# about 0.9, downwards and sideways alike; scrambled axes break that.


# %%
def neighbours(x):
    def correlation(a, b):
        return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]

    down = correlation(x[:, :, 1:], x[:, :, :-1])
    side = correlation(x[:, :, :, 1:], x[:, :, :, :-1])
    return down.item(), side.item()


# %% [markdown]
# The four suspects are the same 9,000 images, treated as people treat them.
# Before you run the cell, write down which measurement will convict which.


# %%
def scramble(pixels):
    return pixels.permute(0, 2, 3, 1).reshape(pixels.shape)


sound, order = train.unit(), data.epoch_order(len(train), seed=0)
suspects = {
    "sound": (sound, order),
    "unscaled": (255 * sound, order),
    "unshuffled": (by_class.unit(), torch.arange(len(train))),
    "scrambled": (scramble(sound), order),
}
labels = {name: train.labels for name in suspects}
labels["unshuffled"] = by_class.labels

# %% [markdown]
# One row for each suspect. A sound data set has a largest value of 1, batches
# with nearly all classes in them, and two neighbour correlations that are high
# and alike.

# %%
audit = {}
for name, (x, order) in suspects.items():
    groups = labels[name][order].split(128)
    mixed = sum(len(g.unique()) for g in groups) / len(groups)
    audit[name] = (x.max().item(), mixed, *neighbours(x[:2_000]))
    print(
        f"{name:11} max {audit[name][0]:5.1f}   classes {mixed:4.1f}   "
        f"down {audit[name][2]:.2f}   side {audit[name][3]:.2f}"
    )

# %% [markdown]
# Each mistake shows in one measurement. Ten seconds of looking at numbers
# replace an evening of wondering about a loss curve.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "sound images resemble their neighbours below", audit["sound"][2], ">", 0.8
)
claim("and beside, nearly as much", audit["sound"][3], ">", 0.8)
claim(
    "scrambled axes show in the neighbours: one direction falls below half",
    min(audit["scrambled"][2:]),
    "<",
    0.5,
)
claim(
    "sorted batches hold hardly more than one class",
    audit["unshuffled"][1],
    "<",
    1.5,
)
claim("shuffled batches hold nearly all ten", audit["sound"][1], ">", 9)

# %% [markdown]
# The two measurements that concern the split and the range stand as claims
# too: no image may be in both splits, and standardised pixels put part of the
# variance out of a sigmoid's reach.

# %%
# NBVAL_CHECK_OUTPUT
twice = len(shared) / len(validation)
claim("training and validation share next to no image", twice, "<", 0.01)
claim("a sigmoid loses at least a third of standardised", lost, ">", 0.33)

# %% [markdown]
# ## What we saw
#
# A data set can be wrong without an error message: wrong range, wrong order,
# wrong layout. Three measurements find these mistakes before any training. The
# data set of an autoencoder returns its input as its target. Validation is cut
# from the training images by a seed, and the test images wait. A tensor of
# bytes serves the same batches as a `DataLoader`.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **A noisy twin.** Write `NoisyDataset`, which returns `(noisy, x)` with
#    Gaussian noise of deviation 0.1, clipped to [0, 1], and always the same
#    noise for the same image. You have succeeded when two readings of item 7
#    are equal and noisy and clean differ by about 0.1 (root mean square).


# %% tags=["exercise"]
# Exercise 02.1
from torch.utils.data import Dataset


class NoisyDataset(Dataset):
    def __init__(self, images, sigma=0.1):
        self.pixels, self.sigma = images.pixels, sigma

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, i):
        """Return (noisy, x), both (C, H, W), floats in [0, 1]."""
        ...  # your code here


# %%
from ae_lib import exercises

exercises.check("02.1", NoisyDataset)

# %% [markdown]
# 2. **A split that does not leak.** Write `split(n, held, seed)`: which of $n$
#    rows train, and which are held back? No row in both, none lost, in no
#    order, and the same for the same seed.


# %% tags=["exercise"]
# Exercise 02.2
def split(n, held, seed):
    """Return (train, validation): n - held and held rows, 0 to n - 1."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("02.2", split)

# %%
exercises.progress("02")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **The loop that skips.** A program takes its batches as
#    `x[j * 100:(j + 1) * 100]` for `j in range(0, 1000, 100)`. How many of the
#    1,000 images does it ever see? Predict, then count.
# 4. **A fifth suspect.** Make a data set in which one image in ten is replaced
#    by the first image. Which one-line measurement catches it? Does the audit?
#
# Solutions: [solutions/02_images.ipynb](solutions/02_images.ipynb).
#
# ## Further reading
#
# - A. Krizhevsky, *Learning multiple layers of features from tiny images*,
#   technical report, University of Toronto, 2009. How CIFAR-10 was collected.
# - B. Barz and J. Denzler, *Do we train on test data? Purging CIFAR of
#   near-duplicates*, Journal of Imaging 6, 2020. They found that 3 % of the
#   test images have a near-twin in the training set.
# - D. Ruderman and W. Bialek, *Statistics of natural images: scaling in the
#   woods*, Physical Review Letters 73, 1994. Why neighbouring pixels agree.
# - The PyTorch documentation of
#   [torch.utils.data](https://docs.pytorch.org/docs/stable/data.html): samplers,
#   workers and what a `DataLoader` really does.
