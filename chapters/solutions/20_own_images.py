# %% [markdown]
# # 20 · Your own images: solutions
#
# Try the exercises first. The open ones end in claims, so that you can see
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
# Draw groups, not images, and count the images that come with them. The first
# group that brings the count to `n` is the last one held out.


# %% tags=["exercise"]
# Exercise 20.1
def split(groups, n, seed):
    """Return (train, held): rows of images; no group is on both sides."""
    # --- solution
    numbers, sizes = groups.unique(return_counts=True)
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(numbers), generator=random)
    enough = int((sizes[order].cumsum(0) < n).sum()) + 1  # groups
    held = torch.isin(groups, numbers[order[:enough]])
    return (~held).nonzero().flatten(), held.nonzero().flatten()
    # --- end


# %%
from ae_lib import exercises

exercises.check("20.1", split)

# %% [markdown]
# ## Exercise 2
#
# Four numbers are turns by quarters, four are those of a mirror image. Number
# 6 is the commonest on phones: the file's first row is the right edge, so the
# picture has to be turned clockwise.


# %% tags=["exercise"]
# Exercise 20.2
def upright(pixels, turn):
    """Return pixels (C, H, W), stored with this EXIF number, upright."""
    # --- solution
    if turn in (2, 4, 5, 7):
        pixels = pixels.flip(2)
    quarters = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}.get(turn, 0)
    return pixels.rot90(quarters, (1, 2))  # (C, W, H) for 5 to 8
    # --- end


# %%
from ae_lib import exercises

exercises.check("20.2", upright)

# %% [markdown]
# ## Exercise 3
#
# Wide pictures, 64×44, once in a white border of 64×64 and once without it.
# PCA learns the border at once, and the border counts.

# %%
import torch.nn.functional as F

from ae_lib.baselines import PCA
from ae_lib.metrics import mse, reconstruct

square = data.load("shapes", limit=600, size=64).pixels
wide = square[:, :, 10:54]
framed = F.pad(wide, (0, 0, 10, 10), value=255)  # (600, 3, 64, 64)

# %%
pca = PCA.fit(framed[:400], 32)
x_hat = reconstruct(pca, framed[400:])
whole = mse(framed[400:], x_hat)
picture = mse(wide[400:], x_hat[:, :, 10:54])
bare = mse(wide[400:], reconstruct(PCA.fit(wide[:400], 32), wide[400:]))
print(f"on the square {whole:.4f}, on the picture {picture:.4f}, without a "
      f"border {bare:.4f}")  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
claim("the square's error, of the picture's", whole / picture, "~", 44 / 64,
      tol=0.005)  # fmt: skip
claim("the picture's, of one without a border", picture / bare, "~", 1,
      tol=0.005)  # fmt: skip

# %% [markdown]
# The error falls by the share of the border, 31 %, and nothing has become
# better. Report the error on the picture, or the border pays for you. The code
# itself does not suffer, for a border that never changes costs no component.
# And where your pictures have many formats? Borders of 0 to 20 pixels:

# %%
random = torch.Generator().manual_seed(0)
width = torch.randint(21, (600, 1), generator=random)
row = torch.arange(64)
blank = ((row < width) | (row >= 64 - width))[:, None, :, None]
mixed = square.masked_fill(blank, 255)  # (600, 3, 64, 64)
inside = ~blank[400:].expand(-1, 3, -1, 64)


def error_inside(pixels):
    pca = PCA.fit(pixels[:400], 32)
    off = reconstruct(pca, pixels[400:]) - pixels[400:] / 255
    return off[inside].square().mean().item()


# %%
# NBVAL_CHECK_OUTPUT
cost = error_inside(mixed) / error_inside(square)
claim("borders that change: their pictures' error grows", cost, ">", 1.1)

# %% [markdown]
# Those cost components. Sort such pictures by format, or crop.
#
# ## Exercise 4
#
# A network in training needs the fine steps of 32 bits; a trained one stands
# still.

# %%
from tempfile import TemporaryDirectory
from pathlib import Path

from safetensors.torch import load_file, save_file

from ae_lib.models import PyramidAutoencoder
from ae_lib.training import fit

# %%
images = data.load("shapes", limit=500, size=64)
train, test = data.hold_out(images, 100)
torch.manual_seed(0)
model = PyramidAutoencoder(32, images.shape)
fit(model, train, epochs=4, batch_size=16, verbose=False)
full = mse(test, reconstruct(model, test))

# %% [markdown]
# The weights once as they are, and once rounded to 16 bits, which go back into
# the network for the test.


# %%
def contiguous(state, change):
    return {key: change(value).contiguous() for key, value in state.items()}


with TemporaryDirectory() as folder:
    files = [Path(folder) / name for name in ("32", "16")]
    state = model.state_dict()
    save_file(contiguous(state, lambda v: v), files[0])
    save_file(contiguous(state, lambda v: v.half()), files[1])
    size = [file.stat().st_size for file in files]
    model.load_state_dict(load_file(files[1]))
half = mse(test, reconstruct(model, test))
print(f"{size[0]:,} bytes: {full:.6f}; {size[1]:,} bytes: {half:.6f}")

# %%
# NBVAL_CHECK_OUTPUT
claim("half the bytes", size[1] / size[0], "~", 0.5, tol=0.02)
claim("and the error stays", half / full, "~", 1, tol=0.01)

# %% [markdown]
# Half of the file for nothing that the error would notice.
