# %% [markdown]
# # 08 · The bottleneck, measured: solutions
#
# Each exercise ends in claims, so that you can compare more than the code.

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
# The water covers what is smaller than it: a number errs by its variance or by
# the level, whichever is less, and what stands out of the water is paid for.


# %% tags=["exercise"]
# Exercise 08.1
def under_water(variances, level, values):
    """Return (bytes of an image, MSE) if each number may err by level.

    variances (D,) are those of PCA's numbers; values is C·H·W, the number of
    values of an image. What PCA leaves out does not count here.
    """
    # --- solution
    above = variances[variances > level]
    bits = (above / level).log2().sum() / 2
    return bits / 8, variances.clamp(max=level).sum() / values
    # --- end


# %%
from ae_lib import exercises

exercises.check("08.1", under_water)

# %% [markdown]
# ## Exercise 2
#
# Each value costs $-\log_2 q$ bits and occurs with share $p$. `xlogy` is
# $p \ln q$, and 0 where $p$ is 0, whatever $q$ says.


# %% tags=["exercise"]
# Exercise 08.2
def bits_per_value(p, q):
    """Return the mean bits of values with shares p by tables that say q.

    p and q are (K,), and each sums to 1; either may hold zeros.
    """
    # --- solution
    return -torch.special.xlogy(p, q).sum() / torch.log(torch.tensor(2.0))
    # --- end


# %%
from ae_lib import exercises

exercises.check("08.2", bits_per_value)

# %% [markdown]
# ## Exercise 3
#
# At equal bytes, one step for all is far better. The squared error adds up
# over units, and a unit of small deviation needs no precision: below the step
# it is 0 and costs nothing. Steps in proportion to deviations spend bits on
# numbers that hardly move the image.

# %%
from ae_lib.baselines import PCA
from ae_lib.coder import Tables, encode, quantise
from ae_lib.metrics import mse, psnr, reconstruct

train = data.load("cifar10", limit=1_200)
test = data.load("cifar10", "test", limit=500)
x, few = test.unit(), 400
pca = PCA.fit(train, 500)
seen, z = pca.encode(train.unit()), pca.encode(x)


def measure(steps):
    """Return bytes and decibels with a step for each unit, steps (500,)."""
    tables = Tables.fit(quantise(seen / steps, 1.0))
    symbols = tables.clip(quantise(z / steps, 1.0))
    size = sum(map(len, encode(symbols, tables))) / len(symbols)
    x_hat = pca.decode(torch.from_numpy(symbols) * steps)
    return size, psnr(mse(x, x_hat))


# %%
import numpy as np

rows = {"one step": torch.ones(500), "by deviation": seen.std(dim=0)}
at_100 = {}
for name, shape in rows.items():
    found = [measure(step * shape) for step in (0.3, 0.5, 0.8, 1.3, 2.0, 3.0)]
    size, db = zip(*sorted(found))
    at_100[name] = np.interp(100, size, db)
    print(f"{name:<13} {at_100[name]:.2f} dB at 100 bytes")

# %%
# NBVAL_CHECK_OUTPUT
better = at_100["one step"] - at_100["by deviation"]
claim("at 100 bytes one step for all is better", better, ">", 1, unit="dB")

# %% [markdown]
# What does the theory of exercise 1 say of the same code? Rounding to a step
# $\Delta$ errs by $\Delta^2/12$, which is the level.

# %%
for step in (0.2, 0.4, 0.8):
    level = step**2 / 12
    theory = under_water(seen.var(dim=0), level, x[0].numel())[0]
    size, db = measure(step * torch.ones(500))
    print(f"step {step}: {size:.0f} bytes, theory {theory:.0f}")

# %% [markdown]
# The theory wants fewer: it may write many images at once, and need not round
# one number at a time. (A perceptual loss would change the answer: JPEG has a
# step for each frequency because the eye has.)
#
# ## Exercise 4
#
# Deflate looks for repeated strings and has one table for all units. It does
# not know that unit 1 is wide and unit 400 nearly always 0; the places repeat
# every 500 bytes, and that it cannot use.

# %%
import zlib

tables = Tables.fit(quantise(seen, 0.4))
symbols = tables.clip(quantise(z, 0.4))
ours = sum(map(len, encode(symbols, tables))) + len(tables.to_bytes())
small = symbols.clip(-128, 127).astype(np.int8)
zipped = len(zlib.compress(small.tobytes(), 9))
turned = len(zlib.compress(small.T.tobytes(), 9))
print(f"coder and tables {ours:,}, zlib {zipped:,}, unit by unit {turned:,}")

# %%
# NBVAL_CHECK_OUTPUT
claim("zlib needs more, though our tables are counted", zipped / ours, ">",
      1.05)  # fmt: skip
claim("sorted by unit it needs less than by image", turned / zipped, "<", 1)

# %% [markdown]
# Sorted by unit, its table follows the units, and it comes nearer. But then no
# image can be read alone.
#
# ## Exercise 5
#
# 400 images span 399 directions around their mean. The error on them is zero
# but for rounding; on other images it is not; and of white noise 399 in 3,072
# parts come back.

# %%
own = train[:few]
heart = PCA.fit(own, few - 1)
noise = torch.rand(500, 3, 32, 32, generator=torch.Generator().manual_seed(0))
known = mse(own, reconstruct(heart, own))
new = mse(x, reconstruct(heart, x))
back = 1 - mse(noise, reconstruct(heart, noise)) / noise.var().item()
print(f"known {known:.1e}, new {new:.1e}, noise back {back:.3f}")

# %%
# NBVAL_CHECK_OUTPUT
claim("the images it was fitted on come back whole", known, "<", 1e-8)
claim("others do not", new, ">", 1e-4)
claim("noise comes back as 399 / 3072", back, "~", 399 / 3072, tol=0.02)

# %% [markdown]
# The identity would have three zeros as errors. This code knows its images by
# heart, which is the opposite: it returns those, and nothing else in full.
