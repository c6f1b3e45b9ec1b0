# %% [markdown]
# # 15 · Denoising
#
# "A denoising autoencoder removes noise": every tutorial has a picture of it.
# None has a second row, in which a filter of twenty lines, which has never
# seen a photograph, does the same. What would that row look like? And if the
# network is better, is it because of the *bottleneck*, through which noise
# does not fit?
#
# **You will be able to**
#
# - spoil images in three ways, and undo it with a filter tuned fairly;
# - turn any network into a denoiser by changing one line;
# - say what a bottleneck does to noise, and what it does to the image;
# - test a denoiser at noise it was not made for;
# - judge the claim that training with noise gives better features.
#
# **Cost:** about 70 s on 2 CPU cores.

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
# ## Three ways to spoil an image
#
# *Gaussian noise* moves every value a little, $x + \sigma\varepsilon$, and
# the result is clipped to the range that can be stored. *Salt and pepper*
# leaves most pixels intact and turns the others black or white. *Masking*
# loses pixels, or squares of them. All random numbers come from a generator,
# so that a seed repeats the damage.


# %%
def gaussian(x, sigma, generator):
    noise = torch.randn(x.shape, generator=generator)
    return (x + sigma * noise).clamp(0, 1)  # (N, C, H, W)


def salt_and_pepper(x, share, generator):
    u = torch.rand(len(x), 1, *x.shape[2:], generator=generator)
    x = torch.where(u < share / 2, torch.zeros_like(x), x)
    between = (u >= share / 2) & (u < share)  # (N, 1, H, W)
    return torch.where(between, torch.ones_like(x), x)


# %%
def mask(x, share, generator, size=1):
    n, _, height, width = x.shape
    tiles = (n, 1, height // size, width // size)
    lost = torch.rand(tiles, generator=generator) < share
    lost = lost.repeat_interleave(size, 2).repeat_interleave(size, 3)
    return x.masked_fill(lost, 0)  # lost: (N, 1, H, W)


# %% [markdown]
# None of this is a camera. On a sensor noise grows with the light; then
# missing colours are filled in from neighbours, tones are bent, the camera
# smooths, and JPEG rounds. What reaches the file differs with brightness, and
# neighbours and colours share it. Ours is equally strong everywhere and
# independent for each number, and $\sigma = 0.1$, which we shall use, is 25 of
# 255 steps: a bad photograph. A sensor has dead spots too, but few, and always
# in the same places. So this page measures what methods do to *known* damage.
#
# From here on we use those of `ae_lib.corruptions`, which are the same and
# also check what they are given. The images: 1,500 to train on, the same for
# each network and for PCA, 16 for validation, by which filters are tuned, and
# 100 test images for the verdict.

# %%
from ae_lib.corruptions import gaussian, mask, salt_and_pepper
from ae_lib.metrics import mse, psnr, reconstruct, ssim

train = data.load("cifar10", limit=pick(quick=1_516, full=50_000))
train, validation = data.hold_out(train, 16)
test = data.load("cifar10", "test", limit=1_000)
x, x_val = test[:100].unit(), validation.unit()  # (100 | 16, 3, 32, 32)
credit = test.source


def seeded(seed):
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# How much is much? Take five strengths of each, and measure the PSNR of the
# 100 test images so spoilt. (On this page answers are clipped to [0, 1] before
# they are measured, as they would be before they are stored.)

# %%
from ae_lib.plots.style import grid, picture, styled

KINDS = {
    "Gaussian, σ": (gaussian, [0.02, 0.05, 0.1, 0.2, 0.4]),
    "salt and pepper, share": (salt_and_pepper, [0.02, 0.05, 0.1, 0.2, 0.4]),
    "masked pixels, share": (mask, [0.05, 0.1, 0.25, 0.5, 0.75]),
}


def decibels(x, y):
    return psnr(mse(x, y.clamp(0, 1)))


@styled
def ladder(x, kinds, source):
    rows, above = [], []
    for spoil, strengths in kinds.values():
        spoilt = [spoil(x, s, seeded(0)) for s in strengths]
        rows.append([y[4].permute(1, 2, 0).numpy() for y in spoilt])
        pairs = zip(strengths, spoilt)
        above.append([f"{s:g}: {decibels(x, y):.1f} dB" for s, y in pairs])
    return grid(rows, names=list(kinds), above=above, source=source)[0]


# %% [markdown]
# One image at each strength; above it stands the PSNR of all 100.
# **Guess** before you look: at which $\sigma$, and at which share, do you stop
# seeing what it is?

# %%
ladder(x, KINDS, credit)

# %% [markdown]
# To most eyes it is gone at $\sigma = 0.4$, and with three quarters of the
# pixels; you may differ. Equal decibels do not look equal: at the same PSNR
# salt and pepper hides less than Gaussian noise, for most of its pixels are
# intact. A quarter of the pixels masked has a worse PSNR than either of the
# others at 0.2, and you know the image at once. Keep that in mind whenever the
# PSNR decides.
#
# The page works with one strength of each kind:

# %%
KNOWN = {
    "Gaussian": lambda x, g: gaussian(x, 0.1, g),
    "salt and pepper": lambda x, g: salt_and_pepper(x, 0.1, g),
    "masked pixels": lambda x, g: mask(x, 0.25, g),
}
noisy = {kind: spoil(x, seeded(1)) for kind, spoil in KNOWN.items()}
noisy_val = {kind: spoil(x_val, seeded(2)) for kind, spoil in KNOWN.items()}

# %% [markdown]
# ## What a sceptic would do
#
# Filters are cheap and have no weights, and most have one dial. The
# *Gaussian* filter averages neighbours. The *median* takes the middle one. The
# *bilateral* filter averages those neighbours that have a similar colour, so
# edges stay. *Non-local means* averages pixels whose surroundings look alike,
# wherever in the image they are. *Total variation* looks for the nearest image
# with little change from pixel to pixel.

# %%
import numpy as np
from skimage import filters, restoration


def average(x, sigma):
    return torch.from_numpy(filters.gaussian(x.numpy(), (0, 0, sigma, sigma)))


def median(x, size):
    return torch.from_numpy(
        filters.median(x.numpy(), np.ones((1, 1, size, size)))
    )


def each(function, x, **options):
    """Call a filter for colour images, (H, W, 3), on each of x."""
    images = x.permute(0, 2, 3, 1).numpy()
    done = [function(image, channel_axis=2, **options) for image in images]
    return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2).float()


# %%
def bilateral(x, c):
    f = restoration.denoise_bilateral
    return each(f, x, sigma_color=c, sigma_spatial=1, mode="edge")


def non_local(x, h):
    f = restoration.denoise_nl_means
    return each(f, x, h=h, patch_size=3, patch_distance=6, fast_mode=False)


def variation(x, weight):
    return each(restoration.denoise_tv_chambolle, x, weight=weight)


# %% [markdown]
# One more, for whoever looks closely. Pixels that salt, pepper or a mask has
# hit are exactly black or exactly white. So leave all others alone, and put
# the weighted mean of the *intact* neighbours into those. It takes four lines,
# and it knows something about the noise that the other filters do not.


# %%
def suspects(x):
    low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    return (high == 0) | (low == 1)  # (N, 1, H, W)


def repair(x, sigma):
    bad = suspects(x)
    weight = average((~bad).float(), sigma)  # (N, 1, H, W)
    mean = average(x * ~bad, sigma) / (weight + 1e-6)
    return torch.where(bad, mean, x)


# %% [markdown]
# A sceptic's filter gets a fair chance: for each kind of noise its dial is
# turned to where the 16 validation images come out best. PCA is a filter, too.
# Its first components hold most of the image, and only a share of the noise,
# for noise goes equally into all of them. So *cut* the others off. Or *shrink*
# each number in the code by $\lambda_i / (\lambda_i + \sigma^2)$, with
# $\lambda_i$ its variance in clean images: Wiener's filter, the best that is
# linear, as far as the $\lambda_i$ are right. We fit to all training images.

# %%
from ae_lib.baselines import PCA

pca = PCA.fit(train, 1_000)


def shrink(x, sigma):
    factor = pca.variances / (pca.variances + sigma**2)  # (1000,)
    return pca.decode(factor * pca.encode(x))


FILTERS = {
    "average": (average, [0.4, 0.6, 0.8, 1.0, 1.3, 1.6]),
    "median": (median, [3, 5, 7]),
    "bilateral": (bilateral, [0.03, 0.05, 0.1, 0.2, 0.5, 1.0]),
    "non-local means": (non_local, [0.08, 0.12, 0.2, 0.5, 1.0, 2.0]),
    "total variation": (variation, [0.03, 0.06, 0.1, 0.25, 0.5, 1.0]),
    "repair": (repair, [0.2, 0.3, 0.4, 0.5, 0.7]),
    "PCA, cut": (
        lambda x, k: pca.truncate(k)(x),
        [50, 100, 200, 400, 600, 800],
    ),
    "PCA, shrunk": (shrink, [0.03, 0.05, 0.1, 0.2, 0.3, 0.5]),
}


# %%
def tune(function, dials, noisy, clean):
    return min(dials, key=lambda dial: mse(clean, function(noisy, dial)))


dial, answers = {}, {}
for kind in KNOWN:
    answers[kind] = {"nothing": noisy[kind]}
    for name, (function, dials) in FILTERS.items():
        turned = tune(function, dials, noisy_val[kind], x_val)
        dial[kind, name] = turned
        answers[kind][name] = function(noisy[kind], turned)
    print(f"{kind}:", {name: dial[kind, name] for name in FILTERS})

# %% [markdown]
# **Guess:** which filter is best against which noise, and which of them is
# worse than doing nothing? Left PSNR, right SSIM, which compares local
# structure and is 1 for a perfect copy (chapter 02).


# %%
def table(names):
    print(f"{'':<20}" + "".join(f"{kind:>18}" for kind in answers))
    for name in names:
        row = [a[name].clamp(0, 1) for a in answers.values()]
        cells = [f"{decibels(x, y):7.1f} dB  {ssim(x, y):.2f}" for y in row]
        print(f"{name:<20}" + "".join(f"{cell:>18}" for cell in cells))


table(["nothing", *FILTERS])

# %% [markdown]
# On photographs no filter is worse than nothing in decibels; in SSIM the
# bilateral one is, on two kinds by a hair. And none is good at everything.
# Non-local means is strong against Gaussian noise, and so is PCA that shrinks,
# on photographs the best of all. Against specks both are poor: nothing else
# looks like a speck, so non-local means leaves it, or smears everything. There
# the median is good. And `repair`, which knows where to look, is far ahead of
# everybody on two kinds and does nothing at all on the third. Half of
# denoising is to know what the damage looks like.


# %%
# NBVAL_CHECK_OUTPUT
def gain(kind, a, b="nothing"):
    """Give the decibels by which a is better than b."""
    return decibels(x, answers[kind][a]) - decibels(x, answers[kind][b])


def best(kind, names=FILTERS):
    return max(names, key=lambda name: gain(kind, name))


means, specks = "non-local means", "salt and pepper"
claim("non-local means clean Gaussian noise", gain("Gaussian", means), ">", 4)
claim("on specks the median works", gain(specks, "median"), ">", 7, unit="dB")
ahead = gain(specks, "median", means)
claim("and leaves non-local means far behind", ahead, ">", 3, unit="dB")
for kind in (specks, "masked pixels"):
    second = best(kind, set(FILTERS) - {"repair"})
    ahead = gain(kind, "repair", second)
    claim(f"{kind}: repair is far ahead", ahead, ">", 5, unit="dB")

# %% [markdown]
# ## One line makes a denoiser
#
# An autoencoder is trained to give back what it is given. A *denoising*
# autoencoder is given a spoilt image and compared with the clean one,
#
# $$L = \frac1N \sum_i \lVert f(\tilde x_i) - x_i \rVert^2 ,$$
#
# with new damage $\tilde x$ each time an image is shown. `fit` compares
# with the images it draws, so it is enough to spoil them on their way in, and
# only in training. The last line of this cell is the whole idea:


# %%
from torch import nn


class Spoilt(nn.Module):
    """Let a network see spoilt images while it is trained."""

    def __init__(self, network, spoil, seed=0):
        super().__init__()
        self.network, self.spoil = network, spoil
        self.generator = seeded(seed)

    def forward(self, x):
        seen = self.spoil(x, self.generator) if self.training else x
        return self.network(seen)


# %%
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

QUIET = {"verbose": False, "watch": 0}


def train_autoencoder(spoil, epochs=4):
    torch.manual_seed(0)
    model = ConvAutoencoder(latent_dim=200)
    fit(Spoilt(model, spoil), train, epochs=epochs, batch_size=48, **QUIET)
    return model


# %% [markdown]
# The network of chapter 04, with its 200 numbers, once for each kind of noise.
# It sees each image four times.
# **Guess:** against Gaussian noise, is it better than the best filter? Better
# than PCA? Better than *nothing*?

# %%
for kind, spoil in KNOWN.items():
    model = train_autoencoder(spoil)
    answers[kind]["autoencoder, 200"] = reconstruct(model, noisy[kind])
    if kind == "Gaussian":
        narrow = model  # we meet it again
table(["autoencoder, 200"])

# %% [markdown]
# A disappointment. Against Gaussian noise the autoencoder is about as good as
# doing *nothing*, and decibels behind the filters and PCA. Whatever the
# damage, its answers have about the same quality, so the damage is not what
# limits them.


# %%
# NBVAL_CHECK_OUTPUT
AE = "autoencoder, 200"
scores = [decibels(x, methods[AE]) for methods in answers.values()]
spread = max(scores) - min(scores)
if pick(quick=True, full=False):  # a long training gains some decibels
    won = gain("Gaussian", AE)
    claim("autoencoder: hardly better than nothing", won, "<", 1.5, unit="dB")
behind = gain("Gaussian", best("Gaussian"), AE)
claim("far behind the best filter", behind, ">", pick(quick=3, full=1))
claim("three kinds of damage, one quality", spread, "<", 2.5, unit="dB")

# %% [markdown]
# Why? Not because of short training alone. Two hundred numbers cannot hold a
# photograph even if there is no noise at all: PCA with 200 components brings
# *clean* images back with the PSNR printed below, and so, after a long
# training on all 50,000 images, does this network (chapter 05 has the record).
# What the bottleneck takes from the noise it takes from the image as well.
# Compare that with the table of the filters: there PCA that shrinks makes more
# of the *noisy* photographs than these two of clean ones. (The record is of
# photographs, whatever your data.)

# %%
from ae_lib import results

ceiling = decibels(x, pca.truncate(200)(x))  # clean images
record = results.load("longer_cifar10_200")
recorded = min(run["mse"] for run in record["data"]["runs"])
print(f"PCA-200 of clean images: {ceiling:.1f} dB")
print(
    f"this network, 12 epochs of 50,000, clean images: {psnr(recorded):.1f} dB"
)
print(results.provenance_line(record))

# %% [markdown]
# ## Without a bottleneck
#
# "Undercomplete, or it learns to copy": that advice is about autoencoders that
# see clean images. To copy a *spoilt* image is a bad answer, so a denoiser
# needs no bottleneck. The next network has none. It is also told half of the
# answer: it starts with what it sees, and learns only what to take away,
#
# $$f(\tilde x) = \tilde x - g(\tilde x).$$
#
# Its convolutions work on 2×2 pixels folded into channels, which is four times
# cheaper. A `Block` of the library adds a correction, two convolutions with
# GELU between, to what comes in.

# %%
from ae_lib.blocks import Block


class Residual(nn.Module):
    """Estimate the damage, and take it away."""

    def __init__(self, width=32, depth=2):
        super().__init__()
        fold, unfold = nn.PixelUnshuffle(2), nn.PixelShuffle(2)
        first = nn.Conv2d(12, width, 3, padding=1)  # (B, 32, 16, 16)
        last = nn.Conv2d(width, 12, 3, padding=1)
        nn.init.zeros_(last.weight)  # at first it takes nothing away
        nn.init.zeros_(last.bias)
        blocks = [Block(width) for _ in range(depth)]
        self.damage = nn.Sequential(fold, first, *blocks, last, unfold)

    def forward(self, x):
        return x - self.damage(x)  # (B, 3, 32, 32)


# %%
def train_residual(spoil, epochs=4):
    torch.manual_seed(0)
    model = Residual()
    fit(Spoilt(model, spoil), train, epochs=epochs, batch_size=24, **QUIET)
    return model


count = sum(p.numel() for p in Residual().parameters())
more = sum(p.numel() for p in narrow.parameters()) / count
print(f"{count:,} weights, the autoencoder has {more:.0f} times as many")

# %% [markdown]
# **Guess** the row that it adds, for the three kinds of noise. The second row
# gives the network the knowledge of `repair`: its answer is taken where a
# pixel is suspect, and all others stay as they are.

# %%
wide = {kind: train_residual(spoil) for kind, spoil in KNOWN.items()}
for kind, model in wide.items():
    answers[kind]["no bottleneck"] = reconstruct(model, noisy[kind])
    mended = torch.where(
        suspects(noisy[kind]), answers[kind]["no bottleneck"], noisy[kind]
    )
    answers[kind]["on suspects only"] = mended
table(["no bottleneck", "on suspects only"])

# %% [markdown]
# Without the bottleneck the same idea works: several decibels above the
# autoencoder, on every kind, and better than what 200 numbers of PCA make of
# *clean* images. So a bottleneck is not what cleans. But look who else is
# there. Against Gaussian noise the network, after this short training, is
# level with non-local means or a little ahead, and so it is with PCA that
# shrinks, which is a formula. Against salt and pepper and lost pixels it
# *loses*, by decibels, to the four lines of `repair`. A part of that is
# knowledge and not skill: the network also changes pixels that were intact,
# and does better where it may not.


# %%
# NBVAL_CHECK_OUTPUT
NET = "no bottleneck"
for rival in (means, "PCA, shrunk"):
    ahead = gain("Gaussian", NET, rival)
    claim(f"Gaussian: not behind {rival}", ahead, ">", -0.3, unit="dB")
for kind in KNOWN:
    above = gain(kind, NET, AE)
    claim(f"{kind}: no bottleneck is better", above, ">", 3, unit="dB")
    over = decibels(x, answers[kind][NET]) - ceiling
    claim("also than clean images in 200 numbers", over, ">", 0.5, unit="dB")
for kind in (specks, "masked pixels"):
    if pick(quick=True, full=False):  # see the record below
        lost = gain(kind, "repair", NET)
        claim(f"{kind}: repair wins", lost, ">", 1.5, unit="dB")
    known = gain(kind, "on suspects only", NET)
    claim("knowing where to look helps the network", known, ">", 0, unit="dB")

# %% [markdown]
# How much of this is the short training? The course has a record of the same
# network after four times 12,000 photographs, eight times what it saw here,
# with three seeds; and, on the same 1,000 test images, of a filter: PCA that
# shrinks, fitted to those 12,000, for Gaussian noise, and `repair`, its dial
# tuned on other images, for the rest. **Guess** where the network is ahead
# now.

# %%
record = results.load("denoisers_cifar10")
lead_of = {}
for run in record["data"]["runs"]:
    row = {name: psnr(run[name]) for name in ("nothing", "filter", "network")}
    lead_of.setdefault(run["kind"], []).append(row["network"] - row["filter"])
    print(f"{run['kind']:<16}", {k: f"{v:.1f} dB" for k, v in row.items()})
print(results.provenance_line(record))

# %% [markdown]
# The order has turned, with every seed: the network is ahead of PCA by less
# than a decibel, and of `repair` by more than two. But `repair` has lost
# decibels since the table of filters, where it cleaned 100 images. So clean
# all 1,000 of this page with it, and ask how the error is shared among them.

# %%
speckled = salt_and_pepper(test.unit(), 0.1, seeded(1))
wrong = (repair(speckled, 0.7).clamp(0, 1) - test.unit()).square()
wrong = wrong.mean((1, 2, 3)).sort(descending=True).values  # (1000,)
for name, some in {"all": wrong, "all but ten": wrong[10:]}.items():
    print(f"repair, {name:11} {psnr(some.mean().item()):.1f} dB")

# %% [markdown]
# Of photographs ten in a thousand make a good part of the error: they have
# black or white areas of their own, and `repair` takes these for damage. The
# stand-in has none. Knowing what the damage looks like is worth a lot of
# training, until an image looks like the damage.

# %%
# NBVAL_CHECK_OUTPUT
claim("recorded: ahead of PCA", min(lead_of["Gaussian"]), ">", 0.3, unit="dB")
for kind in (specks, "masked pixels"):
    ahead = min(lead_of[kind])
    claim(f"recorded, {kind}: ahead of repair", ahead, ">", 2, unit="dB")

# %% [markdown]
# Now with your own eyes: the same six test images under each kind of noise.
# The filter shown is the best of the eight for that kind.


# %%
def show(kind):
    names = ["nothing", best(kind), "autoencoder, 200", "no bottleneck"]
    rows = {name: answers[kind][name].clamp(0, 1) for name in names}
    rows = {"spoilt": rows.pop("nothing"), **rows}
    return plots.compare(x, rows, n=6, source=credit, first="clean")


# %% [markdown]
# First Gaussian noise. **Look at** edges and small lights: who blurs, who
# leaves specks, who invents?

# %%
show("Gaussian")

# %% [markdown]
# The autoencoder's row has no noise, and little more than outlines of an
# image. The two others blur a little and leave some grain; nobody invents
# anything. They are hard to tell apart by eye; the numbers at the left have to
# decide. Next, salt and pepper. **Look for** specks that are left.

# %%
show("salt and pepper")

# %% [markdown]
# The network leaves coloured shadows where specks were; `repair` leaves hardly
# a trace. Last, a quarter of the pixels lost. **Guess** whether six images
# are enough to see a difference.

# %%
show("masked pixels")

# %% [markdown]
# They are. Where pixels were lost the network leaves coloured mottling once
# more; of `repair` you must look twice to find a trace. (The autoencoder, once
# more, mends nothing and blurs everything.)
#
# ## A level that nobody told you
#
# So far each method knew what was coming: the networks were trained for
# $\sigma = 0.1$, the dials tuned for it. A photograph comes without $\sigma$.
# A network can prepare for that: show it all levels from 0 to 0.3, another one
# for each image (a *blind* denoiser).


# %%
def any_level(x, generator):
    sigma = 0.3 * torch.rand(len(x), generator=generator)
    return gaussian(x, sigma, generator)  # one sigma for each image


blind = train_residual(any_level)

# %% [markdown]
# A filter can prepare, too: it can measure. In each block of 2×2 pixels the
# diagonal difference $(a - b - c + d)/2$ is small in most images and has the
# deviation $\sigma$ in noise. The median of its size, over 0.6745, estimates
# $\sigma$, and a few edges do not disturb a median (Donoho and Johnstone
# 1994). PCA then shrinks by the measured $\sigma$ of each image.


# %%
def estimate(x):
    left, right = x[..., ::2], x[..., 1::2]  # (N, 3, 32, 16)
    d = left[:, :, ::2] - right[:, :, ::2]
    d = (d - left[:, :, 1::2] + right[:, :, 1::2]) / 2  # (N, 3, 16, 16)
    return d.abs().flatten(1).median(dim=1).values / 0.6745  # (N,)


def measured(x):
    return shrink(x, estimate(x)[:, None])


LEVELS = [0, 0.025, 0.05, 0.1, 0.2, 0.3]
spoilt = {sigma: gaussian(x, sigma, seeded(1)) for sigma in LEVELS}
for sigma, y in spoilt.items():
    found = estimate(y)
    print(f"σ = {sigma:<5}  estimated {found.mean():.3f} ± {found.std():.3f}")

# %% [markdown]
# Low levels are overestimated, for fine detail looks like noise; high ones are
# underestimated, for clipping takes some of the noise away. The estimate is
# made for noise like ours, independent from pixel to pixel; that of a camera's
# JPEG is not.
#
# Five methods and doing nothing, each measured at six levels.

# %%
methods = {
    "network for σ = 0.1": lambda y: reconstruct(wide["Gaussian"], y),
    "blind network": lambda y: reconstruct(blind, y),
    "PCA shrunk for 0.1": lambda y: shrink(y, 0.1),
    "PCA shrunk, measuring": measured,
    "autoencoder for σ = 0.1": lambda y: reconstruct(narrow, y),
    "nothing": lambda y: y,
}
level = {
    name: [decibels(x, method(y)) for y in spoilt.values()]
    for name, method in methods.items()
}

# %% [markdown]
# **Draw on paper** before you run: PSNR against $\sigma$ for the network made
# for 0.1, for the blind one, and for doing nothing. Where do they cross? (The
# curve of nothing is cut at 45 dB.)

# %%
curves = {name: [min(v, 45) for v in row] for name, row in level.items()}
plots.line_with_spread(
    LEVELS, curves, "σ of the noise", "PSNR, dB", source=credit
)

# %% [markdown]
# All curves fall with the noise. What counts is who is above whom. The network
# made for 0.1 is ahead of the blind one there and at all lower levels; between
# 0.1 and 0.2 they cross, and at 0.3 it is behind. On clean images both do
# damage: doing nothing would be perfect, and at 0.025 still better than either
# of them. And PCA that measures, with no training but its fit, is decibels
# ahead of the blind network up to 0.05, on photographs, and about level with
# it above. The autoencoder's curve is flat: noise hardly disturbs it, and
# nothing is ever sharp.


# %%
# NBVAL_CHECK_OUTPUT
def lead(a, b, sigma):
    i = LEVELS.index(sigma)
    return level[a][i] - level[b][i]


made, any_, fixed, adaptive, squeezed, nothing = methods
claim("network for 0.1 damages clean images", level[made][0], "<", 40)
claim("at 0.3 the blind network leads", lead(any_, made, 0.3), ">", 0.3)
claim("at 0.1 it pays under 1 dB", lead(made, any_, 0.1), "<", 1)
faint = lead(nothing, any_, 0.025)
claim("faint noise: nothing beats the blind network", faint, ">", 0.5)
flat = level[squeezed][0] - level[squeezed][LEVELS.index(0.2)]
claim("the autoencoder's curve is flat up to 0.2", flat, "<", 1.5, unit="dB")
if pick(quick=True, full=False):
    clean = lead(adaptive, any_, 0)
    claim("clean: PCA that measures beats blind", clean, ">", 0.5, unit="dB")
    worst = min(lead(adaptive, any_, sigma) for sigma in LEVELS)
    claim("and is nowhere far behind", worst, ">", -1.2, unit="dB")

# %% [markdown]
# Turn the noise up yourself, with the mouse or the arrow keys, and change its
# kind. **Look for** the strength at which each row begins to lose to the row
# "spoilt". (The decibels are those of the four images shown.)

# %%
from ae_lib.explore import explore_denoising

DIALS = {kind: (spoil, max(s)) for kind, (spoil, s) in KINDS.items()}
answering = {name: f for name, f in methods.items() if name != "nothing"}
explore_denoising(test, DIALS, answering)

# %% [markdown]
# ## Another kind of noise
#
# An unknown level is the smaller surprise. Give each of the three networks the
# two kinds of noise that it has never seen. **Guess** whether any of them
# beats the best filter away from home. (Read a row as: made for this kind,
# measured on those.)

# %%
away = {
    home: {
        kind: decibels(x, reconstruct(model, noisy[kind])) for kind in KNOWN
    }
    for home, model in wide.items()
}
away["best filter"] = {
    kind: decibels(x, answers[kind][best(kind)]) for kind in KNOWN
}
print(f"{'':<18}" + "".join(f"{kind:>18}" for kind in KNOWN))
for home, row in away.items():
    cells = "".join(f"{value:>15.1f} dB" for value in row.values())
    print(f"{home:<18}{cells}")

# %% [markdown]
# On the diagonal each is at home. Elsewhere it is several decibels behind the
# network at home there, and behind a filter chosen for the kind. A denoiser
# learns the damage as much as the images. So do not expect one of these, or
# its decibels, to hold for the noise of your camera.


# %%
# NBVAL_CHECK_OUTPUT
for home in wide:
    fall = min(
        away[kind][kind] - away[home][kind] for kind in KNOWN if kind != home
    )
    behind = min(
        away["best filter"][kind] - away[home][kind]
        for kind in KNOWN
        if kind != home
    )
    claim(f"{home}: far behind the network at home", fall, ">", 3, unit="dB")
    claim(f"{home}: far behind the best filter", behind, ">", 2, unit="dB")

# %% [markdown]
# ## Are its features better?
#
# The other promise: who has to tell the image from the noise must learn what
# images are, so denoising makes better *features*. It is also recommended as a
# regulariser, against learning to copy. Test it as chapter 01 did, with a
# linear probe on the code. Three kinds of training of one network with 64
# numbers: as usual, with Gaussian noise of $\sigma = 0.2$, and with a third of
# the squares of 4×4 masked; three seeds each. PCA, which also has 64 numbers,
# is the rival.

# %%
from functools import partial
from ae_lib.features import extract, linear_probe

TRAINED = {
    "clean": lambda x, g: x,
    "noise 0.2": lambda x, g: gaussian(x, 0.2, g),
    "squares": lambda x, g: mask(x, 0.33, g, size=4),
}


def train_code(spoil, seed):
    torch.manual_seed(seed)
    model = ConvAutoencoder(latent_dim=64)
    options = {"epochs": 3, "batch_size": 50, "seed": seed} | QUIET
    fit(Spoilt(model, spoil, seed), train, **options)
    return model


# %%
SEEDS = range(3)
encoders = {
    name: [train_code(spoil, seed) for seed in SEEDS]
    for name, spoil in TRAINED.items()
}
torch.manual_seed(0)
encoders["untrained"] = [ConvAutoencoder(64).eval()]
encoders["PCA"] = [pca.truncate(64)]

# %% [markdown]
# The probe learns from clean training images, and is asked twice: about clean
# test images, and about test images with noise of $\sigma = 0.2$. **Guess:**
# in which of the two does training with noise help, if at all?

# %%
everything = test.unit()  # (1000, 3, 32, 32)
exams = {"clean": everything, "noisy": gaussian(everything, 0.2, seeded(3))}


@torch.no_grad()
def grade(model):
    learned = extract(model.encode, train)  # (N, 64)
    probe = partial(linear_probe, learned, train.labels)
    return {k: probe(model.encode(y), test.labels) for k, y in exams.items()}


marks = {k: [grade(model) for model in group] for k, group in encoders.items()}
grades = {
    exam: {name: [m[exam] for m in row] for name, row in marks.items()}
    for exam in exams
}

# %% [markdown]
# First the clean images. Blind guessing names one in ten.

# %%
share = "share named correctly"
plots.bars(grades["clean"], f"clean images, {share}", source=credit)

# %% [markdown]
# Whatever noise in training does to these features, it is no more than the
# spread between seeds, or a small loss. Now the noisy images.

# %%
plots.bars(grades["noisy"], f"noisy images, {share}", source=credit)

# %% [markdown]
# The code trained with this very noise loses next to nothing. But the usual
# code loses little more: on the noisy images the two are as close as their
# seeds. It was training on *images* that taught both to ignore such noise: the
# untrained network, with the same bottleneck, loses more, and PCA's directions
# have it for nothing. Masked squares prepare for masked squares, not for this.
# (On the stand-in, whose classes are hard, all shares are low.)


# %%
# NBVAL_CHECK_OUTPUT
def mean(exam, name):
    return sum(grades[exam][name]) / len(grades[exam][name])


better = mean("clean", "noise 0.2") - mean("clean", "clean")
kept = mean("clean", "noise 0.2") - mean("noisy", "noise 0.2")
gained = mean("noisy", "noise 0.2") - mean("noisy", "clean")
prepared = mean("noisy", "noise 0.2") - mean("noisy", "squares")
claim("clean: no gain by noise in training", better, "<", 0.03)
claim("noisy: trained with noise, it loses little", kept, "<", 0.04)
claim("noisy: nor is it far ahead of the usual one", gained, "<", 0.06)
claim("noisy: squares prepare for it less", prepared, ">", 0)

# %% [markdown]
# So the promise fails where it was made, for better features of ordinary
# images, at this size and with this short training. And of *indifference to
# that noise*, which sounds like the least that noise in training should buy,
# training on clean images had already given nearly all.

# %% [markdown]
# ## What we saw
#
# An autoencoder with a bottleneck [cleans nothing](#One-line-makes-a-denoiser)
# that it does not also blur: on Gaussian noise it was about as good as doing
# nothing, and far behind filters. One changed line makes a denoiser of any
# network, and [without a bottleneck](#Without-a-bottleneck) it is decibels
# better. After a short training it ends about level with non-local means and
# PCA that shrinks, a formula; and where the damage shows itself, four lines
# that know where to look [beat it](#Without-a-bottleneck). With eight times
# the images the network passed all of them, on record. A network for one level
# does damage at [another](#A-level-that-nobody-told-you), a blind one at low
# levels, and PCA that measures the noise is ahead of it there. [Another
# kind](#Another-kind-of-noise) defeats them all. Features [got no
# better](#Are-its-features-better?) by noise, and hardly more indifferent to
# it than training on clean images had made them. And none of this noise is a
# camera's: before you train a denoiser, look at what your damage is, and ask
# which filter knows what you know.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **The one line.** Write `denoising_loss(model, spoil, x, generator)`: the
#    mean squared error by which a network becomes a denoiser. `x` are clean
#    images, and `spoil(x, generator)` returns spoilt copies.


# %% tags=["exercise"]
# Exercise 15.1
def denoising_loss(model, spoil, x, generator):
    """Return the loss, a tensor of one number with a gradient.

    x (N, C, H, W) is clean; spoil(x, generator) returns a spoilt copy.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("15.1", denoising_loss)

# %% [markdown]
# 2. **A filter of your own.** Write `median_filter(x, size)` with nothing but
#    torch: each value becomes the median of the square around it, in its own
#    channel. Beyond the border the edge pixels are repeated.


# %% tags=["exercise"]
# Exercise 15.2
def median_filter(x, size):
    """Return the median of each square of size×size, the shape of x.

    x is (N, C, H, W), size an odd number.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("15.2", median_filter)

# %%
exercises.progress("15")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Two troubles at once.** Spoil test images with Gaussian noise of
#    $\sigma = 0.1$, and a tenth of the pixels with salt and pepper on top. You
#    have `repair` and PCA that shrinks. In which order do you use them? Write
#    down your reason first. You have succeeded when you can say what the wrong
#    order costs, in decibels, and why.
# 4. **No clean images.** Somebody has only noisy photographs. Train
#    `Residual` to turn one noisy copy into *another* noisy copy of the same
#    image, which it cannot predict. Compare with training on clean targets.
#    You have succeeded when you know what it costs, in decibels, and can say
#    why noise in the target averages out, and clipping does not.
# 5. **Lost squares.** Mask a quarter of the squares of 4×4 in place of
#    pixels. Train `Residual` on it, and let `repair` compete with a suitable
#    dial. You have succeeded when you can say how many decibels each of them
#    loses against lost pixels, and why one loses more.
#
# Solutions: [solutions/15_denoising.ipynb](solutions/15_denoising.ipynb).
#
# ## Further reading
#
# - P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol,
#   [*Stacked denoising autoencoders: learning useful representations in a deep
#   network with a local denoising criterion*](https://www.jmlr.org/papers/v11/vincent10a.html),
#   JMLR 11, 2010. Where the claim about features comes from; look at which
#   noise and which data it was tested with.
# - K. Zhang, W. Zuo, Y. Chen, D. Meng and L. Zhang, [*Beyond a Gaussian
#   denoiser: residual learning of deep CNN for image
#   denoising*](https://arxiv.org/abs/1608.03981), IEEE TIP 2017. The network
#   that estimates the damage, and its blind version.
# - K. Zhang, W. Zuo and L. Zhang, [*FFDNet: toward a fast and flexible
#   solution for CNN-based image denoising*](https://arxiv.org/abs/1710.04026),
#   IEEE TIP 2018. Folded pixels, and a network that is told σ.
# - A. Buades, B. Coll and J.-M. Morel, *A non-local algorithm for image
#   denoising*, CVPR 2005.
# - D. Donoho and I. Johnstone, *Ideal spatial adaptation by wavelet
#   shrinkage*, Biometrika 81, 1994. Where the estimate of σ comes from.
# - T. Plötz and S. Roth, [*Benchmarking denoising algorithms with real
#   photographs*](https://arxiv.org/abs/1707.01313), CVPR 2017. What became of
#   networks trained with Gaussian noise when they met cameras: a filter beat
#   them.
# - J. Lehtinen and others, [*Noise2Noise: learning image restoration without
#   clean data*](https://arxiv.org/abs/1803.04189), ICML 2018. Exercise 4 in
#   earnest.
