# %% [markdown]
# # 02 · Images as data: solutions
#
# Each exercise ends in a claim, so that you can compare more than the code.

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
images = data.load("cifar10", "train", limit=2_000)

# %% [markdown]
# ## Exercise 1
#
# The noise of item `i` must not depend on when it is read. A generator seeded
# with `i` does that; a global random state would not.

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
        # --- solution
        x = data.to_unit(self.pixels[i])
        generator = torch.Generator().manual_seed(i)
        noise = self.sigma * torch.randn(x.shape, generator=generator)
        return (x + noise).clamp(0, 1), x
        # --- end


# %%
from ae_lib import exercises

exercises.check("02.1", NoisyDataset)

# %% [markdown]
# Clipping takes a little of the noise away where pixels are nearly black or
# white, so the difference is slightly below 0.1.

# %%
# NBVAL_CHECK_OUTPUT
noisy = NoisyDataset(images)
pairs = [noisy[i] for i in range(200)]
distance = torch.stack([a - b for a, b in pairs]).square().mean().sqrt()
claim(
    "item 7 is the same twice",
    (noisy[7][0] - noisy[7][0]).abs().max(),
    "<=",
    0,
)
claim("noisy and clean differ by about 0.1", distance, "~", 0.1, tol=0.02)

# %% [markdown]
# ## Exercise 2
#
# One permutation, cut once: what is on one side of the cut cannot be on the
# other, and nothing falls out. Two independent draws would overlap.


# %% tags=["exercise"]
# Exercise 02.2
def split(n, held, seed):
    """Return (train, validation): n - held and held rows, 0 to n - 1."""
    # --- solution
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)
    return order[held:], order[:held]
    # --- end


# %%
from ae_lib import exercises

exercises.check("02.2", split)

# %% [markdown]
# ## Exercise 3
#
# `j` already counts images, and the slice multiplies it by 100 once more. For
# `j = 0` the batch is the first hundred; for `j = 100` it starts at image
# 10,000, far behind the last one. Slicing past the end is no error: it gives
# an empty batch. This loop is in a question that thousands have read.

# %%
x = torch.arange(1_000)
seen = [x[j * 100 : (j + 1) * 100] for j in range(0, 1_000, 100)]
print([len(batch) for batch in seen])

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "nine of the ten batches are empty",
    sum(len(batch) == 0 for batch in seen),
    "~",
    9,
    tol=0,
)
claim(
    "a tenth of the images is ever seen",
    len(torch.cat(seen)) / len(x),
    "~",
    0.1,
    tol=0,
)

# %% [markdown]
# ## Exercise 4
#
# Range, order and layout are all blameless. Counting distinct images is the
# one-line measurement: bytes make good fingerprints.

# %%
pixels = images.pixels.clone()  # (2000, 3, 32, 32)
pixels[::10] = pixels[0].clone()
distinct = len({one.numpy().tobytes() for one in pixels})
print(f"{distinct} distinct images among {len(pixels)}")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "about a tenth of the images are copies",
    1 - distinct / len(pixels),
    "~",
    0.1,
    tol=0.01,
)
