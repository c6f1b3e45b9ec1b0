# %% [markdown]
# # 20 · Your own images
#
# You have a folder of pictures, and you want an autoencoder of it. One of the
# files was cut off while it was copied. One is a photograph that was taken
# with the camera held sideways. One is a text, whatever its name says. Will
# your program stop at half past two at night, and if it does not: what did it
# learn from the other two? And how many pictures are enough?
#
# **You will be able to**
#
# - read any folder of pictures, and say what became of each file;
# - find copies, and split so that no picture is on both sides;
# - choose a size and a network before you wait for either;
# - tell whether your network is worth more than PCA on your pictures;
# - save it, export it, and show that the exported file gives the same answers.
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
# The chapter makes a folder of pictures for itself. Put the path of your own
# folder into the next line, and everything below runs on your pictures. What
# the page claims holds for its own; with yours it measures the same and
# claims nothing. A hundred pictures are enough for that. The page works on 909
# and takes its seconds for as many: if you have several thousand, copy a
# thousand of them, drawn at random, into a folder of their own first.
#
# The export needs three packages that Colab lacks: `%pip install onnx
# onnxscript onnxruntime` in a cell of its own.

# %%
folder = None  # or "C:/pictures", or "~/pictures"

made = folder is None

# %% [markdown]
# ## What can be wrong with a picture
#
# Eight photographs, which come with scikit-image and scikit-learn, go into
# files as the world makes them. Each line below is a trouble that somebody
# has had. First the photographs, all 256×256, so that nothing else can be the
# reason:

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageFile, ImageOps
from skimage import data as samples
from sklearn.datasets import load_sample_image

# %%
names = "astronaut coffee chelsea rocket camera moon coins".split()
photos = {name: getattr(samples, name)() for name in names}
photos["flower"] = load_sample_image("flower.jpg")
photos = {
    name: ImageOps.fit(Image.fromarray(pixels), (256, 256))
    for name, pixels in photos.items()
}

# %% [markdown]
# A camera stores what falls on the sensor, and beside it a number that says
# how it was held (EXIF 274; 6 is "turn me to the right"). Printers want four
# inks, CMYK. A GIF has a palette. A PNG may have 16 bits for each pixel. A
# sensor with 12 bits puts them into such a file, and leaves the upper four
# empty.


# %%
def plant_kinds(to):
    turned = Image.Exif()
    turned[0x0112] = 6
    sideways = photos["astronaut"].rotate(90, expand=True)
    sideways.save(to / "sideways.jpg", exif=turned, quality=95)
    photos["coffee"].convert("CMYK").save(to / "print.jpg", quality=95)
    photos["flower"].quantize(128).save(to / "palette.gif")
    photos["camera"].save(to / "grey.png")
    for name, file, unit in (("moon", "deep", 257), ("coins", "sensor", 16)):
        deep = np.asarray(photos[name]).astype(np.uint16) * unit
        Image.fromarray(deep).save(to / f"{file}.png")


# %% [markdown]
# A cut-out has a fourth channel, *alpha*, which is 0 where nothing is to be
# seen. Colours are stored there all the same, usually black. And three files
# that are no pictures, or not any more:

# %%
y, x = np.mgrid[-1:1:256j, -1:1:256j]
inside = x**2 + y**2 < 0.8


def plant_others(to):
    cat = np.dstack([np.asarray(photos["chelsea"]), 255 * inside])
    cat[~inside] = 0
    Image.fromarray(cat.astype(np.uint8)).save(to / "cutout.png")
    photos["rocket"].save(to / "cut.jpg", quality=95)
    whole = (to / "cut.jpg").read_bytes()
    (to / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (to / "notes.png").write_text("to do: sort the pictures")
    (to / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + whole)


# %%
place = TemporaryDirectory()  # goes when the notebook is closed
troubles = Path(place.name) / "troubles"
troubles.mkdir()
plant_kinds(troubles)
plant_others(troubles)
print(*sorted(file.name for file in troubles.iterdir()))

# %% [markdown]
# This is how everybody's first program reads a picture. **Guess:** of these
# ten files, how many stop it? And how many does it read wrongly?


# %%
def naive(file, size=64):
    image = Image.open(file).convert("RGB").resize((size, size))
    return np.asarray(image)


for file in sorted(troubles.iterdir()):
    try:
        naive(file)
    except Exception as error:
        print(f"{file.name}: {type(error).__name__}")

# %% [markdown]
# Three stop it, at whatever hour it comes to them. A remedy that is often
# copied is one line, `LOAD_TRUNCATED_IMAGES = True`; then the cut one is read
# as well. The remedy of this course is `ae_lib.pictures.read`, which goes
# on after a bad file and keeps a list. What do both make of the eight?

# %%
from ae_lib import pictures

of = {
    "sideways.jpg": "astronaut",
    "print.jpg": "coffee",
    "palette.gif": "flower",
    "grey.png": "camera",
    "deep.png": "moon",
    "sensor.png": "coins",
    "cutout.png": "chelsea",
    "cut.jpg": "rocket",
}

# %%
ImageFile.LOAD_TRUNCATED_IMAGES = True  # the remedy
first = {name: naive(troubles / name) for name in of}
ImageFile.LOAD_TRUNCATED_IMAGES = False
read = pictures.read(troubles, 64)

# %% [markdown]
# Against what was meant: the photograph itself, the cat on white.

# %%
seen = read.images.pixels.permute(0, 2, 3, 1).numpy()  # (N, 64, 64, 3)
second = dict(zip(read.names, seen))
meant = {}
for file, name in of.items():
    image = photos[name].convert("RGB")
    if file == "cutout.png":
        image.paste("white", mask=Image.fromarray(~inside))
    small = image.resize((64, 64), Image.Resampling.LANCZOS)
    meant[file] = np.asarray(small)


# %%
def off(a, b):
    """Say how far apart two pictures are: root mean square, on [0, 1]."""
    return float(np.sqrt(np.square(a / 255.0 - b / 255.0).mean()))


# %% [markdown]
# **Look** for pictures that no error message will ever mention. Above each
# stands how far it is from what was meant, on a scale from 0 to 1.

# %%
from ae_lib.plots.style import grid, styled


@styled
def gallery(rows, source):
    shown, above = [], []
    for read_as in rows.values():
        blank = np.ones((64, 64, 3))
        shown.append([read_as[f] / 255 if f in read_as else blank for f in of])
        told = [
            f"{off(read_as[f], meant[f]):.2f}" if f in read_as else "left out"
            for f in of
        ]
        above.append(told if above else list(of))
    return grid(shown, names=list(rows), above=above, source=source)[0]


rows = {"meant": meant, "usual loop": first, "pictures.read": second}
gallery(rows, "photographs of scikit-image and scikit-learn")

# %% [markdown]
# The usual loop lays the astronaut on her side, cuts 16 bits off at 255, so
# that moon and coins are white, gives the cat a black frame that was not to be
# seen, and finishes the rocket in grey. Nothing tells a network that this was
# not meant. The coins are too dark in the last row as well: no reader can know
# that 4,095 was white. But this one tells you, and you can tell it:

# %%
print(read)
told = pictures.read(troubles, 64, white=4_095)
row = told.names.index("sensor.png")
coins = told.images.pixels[row].permute(1, 2, 0).numpy()  # (64, 64, 3)

# %% [markdown]
# One row of the figure proves little. `print.jpg` was turned into inks by the
# very formula that turns it back. A print shop's file has a profile of its
# inks, and neither reader heeds it: look at some pictures yourself where the
# report says *from CMYK*.

# %%
# NBVAL_CHECK_OUTPUT
loop = {file: off(first[file], meant[file]) for file in of}
ours = {file: off(second[file], meant[file]) for file in second}
wrong = sum(value > 0.05 for value in loop.values())
claim("the usual loop reads five of eight wrongly", wrong, "~", 5, tol=0)
blank = min((first[f"{k}.png"] == 255).mean() for k in ("deep", "sensor"))
claim("16 bits cut off at 255: share of white pixels", blank, ">", 0.98)
right = sorted(ours.values())
claim("pictures.read: all but one as they were meant", right[-2], "<", 0.03)
claim("the 12-bit one is wrong for it as well", right[-1], ">", 0.2)
named = "brightest" in " ".join(read.notes["sensor.png"])
claim("and is named, with its brightest value", named + 0, "~", 1, tol=0)
claim("told what is white, it has the coins", off(coins, meant["sensor.png"]),
      "<", 0.03)  # fmt: skip
claim("three files are left out by name", len(read.left_out), "~", 3, tol=0)

# %% [markdown]
# ## The folder
#
# Now the folder itself. Drawn objects stand for the thousand pictures of
# parts, leaves or products that you may have: the course's `shapes`, drawn at
# 128 and 160 pixels and not at 32, some of them as wide as high and some not,
# as JPEG. The ten troublemakers lie among them, and three drawings were saved
# twice, once smaller, as it happens when people tidy up.


# %%
def draw(to, n):
    from ae_lib import shapes

    for size in (128, 160):
        drawn = shapes.generate(n // 2, seed=size, size=size).pixels
        for k, pixels in enumerate(drawn):
            picture = pixels.permute(1, 2, 0).numpy()[:, :140]
            name = f"{size}_{k:04}.jpg"
            Image.fromarray(picture).save(to / name, quality=92)
    for k in (3, 30, 300):
        picture = Image.open(to / f"160_{k:04}.jpg")
        picture.resize((105, 120)).save(to / f"copy of {k}.png")


# %%
if made:
    folder = Path(place.name) / "pictures"
    folder.mkdir(exist_ok=True)
    draw(folder, 900)
    plant_kinds(folder)
    plant_others(folder)
white = 65_535  # or what your camera calls white: see the coins
found = pictures.read(folder, size=64, white=white)
images, credit = found.images, found.images.source
print(found)

# %% [markdown]
# Read the report from the top. What was *left out* you should know by name; a
# phone's HEIC has to be exported as JPEG. *Cropped off* is what a centred
# square does to a picture that is not square: if the edges matter, crop by
# hand or make the pictures square with a border. A note *enlarged*, of which
# there is none here, means less detail than the size promises.
#
# Then chapter 02's audit, in three numbers: do the values fill their range,
# are neighbours alike in both directions (a wrong `reshape` shows there), and
# how many pictures have no colour?

# %%
some = images[:: 1 + len(images) // 1_000].unit()  # (N, 3, 64, 64)
down = some[..., 1:, :], some[..., :-1, :]
side = some[..., 1:], some[..., :-1]
pairs = [torch.stack([a.flatten(), b.flatten()]) for a, b in (down, side)]
down, side = (torch.corrcoef(pair)[0, 1].item() for pair in pairs)
grey = (images.pixels == images.pixels[:, :1]).flatten(1).all(dim=1)
dark = images.pixels.flatten(1).amax(dim=1) < 64
print(f"from {some.min():.2f} to {some.max():.2f}")
print(f"neighbours alike: {down:.2f} below, {side:.2f} beside")
names = [name for name, d in zip(found.names, dark.tolist()) if d]
print(f"{grey.sum()} grey, {dark.sum()} dark:", *names[:9])

# %% [markdown]
# Nothing to repair but one dark picture, which the page takes out. Take out
# what you do not want of yours, by name and after a look at it. If they are
# dark because a sensor has 12 bits, say `white = 4_095` and read them again.
# Were all of them grey, one channel would do: `images.pixels[:, :1]`.

# %%
unwanted = ["sensor.png"] if made else []  # or names of yours
keep = torch.tensor([name not in unwanted for name in found.names])
images = images[keep]
kept_names = [name for name in found.names if name not in unwanted]

# %% [markdown]
# ## Twins
#
# A picture that lies on both sides of the split tests memory. `alike` shrinks
# each to 16×16 and compares: less than 5 of 255 steps apart is the same
# picture, at whatever size or quality it was stored. (Where all your pictures
# show one and the same ground, it asks for less than that. Small things on it
# may still be twins to it: look before you delete.) `hold_out` then draws
# whole groups.

# %%
groups = pictures.alike(images)  # (N,): the number of the first one alike
numbers, sizes = groups.unique(return_counts=True)
print(f"{len(images)} pictures in {len(numbers)} groups")
for number in numbers[sizes > 1][:9]:
    twins = (groups == number).nonzero().flatten().tolist()
    print(" = ".join(kept_names[row] for row in twins[:9]))

train, test = pictures.hold_out(images, groups, len(images) // 4, seed=0)
print(train, test, sep="\n")

# %% [markdown]
# How many of the three pairs would be torn apart by a split that does not look
# for copies, such as `data.hold_out`, or the fixed fifth of
# `data.load("my_pictures")`?


# %%
def torn(train, test):
    both = pictures.alike(torch.cat([train.pixels, test.pixels])).tolist()
    return len({*both[: len(train)]} & {*both[len(train) :]})


by_luck = torn(*data.hold_out(images, len(images) // 4, seed=0))
print(f"torn apart: {by_luck} by chance, {torn(train, test)} by groups")

# %% [markdown]
# No program finds the other kind of twins: *siblings*, several pictures of one
# scene. Frames of a film are such, tiles of one scan, ten photographs of one
# patient. What do they do to a test? Eight photographs, forty random crops of
# each. PCA with 32 components is tested twice, on every crop once: in quarters
# chosen at random, and in quarters of two scenes that it has not seen.

# %%
scenes = [photos[n] for n in ("astronaut", "coffee", "chelsea", "rocket")]
scenes += [photos["flower"], Image.fromarray(load_sample_image("china.jpg"))]
more = (samples.hubble_deep_field(), samples.immunohistochemistry())
scenes += [Image.fromarray(pixels) for pixels in more]


# %%
def crops(scene, n, rng):
    side = min(scene.size) // 2
    for _ in range(n):
        left, top = (rng.integers(s - side) for s in scene.size)
        box = (left, top, left + side, top + side)
        yield np.asarray(scene.resize((64, 64), box=box))


def tiles_of(scenes, rng):
    drawn = [tile for scene in scenes for tile in crops(scene, 40, rng)]
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)


# %% [markdown]
# Everything is drawn three times, crops and quarters, for one draw may be
# luck. **Guess** the ratio of the two errors.

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, psnr, reconstruct


def errors(tiles, number):
    """Return PCA's error on each quarter: tiles with numbers 0-1, 2-3, ..."""
    found = []
    for first in (0, 2, 4, 6):
        held = (number == first) | (number == first + 1)
        pca = PCA.fit(tiles[~held], 32)
        found.append(mse(tiles[held], reconstruct(pca, tiles[held])))
    return np.array(found)


# %%
flattery, uneven = [], []
for seed in range(3):
    tiles = tiles_of(scenes, np.random.default_rng(seed))  # (320, 3, 64, 64)
    random = torch.Generator().manual_seed(seed)
    new = errors(tiles, torch.arange(320) // 40)
    siblings = errors(tiles, torch.randperm(320, generator=random) // 40)
    flattery.append(new.mean() / siblings.mean())
    uneven.append([e.max() / e.min() for e in (new, siblings)])
    print(f"new scenes {new.mean():.4f} ({new.min():.4f} to {new.max():.4f}), "
          f"siblings {siblings.mean():.4f} ({siblings.min():.4f} to "
          f"{siblings.max():.4f}): {flattery[-1]:.2f} times")  # fmt: skip

# %% [markdown]
# The choice by chance promises what new scenes do not keep. And look into the
# brackets: between two new scenes and two others the error differs several
# times, of which chance shows nothing. You have eight scenes there, not 320
# pictures, and an error that was measured on two of them says little about the
# next two. If your pictures have scenes, number them and give these numbers to
# `hold_out` in place of `groups`. Does each scene lie in a folder of its own?
# Then `images.labels` has the numbers.

# %%
# NBVAL_CHECK_OUTPUT
claim("siblings flatter PCA, with each draw", min(flattery), ">", 1.1)
claim("new scenes differ: largest error to smallest",
      min(a for a, _ in uneven), ">", 2)  # fmt: skip
claim("and siblings hide it", max(b for _, b in uneven), "<", 1.5)
if made:
    claim("neighbours alike, in both directions", min(down, side), ">", 0.9)
    copies = len(images) - len(groups.unique())
    claim("all three copies are found, and no others", copies, "~", 3, tol=0)
    claim("none is on both sides", torn(train, test), "~", 0, tol=0)
    claim("by chance some are", by_luck, ">=", 1)

# %% [markdown]
# ## Which size, which network?
#
# A picture of twice the side has four times the numbers. So has the last layer
# of the encoder of `ConvAutoencoder`, which halves its images twice, and with
# it grow the two matrices at its bottleneck. `PyramidAutoencoder` halves until
# 8×8 are left, at any size; at 32×32 the two are the same. Count the weights
# before you wait for them:

# %%
from ae_lib.models import ConvAutoencoder, PyramidAutoencoder

K = min(32, len(train) // 2)
NETWORKS = (ConvAutoencoder, PyramidAutoencoder)


def weights(network, size):
    with torch.device("meta"):  # shapes without numbers
        model = network(K, (3, size, size))
    return sum(p.numel() for p in model.parameters())


# %%
count = {}
for size in (32, 64, 128):
    count[size] = [weights(network, size) for network in NETWORKS]
    print(f"{size:3}: {len(images) * 3 * size**2 / 1e6:3.0f} MB of pictures,",
          "{:9,} weights conv, {:,} pyramid".format(*count[size]))  # fmt: skip

# %% [markdown]
# The pictures are counted as bytes; `images.unit()`, as floats, is four times
# as large. And the seconds: one training step of 16 pictures, forward and
# backward.

# %%
import time


def seconds(network, size):
    torch.manual_seed(0)
    model, x = network(K, (3, size, size)), torch.rand(16, 3, size, size)
    for _ in range(3):  # the last counts
        start = time.perf_counter()
        (model(x) - x).square().mean().backward()
        spent = time.perf_counter() - start
    return 1e3 * spent


# %%
for size in (64, 128):
    conv, pyramid = (seconds(network, size) for network in NETWORKS)
    print(f"{size:3}: {conv:5.0f} ms conv, {pyramid:5.0f} ms pyramid")

# %% [markdown]
# Times belong to a machine, and are shown and not claimed; here the pyramid
# saves time at both sizes, and more of it at 128. Halving needs sizes that can
# be halved; any other is refused, with those that would do:

# %%
try:
    PyramidAutoencoder(K, (3, 100, 100))
except ValueError as error:
    print(error)

# %%
# NBVAL_CHECK_OUTPUT
if made:
    grown = [large / small for large, small in zip(count[128], count[32])]
    claim("conv at 128: weights, in times those at 32", grown[0], ">", 10)
    claim("the pyramid at 128: hardly more than at 32", grown[1], "<", 1.2)

# %% [markdown]
# ## Train, and compare
#
# In batches of 16: with some hundred pictures an epoch of large batches has
# hardly any steps. What counts is steps, not epochs: 12 epochs of this folder
# are about 500. If yours is smaller, raise `EPOCHS` until you have as many, or
# the network loses for want of them. The rivals are those of chapter 03: the
# mean image, and PCA with as many numbers in its code. **Guess** the order of
# the three on the pictures that were held out.

# %%
from ae_lib.training import fit

EPOCHS = pick(quick=12, full=40)


def trained(pictures, epochs, validation=None, seed=0):
    torch.manual_seed(seed)
    model = PyramidAutoencoder(K, pictures.shape)
    options = {"epochs": epochs, "batch_size": 16, "seed": seed}
    options |= {"validation": validation, "verbose": False}
    return model, fit(model, pictures, **options)


# %%
start = time.perf_counter()
model, history = trained(train, EPOCHS, validation=test)
print(f"{time.perf_counter() - start:.0f} s")

# %% [markdown]
# The error of each on all held-out pictures stands beside its row, and twelve
# of them are shown. **Look** at the last two rows: who has the colours, and
# who has an outline?

# %%
rivals = {"mean image": MeanImage.fit(train), f"PCA-{K}": PCA.fit(train, K)}
answers = {name: reconstruct(rival, test) for name, rival in rivals.items()}
answers["network"] = reconstruct(model, test)
wrong = {name: mse(test, x_hat) for name, x_hat in answers.items()}
plots.compare(test, answers, n=12, source=credit)

# %% [markdown]
# Count what you saw. Outlines are differences between neighbours: what is left
# of their squares? And take the grey off each pixel, then colour remains:
# which share of it is missing or wrong?


# %%
def edges(x):
    return (x[..., 1:] - x[..., :-1]).square().mean().item()


def colour(x):
    return x - x.mean(dim=1, keepdim=True)  # (N, 3, H, W)


# %%
x, kept, off_colour = test.unit(), {}, {}
for name, x_hat in answers.items():
    amiss = (colour(x_hat) - colour(x)).square().mean()
    kept[name] = edges(x_hat) / edges(x)
    off_colour[name] = amiss.item() / colour(x).square().mean().item()
    print(f"{name:10} {kept[name]:4.0%} of the edges, "
          f"{off_colour[name]:4.0%} of the colour amiss")  # fmt: skip

# %% [markdown]
# Neither has an outline: a code of 32 numbers is short. The network misses
# more of the colour than PCA, and by the error PCA is ahead, too. Was the
# training too short? **Look** at the two curves of the network: what do their
# ends promise?

# %%
base = {name: value for name, value in wrong.items() if name != "network"}
plots.curves({"network": history}, baselines=base, source=credit)

# %% [markdown]
# Nothing. Both flatten, but so does every run of this recipe where it ends,
# for the learning rate goes to zero there. Whether more epochs help has to be
# tried, and with more than one seed.
#
# The course has a record of that: objects drawn at 64 pixels, and the
# photographs of CIFAR-10 at 32, 700 to learn from and 1,000 to be judged on.
# Three seeds draw the pictures, the first weights and the order. The rows with
# 100 and with 3,000 pictures are for later. **Guess** who is ahead after three
# times as many epochs.

# %%
from ae_lib import results

record = results.load("few_pictures")
print(results.provenance_line(record))
recorded = {}
for run in record["data"]["runs"]:
    (learned, held), (pca_learned, pca_held) = run["network"], run["PCA"]
    recorded.setdefault((run["pictures"], run["n"], run["epochs"]), []).append(
        [held / pca_held, held / learned, pca_held / pca_learned,
         run["best"] / pca_held, held, learned]
    )  # fmt: skip
recorded = {key: np.array(rows) for key, rows in recorded.items()}

# %%
print(f"{'':28}error, of PCA's    held out, of training\n"
      f"{'':28}{'':19}network      PCA")  # fmt: skip
for (kind, n, epochs), rows in recorded.items():
    mean, deviation = rows.mean(axis=0), rows.std(axis=0, ddof=1)
    cells = [f"{m:.2f} ± {d:.2f}" for m, d in zip(mean, deviation)]
    row = f"{kind:17} {n:5} × {epochs:2}  {cells[0]:19}"
    print(f"{row}{cells[1]:13}{cells[2]}")

# %% [markdown]
# Read the rows of 700. PCA is ahead with every seed, on drawings and on
# photographs, after 12 epochs and after 36, and also where the best epoch of
# the 36 is taken. With the photographs three times as many epochs did harm.
# With the drawings they took away much of the luck, which is large after 12
# (so the page's own run is one throw of the dice), and PCA stayed where it
# was: ahead. In both the training error ran away from the other, for a few
# hundred pictures are enough to learn by heart.
#
# On your own pictures, repeat with `trained(train, EPOCHS, test, seed=1)`
# before you believe in a lead.

# %%
# NBVAL_CHECK_OUTPUT
if made:
    of_mean = wrong["network"] / wrong["mean image"]
    claim("the network beats the mean image", of_mean, "<", 0.5)
    of_pca = wrong["network"] / wrong[f"PCA-{K}"]
    claim("PCA with as many numbers beats it", of_pca, ">", 1.0)
    more = off_colour["network"] / off_colour[f"PCA-{K}"]
    claim("PCA has more of the colours", more, ">", 1.0)
    edged = max(kept[name] for name in ("network", f"PCA-{K}"))
    claim("both lack outlines: edges that are left", edged, "<", 0.25)
kinds = ("drawn at 64", "photographs at 32")
for kind in kinds:
    usual, longer = recorded[kind, 700, 12], recorded[kind, 700, 36]
    claim(f"{kind}, 12 epochs: PCA ahead, each seed", usual[:, 0].min(),
          ">", 1.0)  # fmt: skip
    claim(f"{kind}, best of 36: PCA ahead", longer[:, 3].min(), ">", 1.0)
    ran_away = (longer[:, 1] / usual[:, 1]).min()
    claim(f"{kind}: the errors part, in times", ran_away, ">", 1.5)
grown = (longer[:, 4] / usual[:, 4]).min()
claim("photographs: a longer training does harm", grown, ">", 1.1)
usual, longer = (recorded[kinds[0], 700, n][:, 0].std() for n in (12, 36))
claim("drawings: luck is less after 36 epochs", usual / longer, ">", 2)

# %% [markdown]
# ## How many pictures?
#
# That is the question to ask before you buy a larger machine, and a *learning
# curve* answers it: the same test, fewer pictures. PCA first, which takes a
# second. At 128 pixels a picture has 49,152 numbers, and PCA has a mean and 32
# directions to fit in each of them. **Guess:** does it overfit with 50
# pictures, and is it worse at 128 than at 64?

# %%
large = pictures.read(folder, size=128, white=white).images[keep]
train_128, test_128 = pictures.hold_out(large, groups, len(large) // 4, seed=0)

# %%
numbers = [n for n in (50, 100, 200, 400) if n < len(train)] + [len(train)]


def learning_curve(train, test):
    both = []
    for n in numbers:
        pca = PCA.fit(train[:n], min(K, n - 1))
        parts = train[:n], test
        both.append([mse(part, reconstruct(pca, part)) for part in parts])
    return np.array(both)  # (numbers, 2)


curve_64 = learning_curve(train, test)
curve_128 = learning_curve(train_128, test_128)

# %% [markdown]
# **Look** at the distance between training and test, and at its end.

# %%
plots.line_with_spread(
    numbers,
    {
        "64, held out": curve_64[:, 1],
        "64, training": curve_64[:, 0],
        "128, held out": curve_128[:, 1],
        "128, training": curve_128[:, 0],
    },
    "pictures to learn from",
    "MSE of PCA",
    xlog=True,
    source=credit,
)

# %% [markdown]
# With 50 pictures PCA overfits badly: it has 32 directions for them. The
# number of columns does not matter, the curves for 64 and 128 run side by side
# (128 has more detail to miss); what counts is pictures for each direction. As
# they become more, the lower line rises and the upper one falls, towards one
# and the same error: more pictures can bring *PCA* no further than to where
# they meet.
#
# Does the network suffer less? A hundred pictures, in as many steps as above,
# and before you look at the record again, **guess** again.

# %%
few = min(100, len(train) // 2)
steps = EPOCHS * -(-len(train) // 16)
network_few, _ = trained(train[:few], max(1, steps // -(-few // 16)))
pca_few = PCA.fit(train[:few], min(K, few - 1))
by_few = {}
for name, answer in (("network", network_few), ("PCA", pca_few)):
    parts = train[:few], test
    by_few[name] = [mse(part, reconstruct(answer, part)) for part in parts]
    print(f"{few} pictures, {name:7}: training {by_few[name][0]:.5f}, "
          f"held out {by_few[name][1]:.5f}")  # fmt: skip

# %% [markdown]
# It suffers more, here and in the record with each seed. "Networks need much
# data, PCA overfits with little": both are true, and with little data both
# overfit, and the network is the worse of the two. Overfitting alone is no
# reason to drop a method; being beaten on held-out pictures is.
#
# Now the record's rows of 3,000, which had as many steps as 36 epochs of 700.
# The network hardly overfits any more; with photographs it is level with PCA,
# with drawings still behind. So how many pictures are enough? For PCA with 32
# directions, about as many as this folder has; for this network, to be ahead
# of it, several thousand or more.

# %%
# NBVAL_CHECK_OUTPUT
if made:
    gaps = curve_64[:, 1] / curve_64[:, 0]
    claim("50 pictures: PCA overfits", gaps[0], ">", 3)
    claim("with all pictures hardly", gaps[-1], "<", 1.3)
    unlike = np.abs(curve_128[:, 1] / curve_128[:, 0] / gaps - 1).max()
    claim("four times the columns change it by little", unlike, "<", 0.15)
    missed = (curve_128 / curve_64).min()
    claim("128 has more detail to miss", missed, ">", 1)
    own, pcas = (by_few[k][1] / by_few[k][0] for k in ("network", "PCA"))
    claim("100 pictures: the network overfits more", own / pcas, ">", 1.2)
for kind in kinds:
    rows, more = recorded[kind, 100, 75], recorded[kind, 3_000, 8]
    steeper = (rows[:, 1] / rows[:, 2]).min()
    claim(f"{kind}, 100: it overfits more than PCA", steeper, ">", 1.5)
    further = (rows[:, 0] / recorded[kind, 700, 12][:, 0]).min()
    claim(f"{kind}, 100: further from PCA than 700", further, ">", 1.0)
    apart = more[:, 1].max()
    claim(f"{kind}, 3,000: held out, of training", apart, "<", 1.25)
    nearer = (more[:, 0] / recorded[kind, 700, 36][:, 0]).max()
    claim(f"{kind}, 3,000: nearer to PCA than 700", nearer, "<", 0.95)
behind = recorded[kinds[0], 3_000, 8][:, 0].min()
claim("3,000 drawings: PCA is ahead still", behind, ">", 1.03)
level = np.abs(recorded[kinds[1], 3_000, 8][:, 0] - 1).max()
claim("3,000 photographs: level with it", level, "<", 0.03)

# %% [markdown]
# ## 64 or 128?
#
# Larger pictures look better, so one trains at the largest size that the
# machine bears. Try the opposite: reconstruct at 64, enlarge the *result*, and
# measure at 128. First line: the pictures themselves, made small and enlarged,
# without any code. It is the best that this way can do.

# %%
import torch.nn.functional as F


def enlarged(x_hat):
    return F.interpolate(x_hat, size=128, mode="bicubic").clamp(0, 1)


# %%
start = time.perf_counter()
model_128, _ = trained(train_128, max(1, EPOCHS // 6))
print(f"network at 128: {time.perf_counter() - start:.0f} s")
ways = {
    "64, enlarged": enlarged(test.unit()),
    "PCA at 64, enlarged": enlarged(answers[f"PCA-{K}"]),
    "PCA at 128": reconstruct(PCA.fit(train_128, K), test_128),
    "network at 64, enlarged": enlarged(answers["network"]),
    "network at 128": reconstruct(model_128, test_128),
}
fine = {name: mse(test_128, x_hat) for name, x_hat in ways.items()}
for name, value in fine.items():
    print(f"{name:24} {value:.5f}  {psnr(value):.1f} dB")

# %% [markdown]
# What a code of 32 numbers loses is far more than what lies between 64 and 128
# pixels. So PCA at 128 gains nothing. The network at 128 has had a sixth of
# the epochs and is no fair rival; it shows that the size works, and what it
# costs. Work at the smallest size whose first line is well below your error,
# and enlarge.

# %%
# NBVAL_CHECK_OUTPUT
if made:
    lost = fine["64, enlarged"] / fine["PCA at 128"]
    claim("the pixels between 64 and 128: of PCA's error", lost, "<", 0.15)
    gain = fine["PCA at 128"] / fine["PCA at 64, enlarged"]
    claim("PCA at 128 is no better than enlarged", gain, ">", 0.97)

# %% [markdown]
# ## The doctor's report
#
# Before anything leaves the house: `doctor.examine` looks at the program,
# network, batches, optimizer and curve together, and at the pictures that it
# will be judged on.

# %%
from ae_lib import doctor
from ae_lib.recipe import muon_and_adam

batches = [data.to_unit(b) for b in data.batches(train.pixels, 16)]
report = doctor.examine(
    model,
    batches,
    optimizer=muon_and_adam(model),
    history=vars(history),
    eval_batches=test.unit().split(16),
    budget_seconds=pick(quick=5, full=20),
)
print(report)

# %% [markdown]
# Nothing is broken. Read its table with care: *this model* is measured on the
# training batches here, PCA on others, so the network looks better than PCA,
# which it is not. "No fault" means that the program does what it says; whether
# that is better than PCA, only held-out pictures tell.
#
# The same network, untrained, in the program of somebody who forgot that
# pictures come as bytes:

# %%
torch.manual_seed(0)
fresh = PyramidAutoencoder(K, images.shape)
of_bytes = doctor.examine(fresh, [255 * b for b in batches], budget_seconds=2)
print(of_bytes.findings[0])

# %%
# NBVAL_CHECK_OUTPUT
if made:
    claim("healthy: no error and no warning", report.ok + 0, "~", 1, tol=0)
    table = {name: row["error"] for name, row in report.baselines.items()}
    shown = table["this model (MSE)"] / table[f"PCA-{K}, held out (MSE)"]
    claim("its table shows the network ahead of PCA", shown, "<", 1)
    named = of_bytes.codes[0] == "data.scale"
    claim("bytes for floats: the doctor names it", named + 0, "~", 1, tol=0)

# %% [markdown]
# ## Out of the door
#
# Two files. *safetensors* holds the weights, with the name and size of the
# network beside them, for a program that has this library; unlike a pickle it
# cannot run code. *ONNX* holds the whole computation, for programs without
# PyTorch. `to_onnx` leaves the size of the batch open and keeps the weights in
# the same file. Before it writes, it runs what it made and compares. (The
# page's files go when the notebook is closed; yours will lie in the folder
# `out` beside it.)

# %%
from ae_lib.checkpoints import load_model, save_model
from ae_lib.export import to_onnx

out = Path(place.name if made else ".") / "out"
saved = save_model(model, out / "model.safetensors")
exported = to_onnx(model, out / "model.onnx")
for file in (saved, exported):
    print(f"{file.name:18} {file.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# Trust is good. A program that knows nothing of this course needs NumPy and
# these lines (for codes instead of pictures: `to_onnx(..., part="encode")`):

# %%
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(
    exported, options, providers=["CPUExecutionProvider"]
)
x = test.unit()  # (N, 3, 64, 64)
(x_hat,) = session.run(None, {"x": x.numpy()})
(single,) = session.run(None, {"x": x[:1].numpy()})

# %% [markdown]
# **Guess** the largest difference between the two in any pixel of any picture,
# in grey steps of 1/255. And who is faster, on one thread each?


# %%
def per_image(answer):
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        answer()
        spent.append(time.perf_counter() - start)
    return 1e3 * min(spent) / len(x)


threads = torch.get_num_threads()
torch.set_num_threads(1)
with torch.no_grad():
    ours = per_image(lambda: model(x))
theirs = per_image(lambda: session.run(None, {"x": x.numpy()}))
torch.set_num_threads(threads)
print(f"per picture: PyTorch {ours:.2f} ms, onnxruntime {theirs:.2f} ms")

# %% [markdown]
# The speed depends on the machine, and is shown and not claimed. The answers
# must not depend on it.

# %%
# NBVAL_CHECK_OUTPUT
with torch.no_grad():
    apart = 255 * (torch.from_numpy(x_hat) - model(x)).abs().max()
claim("ONNX: largest difference, in grey steps", apart, "<", 0.05)
alone = 255 * np.abs(single - x_hat[:1]).max()
claim("alone or in a batch, the same answer", alone, "<", 0.05)
before, after = (m.state_dict() for m in (model, load_model(saved)))
moved = sum(not torch.equal(before[key], after[key]) for key in before)
claim("safetensors: weights that changed", moved, "~", 0, tol=0)

# %% [markdown]
# What neither file holds is the *reading*: upright, centred square, three
# channels, floats in [0, 1]. The ONNX file says so in its metadata, but
# nothing enforces it. Whoever feeds it with the usual loop of the first
# section gets the astronaut on her side. So ship the reader with the model:
# this library, or a few lines of Pillow and NumPy, which read what is ordinary
# and refuse the rest. (And where PCA is ahead on your pictures, ship PCA: its
# `mean` and `components` are two arrays.)


# %%
def reader(file, size):
    """Return a picture as the network wants it, (1, 3, size, size)."""
    image = ImageOps.exif_transpose(Image.open(file))
    ordinary = image.mode in ("RGB", "L", "P", "CMYK")
    if not ordinary or image.has_transparency_data:
        raise ValueError(f"{file.name}: {image.mode} is not read here")
    image = ImageOps.fit(
        image.convert("RGB"), (size, size), Image.Resampling.LANCZOS
    )
    return np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255


# %%
# NBVAL_CHECK_OUTPUT
far, refused = [], set()
for file, pixels in zip(read.names, read.images.pixels.numpy()):
    try:
        alone = 255 * reader(troubles / file, 64)[0]
        far.append(np.abs(alone - pixels).mean())
    except ValueError:
        refused.add(file)
claim("what is read is read alike: mean difference of each", max(far), "<", 2,
      unit="grey steps")  # fmt: skip
unlike = refused ^ {"cutout.png", "deep.png", "sensor.png"}
claim("refused: 16 bits, transparency, no others", len(unlike), "~", 0, tol=0)

# %% [markdown]
# ## What we saw
#
# The usual loop [stops at three files, and with the usual remedy reads five
# wrongly](#What-can-be-wrong-with-a-picture); a reader that keeps a list does
# neither in silence. [Copies](#Twins) can be found by a program, siblings only
# by you, and siblings flatter a test. [Halving to 8×8](#Which-size,-which-network?)
# keeps a network small at any size. With some hundred pictures [PCA beats the
# network](#Train,-and-compare), with each seed, drawings and photographs alike,
# and more epochs are no cure; [more pictures](#How-many-pictures?) bring it
# nearer. [Larger ones](#64-or-128?) gain nothing for a short code. [The
# doctor](#The-doctor's-report) finds what is broken, not what is beaten. And an
# exported network is [compared before it leaves](#Out-of-the-door).
#
# ## Exercises
#
# The first two have a cell to fill in and a check below it.
#
# 1. **A split by groups.** Write `split(groups, n, seed)`: the rows to train
#    on and the rows to hold out. `groups` has a number for each image; whole
#    groups are held out, drawn by the seed, until there are `n` images, or a
#    few more.


# %% tags=["exercise"]
# Exercise 20.1
def split(groups, n, seed):
    """Return (train, held): rows of images; no group is on both sides."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("20.1", split)

# %% [markdown]
# 2. **Upright.** Write `upright(pixels, turn)` for the eight numbers of EXIF.
#    They say where the first row and the first column of the file belong: 1
#    top and left, 2 top and right, 3 bottom and right, 4 bottom and left; 5
#    left and top, 6 right and top, 7 right and bottom, 8 left and bottom.


# %% tags=["exercise"]
# Exercise 20.2
def upright(pixels, turn):
    """Return pixels (C, H, W), stored with this EXIF number, upright."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("20.2", upright)

# %% [markdown]
# 3. **A border instead of a crop.** Make wide pictures square with a white
#    border above and below. What happens to the error of PCA-32? You have
#    succeeded when you can say which error you would report.
# 4. **Half the bytes.** Store the weights as 16-bit floats. You have succeeded
#    when you know the size of the file and what the error on held-out pictures
#    does.
#
# Solutions: [solutions/20_own_images.ipynb](solutions/20_own_images.ipynb).
#
# ## Further reading
#
# - G. Vollbeding, [Exif orientation](https://jpegclub.org/exif_orientation.html).
#   The eight numbers, each as the letter F.
# - Pillow's documentation of
#   [ImageFile](https://pillow.readthedocs.io/en/stable/reference/ImageFile.html),
#   where `LOAD_TRUNCATED_IMAGES` is told what it does.
# - G. Parmar, R. Zhang and J.-Y. Zhu, [On aliased resizing and surprising
#   subtleties in GAN evaluation](https://arxiv.org/abs/2104.11222), CVPR 2022.
#   Libraries resize differently, and measurements notice.
# - S. Kapoor and A. Narayanan, [Leakage and the reproducibility crisis in
#   machine-learning-based science](https://doi.org/10.1016/j.patter.2023.100804),
#   Patterns 4, 2023. Siblings and copies, in 17 fields.
# - [safetensors](https://huggingface.co/docs/safetensors), the format, and
#   what its authors had audited.
# - [ONNX](https://onnx.ai/onnx/intro/), PyTorch's
#   [exporter](https://docs.pytorch.org/docs/stable/onnx.html) and
#   [onnxruntime](https://onnxruntime.ai/docs/api/python/).
