# %% [markdown]
# # 08 · The bottleneck, measured
#
# The article of chapter 07 makes do with 200 numbers for a photograph of
# 32×32. From 1000 it sees an "almost perfect" reconstruction, and suspects
# that such a network under-generalises. How many decibels are "almost
# perfect"? What does the cheapest rival get from 1000 numbers? And how many
# *bytes* is a number, beside a JPEG file of the same image? Write down three
# guesses.
#
# **You will be able to**
#
# - read an error against `latent_dim`, and see what really limits it;
# - test whether a large code generalises, and whether it only copies;
# - say what a linear reader finds in codes of each size;
# - count a code in bytes that were written, and compare it with JPEG and WebP;
# - notice when a baseline is flattered by the data.
#
# **Cost:** about 80 s on 2 CPU cores.

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
# ## Four sizes, two seeds
#
# The network of chapter 04, trained for three epochs on few images, with codes
# of 10, 64, 200 and 1000 numbers. Its rivals are the mean image and PCA with
# as many numbers, fitted on the same images.

# %%
import copy
from dataclasses import replace

from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, psnr, reconstruct
from ae_lib.models import ConvAutoencoder, ResidualAutoencoder
from ae_lib.training import fit

SIZES, SEEDS = (10, 64, 200, 1000), (0, 1)
train = data.load("cifar10", limit=pick(quick=1_500, full=50_000))
test = data.load("cifar10", "test", limit=pick(quick=1_000, full=10_000))
x = test.unit()  # (N, 3, 32, 32)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


# %%
pca = PCA.fit(train, max(SIZES))
errors = {"network": [], "PCA": [], "mean image": []}
recipe = {"epochs": 3, "batch_size": 64, "optimizer": adam, "verbose": False}
for seed in SEEDS:
    row = []
    for size in SIZES:
        torch.manual_seed(seed)
        model = ConvAutoencoder(size)
        fit(model, train, seed=seed, **recipe)
        row.append(mse(x, reconstruct(model, x)))
    errors["network"].append(row)
errors["PCA"] = [mse(x, pca.truncate(k)(x)) for k in SIZES]
errors["mean image"] = [mse(x, MeanImage.fit(train)(x))] * len(SIZES)

# %% [markdown]
# **Predict** the two lines: which falls further from 10 numbers to 1000, and
# by what factor?

# %%
plots.line_with_spread(
    SIZES, errors, "latent_dim", "test MSE", True, True, source=test.source
)

# %% [markdown]
# PCA's error falls by about two hundred times, the network's by less than two.
# What limits it is no longer the code but the training. Whoever compares 200
# with 1000 on such a network learns about the recipe, and calls it a property
# of the bottleneck.

# %%
# NBVAL_CHECK_OUTPUT
low, high = torch.tensor(errors["network"]).aminmax(dim=0)  # of the seeds
linear = errors["PCA"]
if pick(quick=True, full=False):
    fall = high[1] / low[3]
    claim("network: 1000 numbers gain little over 64", fall, "<", 1.5)
claim("PCA: 1000 gain a lot over 64", linear[1] / linear[3], ">", 4)
claim("with 1000 PCA is far ahead", low[3] / linear[3], ">", 3)

# %% [markdown]
# ## All images, ten sizes
#
# So take a network that is not held back in this way: `ResidualAutoencoder`,
# which starts as PCA, trained on all 50,000 images. That takes longer than a
# page may. The course keeps two records: of the training, and of what was
# measured on the trained networks. The first line printed says how many seeds
# stand behind a number.

# %%
from ae_lib import results

trained, measured = map(results.load, ("sweep_cifar10", "rate_cifar10"))
print(results.provenance_line(trained), trained["data"]["settings"], sep="\n")
cells, rows = trained["data"]["cells"], measured["data"]["rows"]
net = [row for row in rows if row["method"] == "network"]
pca_rows = [row for row in rows if row["method"] == "PCA"]
record = measured["provenance"]["source"] + ", recorded"


def by_size(rows, key):
    """Return the sizes, and an array (seeds, sizes) of what stands at key."""
    sizes = sorted({row["latent_dim"] for row in rows})
    columns = [[r[key] for r in rows if r["latent_dim"] == k] for k in sizes]
    return sizes, torch.tensor(columns, dtype=torch.float64).T


# %%
KEYS = ("psnr", "ssim", "train_mse", "effective_rank", "code_std")
sizes, error = by_size(cells, "mse")  # (seeds, sizes)
linear = by_size(pca_rows, "mse")[1][:, : len(sizes)]  # (1, sizes)
mean = {key: by_size(cells, key)[1].mean(0) for key in KEYS}  # (sizes,)
gaps = 1 - mean["train_mse"] / error.mean(0)
at = {size: i for i, size in enumerate(sizes)}
print("size     dB  of PCA   SSIM of PCA    gap  rank   std")
for size, i in at.items():
    db, similar, _, rank, std = (mean[key][i].item() for key in KEYS)
    print(f"{size:4} {db:6.2f} {psnr(linear[0, i]):7.2f}  {similar:.3f}  "
          f"{pca_rows[i]['ssim']:.3f} {gaps[i]:6.1%} {rank:5.0f}  {std:.2f}"
          )  # fmt: skip

# %% [markdown]
# Now you can put numbers on the adjectives. "200 suffice" is about 26 dB, and
# "1000 are almost perfect" more than 40: of which PCA, which nobody trains,
# has nearly all. *Gap* is the share of the test error that training images do
# not have, *rank* the effective rank of the code (chapter 06), *std* the mean
# deviation of a number. *SSIM* compares means, contrasts and correlations in
# small windows; equal images have 1. **Before the figure,** read off the
# table: at which sizes is the network ahead of PCA by most?

# %%
gain = psnr(error) - psnr(linear)  # (seeds, sizes), dB
figure = plots.line_with_spread(
    sizes, {"network": gain}, "latent_dim", "dB above PCA", True, source=record
)
figure.axes[0].axhline(0, color="0.35", linestyle=":")
figure

# %% [markdown]
# What two epochs of training add to PCA is a fraction of a decibel, most in
# the middle. The code's size decides far more than the network does.

# %%
# NBVAL_CHECK_OUTPUT
ahead = (gain.mean(0) > 0).sum()
claim("the network is ahead of PCA at nearly all sizes", ahead, ">=",
      len(sizes) - 1)  # fmt: skip
claim("but nowhere by a whole decibel", gain.max(), "<", 1, unit="dB")
most = psnr(linear[0, at[1000]]) - psnr(linear[0, at[200]])
claim("from 200 to 1000 numbers PCA gains", most, ">", 15, unit="dB")
idle = sum(cell["dead_codes"] for cell in cells)
claim("no number of any code stands still", idle, "~", 0, tol=0)

# %% [markdown]
# ## The same images at every size
#
# Beside the record lies a picture: eight test images, and below them what the
# network of each size makes of them. Cut it into its tiles.

# %%
import numpy as np
from PIL import Image

sheet = np.asarray(Image.open(results.folder() / "rate_cifar10.png"))
tiles = torch.from_numpy(sheet.copy()).unflatten(0, (-1, 32))
tiles = tiles.unflatten(2, (-1, 32))  # (rows, 32, 8, 32, 3)
tiles = data.to_unit(tiles.permute(0, 2, 4, 1, 3))  # (rows, 8, 3, 32, 32)
shown = {f"{k} numbers": tiles[1 + i] for i, k in enumerate(sizes)}

# %% [markdown]
# **Before you look:** from which row on will you stop seeing a difference to
# the first?

# %%
plots.compare(tiles[0], shown, source=record)

# %% [markdown]
# With 10 numbers there are patches of light; at 64 you may name some objects,
# at 200 most. The last rows differ from the first only in the numbers beside
# them: the eye is no judge there.
#
# Turn the size yourself. Below the reconstruction stands its distance from the
# image, three times enlarged.

# %%
import ipywidgets
from ae_lib.explore import png


def strip(size):
    x, x_hat = tiles[0], tiles[1 + at[size]]
    off = (3 * (x_hat - x).abs()).clamp(0, 1)
    rows = [torch.cat(list(part), dim=2) for part in (x, x_hat, off)]
    return png(torch.cat(rows, dim=1), side=768)  # (3, 96, 256)


slider = ipywidgets.SelectionSlider(options=sizes, description="numbers")
screen = ipywidgets.Image(value=strip(sizes[0]), format="png")
slider.observe(lambda c: setattr(screen, "value", strip(c["new"])), "value")
ipywidgets.VBox([slider, screen])

# %% [markdown]
# What comes back last are edges and fine texture: chapter 06 measured that
# detail, not meaning, is what an image costs.
#
# ## Do 1000 numbers under-generalise?
#
# If they did, the error on new images would be well above that on training
# images. **Guess** the gap at 1000 numbers as a share of the test error: with
# 50,000 training images, and with 1,500.

# %%
few_gap = 1 - mse(train, pca(train.unit())) / mse(x, pca(x))
all_gap = 1 - pca_rows[at[1000]]["train_mse"] / linear[0, at[1000]].item()
print(f"PCA, few images {few_gap:.0%}, all images {all_gap:.1%}")
print(f"network, all images {gaps[at[1000]]:.1%}")

# %%
# NBVAL_CHECK_OUTPUT
if pick(quick=True, full=False):
    claim("PCA-1000 of few images: most of the error is gap", few_gap,
          ">", 0.6)  # fmt: skip
claim("1000 numbers of all images: little is", gaps[at[1000]], "<", 0.15)

# %% [markdown]
# The gap grows with the code, as the table above shows, and shrinks with the
# number of images: 1000 components of a few images fit those images, 1000 of
# fifty thousand fit photographs. A gap says nothing about images of another
# *kind*, though. So leave something out on purpose. One network of 1000
# numbers sees ships (the stand-in's ninth class, in its place), the other sees
# other classes only, as many images.

# %%
HELD, N = 8, pick(quick=1_200, full=40_000)  # the ninth class
groups = {"with it": train[:N], "without": train[train.labels != HELD][:N]}
wide, start = {}, {}
for name, images in groups.items():
    torch.manual_seed(0)
    wide[name] = ResidualAutoencoder(1000)
    wide[name].start_as_pca(images)
    start[name] = copy.deepcopy(wide[name])  # PCA with 1000 numbers
    fit(wide[name], images, epochs=2, verbose=False)

# %% [markdown]
# And inputs that neither has seen: photographs upside down, handwritten
# digits, gratings, photographs whose pixels are mixed (in all images alike),
# and white noise.

# %%
from torch.nn.functional import pad
from ae_lib.rate import elsewhere

digits = data.load("mnist", "test", limit=200)
large = pad(digits.pixels, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
digits = replace(digits, pixels=large)  # (200, 3, 32, 32)
random = torch.Generator().manual_seed(0)
turn, phase, fine = torch.rand(3, 300, 1, 1, generator=random) * 6.3
down, right = torch.meshgrid(*[torch.arange(32.0)] * 2, indexing="ij")
wave = (turn.cos() * down + turn.sin() * right) * (0.3 + fine / 8) + phase
gratings = (0.5 + 0.4 * wave.sin())[:, None].expand(-1, 3, -1, -1)

# %%
odd = elsewhere(test[:300])
inputs = {"test images": odd["as they are"]}
inputs["held-out class"] = x[test.labels == HELD]
inputs |= {"upside down": odd["upside down"], "digits": digits.unit()}
inputs |= {"gratings": gratings, "pixels mixed": odd["pixels mixed"]}
inputs["white noise"] = odd["white noise"]


def lost(model, x):
    """Return the share of the variance of x that is missing, 1 - R²."""
    return mse(x, reconstruct(model, x)) / x.var().item()


# %% [markdown]
# `lost` is 0 for a perfect copy. **Put the seven in order** before you run,
# and mark those where you expect the two networks to differ.

# %%
models = {**wide, "PCA without": start["without"]}
share = {k: [lost(m, v) for m in models.values()] for k, v in inputs.items()}
print(" " * 15, *(f"{name:>12}" for name in models))
for name, values in share.items():
    print(f"{name:<15}", *(f"{value:12.2%}" for value in values))

# %% [markdown]
# The network that never saw the class does nearly as well on it as the other,
# and upside-down photographs cost no more than upright ones. What 1000 numbers
# hold is neighbourhoods of similar pixels, whatever they show. Mix the pixels,
# and those are gone; white noise never had any. PCA does the same, row by row:
# two epochs on few images have hardly moved this network from its start. So
# check the turned photographs on the recorded one, too.

# %%
# NBVAL_CHECK_OUTPUT
held, normal = share["held-out class"], share["test images"]
claim("the held-out class costs hardly more, never seen", held[1] / held[0],
      "<", 1.25)  # fmt: skip
claim("upside down costs no more", share["upside down"][1] / normal[1],
      "<", 1.15)  # fmt: skip
turned = torch.cat([by_size(net, key)[1][:, at[1000]] for key in
                    ("upside down", "as they are")]).view(2, -1)  # fmt: skip
claim("nor in the record, after all images", (turned[0] / turned[1]).max(),
      "<", 1.15)  # fmt: skip
claim("mixed pixels cost many times as much",
      share["pixels mixed"][1] / normal[1], ">", 5)  # fmt: skip

# %% [markdown]
# So no: if anything, 1000 numbers generalise too widely. They describe
# whatever is smooth, and not ten classes of photographs.
#
# ## Is a large code a copy?
#
# "An overcomplete code learns the identity." Does it, and how would you
# notice? Count first. A linear code of $k$ numbers lets $k$ of 3,072
# directions through. White noise has all directions in equal parts, so a share
# of $k/3072$ comes back, and no more. **Guess** whether the recorded networks,
# which are not linear, keep to that line.

# %%
pixels = 3 * 32 * 32
variance = measured["data"]["noise_variance"]
noise = 1 - by_size(net, "white noise")[1] / variance  # (seeds, sizes)
values = {"network": noise, "k / 3072": [k / pixels for k in sizes]}
plots.line_with_spread(
    sizes, values, "latent_dim k", "share of white noise that comes back",
    source=record,
)  # fmt: skip

# %% [markdown]
# They do. With 1000 numbers two thirds of the noise are gone: far from the
# identity. Now a code that *is* overcomplete: each patch of 4×4 pixels becomes
# 64 numbers, which makes 4,096 for an image of 3,072. It could copy without
# loss, and beside it stands one that does: 48 numbers a patch, the pixels
# themselves. **Guess** how near the trained one comes to the copy.

# %%
from torch import nn

torch.manual_seed(0)
layers = nn.Conv2d(3, 64, 4, stride=4), nn.ConvTranspose2d(64, 3, 4, stride=4)
patches = nn.Sequential(*layers)  # the code is (B, 64, 8, 8): 4096 numbers
fit(patches, train, **(recipe | {"epochs": 8}))
copier = nn.Sequential(nn.PixelUnshuffle(4), nn.PixelShuffle(4))

# %%
codes = {"1000": wide["with it"], "4096, trained": patches, "copy": copier}
missing = {name: [lost(model, inputs[kind]) for kind in
                  ("test images", "pixels mixed", "white noise")]
           for name, model in codes.items()}  # fmt: skip
print("lost            photographs   mixed   noise")
for name, values in missing.items():
    print(f"{name:<16}", *(f"{value:9.2%}" for value in values))

# %% [markdown]
# With more numbers than pixels the trained network is, after 192 steps, far
# from a copy: it loses more of the photographs than 1000 numbers do, and all
# of the noise. Trained longer it comes nearer. Gradient descent finds the
# large directions first, and the small ones, where most of the noise lives,
# late. Chapter 11 watches that happen. So neither the length of the code nor a
# small error tells a copy. The error where there is nothing to know does.

# %%
# NBVAL_CHECK_OUTPUT
line = torch.tensor([k / pixels for k in sizes])
over = (noise - line).abs().max()
claim("recorded: noise comes back as k / 3072, nearly", over, "<", 0.03)
small, large_code, exact = missing.values()
claim("the copy loses nothing, whatever it is shown", max(exact), "<", 1e-9)
if pick(quick=True, full=False):  # trained longer, it comes nearer to a copy
    claim("4096 trained numbers lose more of photographs than 1000",
          large_code[0] / small[0], ">", 3)  # fmt: skip
    claim("and most of the noise", large_code[2], ">", 0.75)

# %% [markdown]
# ## What a linear reader finds
#
# Reconstruction is one use of a code. For another, ask how well the *linear
# probe* of chapter 01 names the class from it. The record has a probe for each
# size, trained on 10,000 images. **Guess:** where does the line flatten, and
# is the network above PCA?

# %%
probes = {"network": by_size(net, "probe")[1]}
probes["PCA"] = by_size(pca_rows, "probe")[1][:, : len(sizes)]
every = pca_rows[-1]  # all components, each scaled to a deviation of 1
probes["all 3,072 of PCA,\neach scaled to 1"] = [every["probe"]] * len(sizes)
plots.line_with_spread(
    sizes, probes, "latent_dim", "accuracy of a linear probe", True,
    source=record,
)  # fmt: skip

# %% [markdown]
# Ten numbers hold most of what can be had above chance. The line peaks long
# before the decibels do, and then it *falls*, though 1000 numbers contain all
# that 200 do. Before you blame the numbers, look at the reader: this probe
# scales each of them to a deviation of 1, and the last component, nearly
# noise, speaks as loudly as the first. **Guess** what it names from the pixels
# themselves, in which large directions stay large, beside 1000 of PCA. (With
# the few images of this page.)

# %%
from ae_lib.features import linear_probe

views = {"1000 of PCA": pca.encode, "pixels": lambda x: x.flatten(1)}
named = []
for name, view in views.items():
    known = view(train.unit()), train.labels
    named.append(linear_probe(*known, view(x), test.labels))
    print(f"{name}: {named[-1]:.1%}")

# %% [markdown]
# The pixels hold all that the numbers hold, and of photographs they name far
# more. So the fall belongs to *this* reader: more in the code harms whoever
# listens to all of it alike. And training for reconstruction has given it
# nothing that PCA did not.

# %%
# NBVAL_CHECK_OUTPUT
found = probes["network"].mean(0)
claim("10 numbers are well above chance", found[0], ">", 0.2)
claim(
    "the best size names some points more", found.max() - found[0], ">", 0.03
)
late = found.max() - found[at[1000]]
claim("1000 numbers name fewer again", late, ">", 0.02)
apart = (probes["network"] - probes["PCA"]).abs().max()
claim("the network's codes say as much as PCA's", apart, "<", 0.04)
if pick(quick=True, full=False):
    claim("pixels name no fewer than 1000 of PCA, scaled alike",
          named[1] - named[0], ">", -0.04)  # fmt: skip

# %% [markdown]
# ## How many bytes is a number?
#
# 200 numbers in float32 are 800 bytes. The JPEG file of such an image has
# about as many. So is the bottleneck no compression at all? It depends on how
# the numbers are written. Round each to a multiple of a *step* $\Delta$.
# Written as well as can be, a value of share $p$ takes $-\log_2 p$ bits; the
# mean over all values is the *entropy*.


# %%
def quantise(codes, step):
    return (codes / step).round().int()  # (N, D)


def entropy(symbols):
    """Return the bits of an image: the sum of the entropies of all units."""
    bits = 0.0
    for unit in symbols.T:
        p = unit.unique(return_counts=True)[1] / len(unit)
        bits -= (p * p.log2()).sum().item()
    return bits


# %% [markdown]
# Try it on PCA with its 1000 numbers. **Predict:** if the step is doubled, how
# many bits does each number save, and what does it cost in decibels?

# %%
z, seen = pca.encode(x), pca.encode(train.unit())  # (N, 1000)
for step in (0.1, 0.2, 0.4, 0.8, 1.6):
    symbols = quantise(z, step)
    bits, x_hat = entropy(symbols), pca.decode(step * symbols)
    used = (symbols != 0).float().mean()
    print(f"step {step}: {bits / 8:4.0f} bytes, {psnr(mse(x, x_hat)):.1f} dB, "
          f"{used:4.0%} of the numbers not 0")  # fmt: skip

# %% [markdown]
# Were all numbers in use, a doubled step would save each one bit, and cost 6
# dB. Here the first doubling saves 0.9 bit per number for 4.6 dB, the last 0.2
# for 2.7: by then most numbers are 0 already and cost little. *The step, and
# not the length of the code, sets the price.* A code of 1000 numbers can be
# cheaper than one of 200.
#
# Entropy is a promise; a coder keeps it. The one in `ae_lib.coder` writes a
# stream of bytes for each image, by tables counted on *training* images, and
# reads it back alone. What all share, tables and step, is counted once.

# %%
from ae_lib.coder import Tables, decode, encode

step = 0.4
tables = Tables.fit(quantise(seen, step).numpy())
symbols = tables.clip(quantise(z, step).numpy())
streams = encode(symbols, tables)
shared = tables.to_bytes()
again = decode(streams, Tables.from_bytes(shared))
written = sum(map(len, streams)) / len(streams)
print(f"{written:.1f} bytes per image, and {len(shared)} bytes once for all")

# %%
# NBVAL_CHECK_OUTPUT
promised = entropy(torch.from_numpy(symbols)) / 8
claim("what is read is what was written", (again != symbols).sum(), "~", 0,
      tol=0)  # fmt: skip
claim("the coder keeps the promise of the entropy, nearly",
      written / promised, "~", 1.08, tol=0.1)  # fmt: skip
claim("that is a twentieth of 1000 float32 numbers, or less",
      written / 4_000, "<", 1 / 20)  # fmt: skip

# %% [markdown]
# So a number is a tenth of a byte, at this step. Two or three bytes are the
# price of reading each image alone; the rest of the difference is that tables
# from training images do not quite fit test images.
#
# ## Against files: honest bytes
#
# A JPEG file of 32×32 pixels begins with some 600 bytes of tables that are the
# same in every file; WebP has 30. In large pictures nobody notices. To be fair
# we count both: *file*, and *bytes without header*, in which only what depends
# on the image is left. Our tables are not in our bytes either.

# %%
from ae_lib.rate import codec

few = test[:200]
for format, quality in [("JPEG", 15), ("JPEG", 60), ("WEBP", 10)]:
    c = codec(few, format, quality=quality)
    print(f"{format} {quality:2}: file {c['file']:4.0f}, without header "
          f"{c['bytes']:4.0f} bytes, {psnr(c['mse']):.1f} dB")  # fmt: skip

# %% [markdown]
# There is a trap. The photographs of our copy of CIFAR-10 *were* JPEG files
# once, rounded in blocks of 8×8. A second JPEG with the same blocks and tables
# finds its numbers rounded already, and has nothing to lose. So we also
# measure images that were *moved* by 3 and 5 pixels (the border that becomes
# free is filled with a mirror image), whose old blocks lie across the new
# ones. **Guess:** what does the move cost JPEG at its quality 75, and what
# PCA?


# %%
fair = [row for row in rows if row["latent_dim"] in sizes]  # for both the same


def points(place):
    """Return {method: [(bytes, MSE), ...]} for one of the two image sets."""
    found = {"network": [], "PCA": [], "JPEG": [], "WebP": []}
    for name, images in measured["data"]["codecs"].items():
        found[name.split(",")[0]] += images[place]  # with all its options
    for row in fair:
        found[row["method"]] += row["rates"][place]  # with all sizes
    return {name: pairs(all_) for name, all_ in found.items()}


def pairs(points):
    return [(point["bytes"], point["mse"]) for point in points]


# %% [markdown]
# Each method may choose, of all sizes and steps, or of all qualities and ways
# to store colour. Two settings can also share out the images between them:
# their mean bytes and mean error then lie *on the line* between the two. So
# what counts is the lower **convex hull** of all points: a setting above such
# a line is never the best. (PCA with more than 1000 numbers stays out, because
# the network has no such size.)


# %%
def slope(a, b):
    return (b[1] - a[1]) / (b[0] - a[0])  # error per byte, below 0


def frontier(pairs):
    kept = []
    for point in sorted(p for p in pairs if p[1] > 1e-6):  # lossless: later
        if kept and point[1] >= kept[-1][1]:
            continue
        while len(kept) > 1 and slope(kept[-1], point) <= slope(*kept[-2:]):
            kept.pop()  # it lies above the line
        kept.append(point)
    return kept


def quality(pairs, cost):
    """Return the PSNR at so many bytes, between the points of a frontier."""
    costs, errors = zip(*frontier(pairs))
    between = {"left": np.nan, "right": np.nan}  # and not beyond them
    return -10 * np.log10(np.interp(cost, costs, errors, **between))


# %%
sets = {"as they are": points("as they are"), "moved": points("moved")}
print("PSNR in dB, before and after the move")
for cost in (70, 100, 200, 285):
    row = [f"{cost} bytes:"]
    for name in sets["moved"]:
        before, after = (quality(s[name], cost) for s in sets.values())
        row.append(f"{name} {before:.1f} {after:.1f}  ")
    print(*row)
fell = {}
for k in (200, 1000):
    finest = [pca_rows[at[k]]["rates"][place][0]["mse"] for place in sets]
    fell[k] = psnr(finest[0]) - psnr(finest[1])
    print(f"PCA-{k}, smallest step: {fell[k]:.1f} dB less after the move")

# %% [markdown]
# At 285 bytes, near JPEG's quality 75, the move takes several decibels from
# JPEG: that much was flattery. It takes one or two from PCA and the network as
# well, for they were fitted to photographs with the old blocks in place, and
# little from WebP. PCA-1000 alone loses nearly 4 dB, where PCA-200 loses 0.3:
# a part of the 44 dB above is flattery, too, for what JPEG has rounded away
# costs no numbers. From here on, only moved images. On the left the lines, on
# the right their distance from PCA. **Look for** crossings.

# %%
from ae_lib.plots.style import PALETTE, picture, styled


@styled
def rate_figure(found, source):
    left, right = (figure := picture(9, 4.2, source)).subplots(1, 2)
    grid = np.geomspace(6, 900, 400)
    for colour, (name, pairs) in zip(PALETTE, found.items()):
        costs, errors = zip(*frontier(pairs))
        left.plot(costs, psnr(torch.tensor(errors)), ".", color=colour)
        left.plot(grid, quality(pairs, grid), color=colour)
        ahead = quality(pairs, grid) - quality(found["PCA"], grid)
        right.plot(grid, ahead, color=colour, label=name)
    left.set(ylabel="PSNR, dB")
    right.set(ylabel="dB above PCA at as many bytes")
    for axes in (left, right):
        axes.set(xscale="log", xticks=(10, 30, 100, 300, 1000))
        axes.set(xlabel="bytes per image, no header")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    right.legend()
    return figure


rate_figure(sets["moved"], record + ", moved by (3, 5) pixels")

# %% [markdown]
# The network leads PCA everywhere, by up to 0.4 dB where bytes are few and by
# next to nothing where they are many. Only the codecs cross, near 170 bytes:
# below, JPEG is ahead, above it WebP. Both lie below PCA, mostly by a decibel
# or two, and by less near 540 bytes, where 1000 numbers have no more to give.
# They were made for all pictures, and for larger ones; network and PCA were
# fitted to photographs of just this kind and size. Now look at two codes of
# the record: 200 numbers with a fine step, 1000 with a coarse one. **Which is
# cheaper?**

# %%
moved, point = sets["moved"], {}
for row in net[: len(sizes)]:  # of the first seed
    for p in row["rates"]["moved"]:
        point[row["latent_dim"], p["step"]] = p
for key in ((200, 0.1), (1000, 0.4)):
    p = point[key]
    print(f"{key[0]:4} numbers, step {key[1]}: {p['bytes']:.0f} bytes, "
          f"{psnr(p['mse']):.1f} dB")  # fmt: skip

# %% [markdown]
# The longer code is the cheaper one, and the better. A bottleneck counted in
# numbers is a convenience of programming; information is counted in bits.

# %%
# NBVAL_CHECK_OUTPUT
fine, coarse = point[200, 0.1], point[1000, 0.4]
claim("1000 numbers, coarse: fewer bytes than 200, fine",
      coarse["bytes"] / fine["bytes"], "<", 1)  # fmt: skip
claim("and less error", coarse["mse"] / fine["mse"], "<", 1)
grid = np.geomspace(10, 540, 200)  # bytes
ours, rival, *codecs = (quality(moved[name], grid) for name in moved)
ahead = ours - rival
claim("few bytes or many: the network is ahead of PCA", ahead.min(), ">", 0)
claim("but nowhere by half a decibel", ahead.max(), "<", 0.5, unit="dB")
claim("PCA is ahead of both codecs, headers left out",
      np.nanmin(rival - codecs), ">", 0.3, unit="dB")  # fmt: skip

# %% [markdown]
# All this is without headers and tables. With them, at 25 dB: the codecs'
# whole files, and our streams with a ten-thousandth of what all test images
# share.


# %%
def cost_of(pairs, db):
    """Return the bytes that it takes to reach so many decibels."""
    costs, errors = map(np.array, zip(*frontier(pairs)))
    return np.interp(-(10 ** (-db / 10)), -errors, costs).item()


whole = {name: [] for name in moved}
for name, images in measured["data"]["codecs"].items():
    own = [(c["file"], c["mse"]) for c in images["moved"]]
    whole[name.split(",")[0]] += own
for row in fair:
    for p in row["rates"]["moved"]:
        whole[row["method"]].append((p["bytes"] + p["shared"] / 1e4, p["mse"]))
for name in moved:
    print(f"{name:<8} {cost_of(moved[name], 25):4.0f} bytes, with all that is "
          f"shared {cost_of(whole[name], 25):4.0f}")  # fmt: skip

# %% [markdown]
# Our side has paid less than a byte; WebP pays 30, and JPEG is buried under
# its tables. (What our side has not paid yet is the decoder. Wait for it.)

# %%
# NBVAL_CHECK_OUTPUT
flattery = {name: quality(sets["as they are"][name], 285)
            - quality(moved[name], 285) for name in moved}  # fmt: skip
claim("285 bytes: the move costs JPEG several decibels", flattery["JPEG"],
      ">", 4, unit="dB")  # fmt: skip
claim("PCA less than two", flattery["PCA"], "<", 2, unit="dB")
claim("and WebP less than one", flattery["WebP"], "<", 1, unit="dB")
claim("PCA-1000 is flattered more than PCA-200", fell[1000] - fell[200], ">",
      2, unit="dB")  # fmt: skip
ours, _, jpeg, webp = (cost_of(whole[name], 25) for name in moved)
claim("25 dB as files: JPEG needs many times the bytes", jpeg / ours, ">", 5)
claim("and WebP a third more or worse", webp / ours, ">", 1.3)

# %% [markdown]
# ## Where JPEG and WebP win: other pictures, few pictures, every bit
#
# First, other pictures. The PCA of this page, fitted on photographs, is given
# the digits; so is WebP. **Guess** by how much WebP is ahead at equal bytes.

# %%
from ae_lib.rate import curve

steps = (0.1, 0.14, 0.2, 0.28, 0.4, 0.57, 0.8)
lead = {}
for name, images in {"test images": few, "digits": digits}.items():
    webp = codec(images, "WEBP", quality=10)
    ours = curve(pca, seen, [images], steps)[0]
    at_equal = quality(pairs(ours), webp["bytes"])
    lead[name] = psnr(webp["mse"]) - at_equal
    print(f"{name:<12} {webp['bytes']:.0f} bytes: PCA {at_equal:.1f} dB, "
          f"WebP {psnr(webp['mse']):.1f} dB")  # fmt: skip

# %% [markdown]
# On digits the codec wins by a wide margin. Its transforms are made for edges
# on flat ground, too; components of photographs are not.
#
# Second, few pictures. Whoever wants to read our streams needs the decoder:
# the matrices. JPEG's and WebP's are on every machine already. At 25 dB, how
# many images must share the decoder until it has paid for itself? Each weight
# is counted with two bytes.


# %%
def cheapest(method, db):
    """Return (bytes, size) of the code that reaches db in the fewest bytes."""
    found = []
    for row in [row for row in fair if row["method"] == method]:
        own = pairs(row["rates"]["moved"])
        if psnr(frontier(own)[-1][1]) > db:
            found.append((round(cost_of(own, db)), row["latent_dim"]))
    return min(found)


def weights(method, size):
    if method == "PCA":
        return pixels * (size + 1)  # and the mean image
    decoder = ResidualAutoencoder(size).decoder
    return sum(p.numel() for p in decoder.parameters())


# %%
rival = min(cost_of(moved[name], 25) for name in ("JPEG", "WebP"))
pays = {}
for name in ("network", "PCA"):
    bytes_, size = cheapest(name, 25)
    pays[name] = 2 * weights(name, size) / (rival - bytes_)
    print(f"{name:<8} {size} numbers, {bytes_} bytes; the codecs {rival:.0f}. "
          f"Pays from {pays[name]:,.0f} images on")  # fmt: skip

# %% [markdown]
# PCA pays from about 90,000 images on, the network from over 200,000.
#
# Third, every bit. Our codes are not lossless at any step, for no code of 1000
# numbers holds 3,072. WebP has a mode that is.

# %%
# NBVAL_CHECK_OUTPUT
claim("digits: the codec is ahead by decibels", lead["digits"], ">", 3,
      unit="dB")  # fmt: skip
claim("the network's decoder pays for hundreds of thousands of images",
      pays["network"], ">", 200_000)  # fmt: skip
claim("PCA's for many tens of thousands", pays["PCA"], ">", 80_000)
exact = measured["data"]["codecs"]["WebP, lossless"]["moved"][0]
claim("WebP, lossless: an error of", exact["mse"], "~", 0, tol=0)
claim("in about half the bytes of the pixels", exact["bytes"] / pixels,
      "~", 0.5, tol=0.1)  # fmt: skip

# %% [markdown]
# So an autoencoder is no codec for a folder of holiday pictures. Learned
# codecs that do beat the standards are trained for the rate itself, on all
# kinds of pictures, and ship one decoder for everybody.
#
# ## What we saw
#
# On a network that is [trained briefly](#Four-sizes,-two-seeds) the size of the
# code hardly matters, and comparing sizes compares nothing. Trained on all
# images, 200 numbers give 26 dB and [1000 give 44](#All-images,-ten-sizes), of
# which PCA has nearly all, and the JPEG copy its part. A thousand numbers do
# [not under-generalise](#Do-1000-numbers-under-generalise?): the gap grows
# with the code, but shrinks with the number of images, and a class never seen
# comes back nearly as well. Nor do they [copy](#Is-a-large-code-a-copy?):
# noise comes back as $k/3072$. A [linear
# reader](#What-a-linear-reader-finds) names 37 % at best, from about 100
# numbers, and fewer from 1000, if each of them speaks equally loudly. In
# bytes, [the step sets the price](#How-many-bytes-is-a-number?), not the
# length: a number can be a tenth of a byte. [Per
# image](#Against-files:-honest-bytes) the network is a little ahead of PCA, and
# PCA of JPEG and WebP, once headers are left out and the JPEG copy may not
# flatter them. And the codecs
# [win](#Where-JPEG-and-WebP-win:-other-pictures,-few-pictures,-every-bit) on
# other pictures, on fewer than some 90,000, and where every bit counts.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **Only what stands above the water.** In theory a normal number of
#    variance $v$ that may be wrong by $D$ (squared, on average) costs
#    $\frac12\log_2(v/D)$ bits. One with $v \le D$ costs nothing: it is left
#    out, which is wrong by $v$. Write `under_water(variances, level, values)`:
#    the bytes of an image, and its MSE, if all numbers get the same $D$, the
#    water level. It says why the step sets the price, and not the length.


# %% tags=["exercise"]
# Exercise 08.1
def under_water(variances, level, values):
    """Return (bytes of an image, MSE) if each number may err by level.

    variances (D,) are those of PCA's numbers; values is C·H·W, the number of
    values of an image. What PCA leaves out does not count here.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("08.1", under_water)

# %% [markdown]
# 2. **Other people's tables.** A value of share $p$ that is written by tables
#    which say $q$ costs $-\log_2 q$ bits. Write `bits_per_value(p, q)`: the
#    mean over the values that occur. Some may never occur.


# %% tags=["exercise"]
# Exercise 08.2
def bits_per_value(p, q):
    """Return the mean bits of values with shares p by tables that say q.

    p and q are (K,), and each sums to 1; either may hold zeros.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("08.2", bits_per_value)

# %%
exercises.progress("08")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **A step for each unit.** "Each number deserves the same precision": give
#    each unit of PCA's code a step in proportion to its own deviation, and
#    compare with one step for all at equal bytes. You have succeeded when you
#    can say which is better, by how many decibels, and why.
# 4. **Why not zip?** Write the rounded codes of 500 images as int8 into one
#    piece and deflate it with `zlib`. Compare with the coder of this page. You
#    have succeeded when you can say what zlib cannot know.
# 5. **By heart.** Fit PCA with as many components as 400 images allow. What is
#    its error on those images, on others, and how much white noise comes back?
#    You have succeeded when three numbers tell this code from the identity.
#
# Solutions:
# [solutions/08_bottleneck.ipynb](solutions/08_bottleneck.ipynb).
#
# ## Further reading
#
# - J. Ballé, V. Laparra, E. P. Simoncelli, [End-to-end optimized image
#   compression](https://arxiv.org/abs/1611.01704), ICLR 2017. An autoencoder
#   that is trained for rate *and* distortion, and beats JPEG at its own game.
# - J. Duda, [Asymmetric numeral systems](https://arxiv.org/abs/1311.2540), of
#   2013: the coder of this page, by its inventor.
# - G. K. Wallace, The JPEG still picture compression standard, *Communications
#   of the ACM* 34 (4), 1991. Transform, step, entropy code: the same three
#   parts, without any training.
# - G. Alain, Y. Bengio, [Understanding intermediate layers using linear
#   classifier probes](https://arxiv.org/abs/1610.01644), 2016. What a linear
#   reader can and cannot tell.
