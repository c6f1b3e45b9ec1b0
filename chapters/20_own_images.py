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
# **Cost:** about 60 s on 2 CPU cores.

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
# claims nothing.
#
# The export needs three packages that Colab lacks: `%pip install onnx
# onnxscript onnxruntime` in a cell of its own.

# %%
folder = None  # or "C:/pictures", or "~/pictures"

made = folder is None

# %% [markdown]
# ## What can be wrong with a picture
#
# Seven photographs, which come with scikit-image and scikit-learn, go into
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
    (to / "phone.heic").write_bytes(whole)


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
# Three stop it, at whatever hour it comes to them. The remedy that is copied
# most often is one line, `LOAD_TRUNCATED_IMAGES = True`; then the cut one is
# read as well. The remedy of this course is `ae_lib.pictures.read`, which goes
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
# The usual loop lays the astronaut on her side, gives the cat a black frame
# that was not to be seen, and finishes the rocket in grey; a network will
# learn all that. The sensor's picture is black for both, since no reader can
# know that 4,095 was white. But one of them tells you:

# %%
print(read)

# %%
# NBVAL_CHECK_OUTPUT
loop = {file: off(first[file], meant[file]) for file in of}
ours = {file: off(second[file], meant[file]) for file in second}
wrong = sum(value > 0.05 for value in loop.values())
claim("the usual loop reads pictures wrongly, silently", wrong, ">=", 4)
right = sorted(ours.values())
claim("pictures.read: all but one as they were meant", right[-2], "<", 0.03)
claim("the 12-bit one is wrong for it as well", right[-1], ">", 0.2)
told = "brightest" in " ".join(read.notes["sensor.png"])
claim("and is named, with its brightest value", told + 0, "~", 1, tol=0)
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
    folder.mkdir()
    draw(folder, pick(quick=900, full=4_000))
    plant_kinds(folder)
    plant_others(folder)
found = pictures.read(folder, size=64)
images, credit = found.images, found.images.source
print(found)

# %% [markdown]
# Read the report from the top. What was *left out* you should know by name.
# *Cropped off* is what a centred square does to a picture that is not square:
# if the edges matter, crop by hand or make the pictures square with a border.
# *Enlarged* pictures have less detail than their size promises.
#
# Then chapter 02's audit, in three numbers: do the values fill their range,
# are neighbours alike in both directions, and how many pictures have no
# colour?

# %%
x = images.unit()  # (N, 3, 64, 64)
shift = [(x[..., 1:, :], x[..., :-1, :]), (x[..., 1:], x[..., :-1])]
pairs = [torch.stack([a.flatten(), b.flatten()]) for a, b in shift]
down, side = (torch.corrcoef(pair)[0, 1].item() for pair in pairs)
grey = (x == x[:, :1]).flatten(1).all(dim=1)
dark = x.flatten(1).amax(dim=1) < 0.25
print(f"from {x.min():.2f} to {x.max():.2f}; neighbours {down:.2f} below, "
      f"{side:.2f} beside; {grey.sum()} grey, {dark.sum()} dark")  # fmt: skip
print("dark:", *(name for name, d in zip(found.names, dark.tolist()) if d))

# %% [markdown]
# Nothing to repair but one dark picture, which we take out, as you would after
# a look at it. Were all of them grey, one channel would do:
# `images.pixels[:, :1]`.

# %%
keep = ~dark
images = images[keep]
kept_names = [n for n, k in zip(found.names, keep.tolist()) if k]

# %% [markdown]
# ## Twins
#
# A picture that lies on both sides of the split tests memory. `alike` shrinks
# each to 16×16 and compares: less than 5 of 255 steps apart is the same
# picture, at whatever size or quality it was stored. `hold_out` then draws
# whole groups.

# %%
groups = pictures.alike(images)  # (N,): the number of the first one alike
for number in groups.unique():
    twins = (groups == number).nonzero().flatten().tolist()
    if len(twins) > 1:
        print(" = ".join(kept_names[row] for row in twins))

train, test = pictures.hold_out(images, groups, len(images) // 4, seed=0)
print(train, test, sep="\n")

# %% [markdown]
# (`data.load("my_pictures")` also makes a split, a fixed fifth. It does not
# look for copies.)
#
# No program finds the other kind of twins: *siblings*, several pictures of one
# scene. Frames of a film are such, tiles of one scan, ten photographs of one
# patient. What do they do to a test? Eight photographs, forty random crops of
# each. PCA with 32 components is tested twice: on crops chosen at random, and
# on the crops of scenes that it has not seen.

# %%
scenes = [photos[n] for n in ("astronaut", "coffee", "chelsea", "rocket")]
scenes += [photos["flower"], Image.fromarray(load_sample_image("china.jpg"))]
more = (samples.hubble_deep_field(), samples.immunohistochemistry())
scenes += [Image.fromarray(pixels) for pixels in more]


def crops(scene, n, rng):
    side = min(scene.size) // 3
    for _ in range(n):
        left, top = (rng.integers(s - side) for s in scene.size)
        box = (left, top, left + side, top + side)
        yield np.asarray(scene.resize((64, 64), box=box))


rng = np.random.default_rng(0)
tiles = np.stack([tile for scene in scenes for tile in crops(scene, 40, rng)])
tiles = torch.from_numpy(tiles).permute(0, 3, 1, 2)  # (320, 3, 64, 64)

# %% [markdown]
# **Guess** the ratio of the two errors.

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, psnr, reconstruct


def error_on(held, k=32):
    pca = PCA.fit(tiles[~held], k)
    return mse(tiles[held], reconstruct(pca, tiles[held]))


scene_of = torch.arange(320) // 40
chance = torch.randperm(320, generator=torch.Generator().manual_seed(0)) // 40
by_scene, by_chance = (
    [error_on((number == a) | (number == a + 1)) for a in (0, 2, 4, 6)]
    for number in (scene_of, chance)
)
flattery = np.mean(by_scene) / np.mean(by_chance)
print(f"error on new scenes {np.mean(by_scene):.4f}, on siblings "
      f"{np.mean(by_chance):.4f}: {flattery:.2f} times")  # fmt: skip

# %% [markdown]
# The network is not even involved, and the choice by chance already promises
# what no new scene will keep. If your pictures have scenes, number them and
# give these numbers to `hold_out` in place of `groups`.

# %%
# NBVAL_CHECK_OUTPUT
claim("siblings in the test flatter PCA", flattery, ">", 1.2)
if made:
    copies = len(images) - len(groups.unique())
    claim("all three copies are found, and no others", copies, "~", 3, tol=0)
    both = torch.cat([train.pixels, test.pixels[:1]])
    mixed = len(both) - len(pictures.alike(both).unique())
    inside_train = len(train) - len(pictures.alike(train).unique())
    claim("none is on both sides", mixed - inside_train, "~", 0, tol=0)

# %% [markdown]
# ## Which size, which network?
#
# A picture of twice the side has four times the numbers. So has the last layer
# of convolutions of the course's `ConvAutoencoder`, which halves its images
# twice, and with it grow the two matrices at its bottleneck.
# `PyramidAutoencoder` halves until 8×8 are left, at any size. Count the
# weights before you wait for them:

# %%
from ae_lib.models import ConvAutoencoder, PyramidAutoencoder

K = min(32, len(train) // 2)


def weights(network, size):
    with torch.device("meta"):  # shapes without numbers
        model = network(K, (3, size, size))
    return sum(p.numel() for p in model.parameters())


count = {}
for size in (32, 64, 128):
    count[size] = [weights(m, size) for m in (ConvAutoencoder, PyramidAutoencoder)]
    print(f"{size:3}: {len(images) * 3 * size**2 / 1e6:5.0f} MB of pictures, "
          "weights {:9,} conv, {:9,} pyramid".format(*count[size]))  # fmt: skip

# %% [markdown]
# And the seconds: one training step of 16 pictures, forward and backward.

# %%
import time


def seconds(network, size):
    torch.manual_seed(0)
    model, x = network(K, (3, size, size)), torch.rand(16, 3, size, size)
    for _ in range(3):  # the last counts
        start = time.perf_counter()
        (model(x) - x).square().mean().backward()
        spent = time.perf_counter() - start
    return spent


for size in (64, 128):
    conv, pyramid = (
        1e3 * seconds(m, size) for m in (ConvAutoencoder, PyramidAutoencoder)
    )
    print(f"{size:3}: {conv:5.0f} ms conv, {pyramid:5.0f} ms pyramid")

# %% [markdown]
# Halving needs sizes that can be halved. What cannot is refused, with the
# sizes that would do:

# %%
try:
    PyramidAutoencoder(K, (3, 100, 100))
except ValueError as error:
    print(error)

# %%
# NBVAL_CHECK_OUTPUT
grown = [large / small for large, small in zip(count[128], count[32])]
claim("from 32 to 128, conv: times as many weights", grown[0], ">", 10)
claim("the pyramid: hardly more", grown[1], "<", 1.2)

# %% [markdown]
# ## Train, and compare
#
# Small batches: with some hundred pictures an epoch of large ones has hardly
# any steps. The rivals are those of chapter 03, the mean image and PCA with as
# many numbers in its code. **Guess** the order of the three on held-out
# pictures.

# %%
from ae_lib.training import fit

EPOCHS = pick(quick=12, full=100)


def trained(pictures, epochs, seed=0, validation=None):
    torch.manual_seed(seed)
    model = PyramidAutoencoder(K, pictures.shape)
    history = fit(
        model, pictures, epochs=epochs, batch_size=16, seed=seed,
        validation=validation, verbose=False,
    )  # fmt: skip
    return model, history


model, history = trained(train, EPOCHS, validation=test)
rivals = {"mean image": MeanImage.fit(train), f"PCA-{K}": PCA.fit(train, K)}
answers = {
    name: reconstruct(rival, test)
    for name, rival in (rivals | {"network": model}).items()
}
error = {name: mse(test, x_hat) for name, x_hat in answers.items()}

# %% [markdown]
# **Look** at the fourth row beside the third: which has the colours right,
# and which the edges?

# %%
plots.compare(test, answers, source=credit)

# %% [markdown]
# (Read the figure.)

# %%
base = {name: value for name, value in error.items() if name != "network"}
plots.curves({"network": history}, baselines=base, source=credit)

# %% [markdown]
# (Read the curve.)

# %%
# NBVAL_CHECK_OUTPUT
if made:
    of_mean = error["network"] / error["mean image"]
    claim("the network beats the mean image", of_mean, "<", 0.5)
    of_pca = error["network"] / error[f"PCA-{K}"]
    claim("it does not beat PCA", of_pca, ">", 1.1)

# %% [markdown]
# ## How many pictures?
#
# Fewer pictures, the same test. PCA first, for it costs a second.

# %%
large = pictures.read(folder, size=128).images[keep]
train_128, test_128 = pictures.hold_out(
    large, groups, len(large) // 4, seed=0
)
numbers = [n for n in (50, 100, 200, 400) if n < len(train)] + [len(train)]
curve = {}
for size, learn, judge in ((64, train, test), (128, train_128, test_128)):
    for n in numbers:
        pca = PCA.fit(learn[:n], min(K, n - 1))
        curve[size, n] = [
            mse(part, reconstruct(pca, part)) for part in (learn[:n], judge)
        ]
        print(f"{size:3}, {n:4} pictures: train {curve[size, n][0]:.5f}, "
              f"test {curve[size, n][1]:.5f}")  # fmt: skip

# %%
steps = EPOCHS * -(-len(train) // 16)
fewer = {}
for n in numbers[1:-1:2]:
    few, _ = trained(train[:n], steps // -(-n // 16) // 2)
    fewer[n] = [mse(p, reconstruct(few, p)) for p in (train[:n], test)]
    print(f"{n} pictures: train {fewer[n][0]:.5f}, test {fewer[n][1]:.5f}")

# %% [markdown]
# ## 64 or 128?

# %%
import torch.nn.functional as F


def enlarged(x_hat):
    return F.interpolate(x_hat, size=128, mode="bicubic").clamp(0, 1)


start = time.perf_counter()
model_128, _ = trained(train_128, max(1, EPOCHS // 3))
print(f"{time.perf_counter() - start:.1f} s")
pca_128 = PCA.fit(train_128, K)
ways = {
    "64 as it is, enlarged": enlarged(test.unit()),
    "PCA at 64, enlarged": enlarged(answers[f"PCA-{K}"]),
    "PCA at 128": reconstruct(pca_128, test_128),
    "network at 64, enlarged": enlarged(answers["network"]),
    "network at 128": reconstruct(model_128, test_128),
}
fine = {name: mse(test_128, x_hat) for name, x_hat in ways.items()}
for name, value in fine.items():
    print(f"{name:26} {value:.5f}")

# %% [markdown]
# ## The doctor's report

# %%
from ae_lib import doctor
from ae_lib.recipe import muon_and_adam

batches = [data.to_unit(b) for b in data.batches(train.pixels, 16)]
report = doctor.examine(
    model, batches, optimizer=muon_and_adam(model), history=vars(history),
    eval_batches=test.unit().split(16), budget_seconds=pick(quick=5, full=20),
)  # fmt: skip
print(report)

# %%
torch.manual_seed(0)
fresh = PyramidAutoencoder(K, images.shape)
raw = [255 * b for b in batches]
second_report = doctor.examine(fresh, raw, budget_seconds=2)
print(second_report.findings[0])

# %% [markdown]
# ## Out of the door

# %%
from ae_lib.checkpoints import load_model, save_model
from ae_lib.export import to_onnx

out = Path(place.name) / "out"
file = save_model(model, out / "model.safetensors")
again = load_model(file)
exported = to_onnx(model, out / "model.onnx")
for path in (file, exported):
    print(f"{path.name:18} {path.stat().st_size / 1e6:.1f} MB")

# %%
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(
    str(exported), options, providers=["CPUExecutionProvider"]
)
x = test.unit()
(x_hat,) = session.run(None, {"x": x.numpy()})

# %%
torch.set_num_threads(1)


def per_image(answer, times=5):
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        answer()
        spent.append(time.perf_counter() - start)
    return 1e3 * min(spent) / len(x)


with torch.no_grad():
    ms = {
        "PyTorch": per_image(lambda: model(x)),
        "onnxruntime": per_image(lambda: session.run(None, {"x": x.numpy()})),
    }
for name, value in ms.items():
    print(f"{name:12} {value:.2f} ms per image, one thread")

# %%
with torch.no_grad():
    apart = (torch.from_numpy(x_hat) - model(x)).abs().max().item()
    saved = (again(x) - model(x)).abs().max().item()
    swapped = mse(test, model(x.flip(1)).flip(1))
print(apart, saved, swapped / error["network"])
