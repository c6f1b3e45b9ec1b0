# %% [markdown]
# # 15 · Denoising: solutions
#
# Try the exercises first. Each solution ends in claims, so that you can see
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

# %%
from ae_lib.corruptions import gaussian, mask
from ae_lib.metrics import mse, psnr, reconstruct

train = data.load("cifar10", limit=pick(quick=3_000, full=50_000))
train, validation = data.hold_out(train, 100)
test = data.load("cifar10", "test", limit=300)
x, x_val = test.unit(), validation.unit()  # (300 | 100, 3, 32, 32)


# %%
def seeded(seed):
    return torch.Generator().manual_seed(seed)


def decibels(x, y):
    return psnr(mse(x, y.clamp(0, 1)))


noisy = gaussian(x, 0.1, seeded(1))
noisy_val = gaussian(x_val, 0.1, seeded(2))

# %% [markdown]
# ## Exercise 1
#
# All components that 2,900 images give. The factor is near 1 where the images
# vary much more than the noise, and near 0 where the noise drowns them.

# %%
from ae_lib.baselines import PCA

pca = PCA.fit(train, min(len(train) - 1, 3_072))
shrink = pca.variances / (pca.variances + 0.1**2)  # (components,)
wiener = pca.decode(shrink * pca.encode(noisy))


# %%
def cut(x, k):
    return pca.truncate(k)(x)


k = min(range(25, 400, 25), key=lambda k: mse(x_val, cut(noisy_val, k)))
gain = decibels(x, wiener) - decibels(x, cut(noisy, k))
print(f"PCA-{k} {decibels(x, cut(noisy, k)):.2f} dB")
print(f"Wiener {decibels(x, wiener):.2f} dB, no dial")

# %% [markdown]
# If images had a Gaussian distribution with this mean and covariance, no
# method at all would have a smaller squared error; and whatever their
# distribution, no linear one does (but for the clipping, and for the error in
# a covariance of few images). So what the network of the chapter has beyond
# this, it owes to being nonlinear, and to knowing that all places of an image
# are alike.

# %%
# NBVAL_CHECK_OUTPUT
claim("Wiener's filter beats the best cut", gain, ">", 0.3, unit="dB")

# %% [markdown]
# ## Exercise 2
#
# The chapter's network, with a target that is noisy as well. `fit` hands the
# loss the clean image, so the loss can add the noise.

# %%
from torch import nn
from torch.nn.functional import mse_loss
from ae_lib.training import fit


class Spoilt(nn.Module):
    def __init__(self, network, spoil, seed=0):
        super().__init__()
        self.network, self.spoil = network, spoil
        self.generator = seeded(seed)

    def forward(self, x):
        seen = self.spoil(x, self.generator) if self.training else x
        return self.network(seen)


# %%
class Residual(nn.Module):
    def __init__(self, width=48, depth=3):
        super().__init__()
        conv = {"kernel_size": 3, "padding": 1}
        layers = [nn.PixelUnshuffle(2), nn.Conv2d(12, width, **conv)]
        for _ in range(depth):  # (B, 48, 16, 16)
            layers += [nn.GELU(), nn.Conv2d(width, width, **conv)]
        last = nn.Conv2d(width, 12, **conv)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.damage = nn.Sequential(
            *layers, nn.GELU(), last, nn.PixelShuffle(2)
        )

    def forward(self, x):
        return x - self.damage(x)  # (B, 3, 32, 32)


# %%
few = train[: pick(quick=1_000, full=50_000)]


def train_residual(spoil, loss=mse_loss, epochs=6):
    torch.manual_seed(0)
    model = Residual()
    options = {"epochs": epochs, "batch_size": 32, "loss": loss}
    fit(Spoilt(model, spoil), few, verbose=False, watch=0, **options)
    return model


# %% [markdown]
# First with clean targets, then with noisy ones.


# %%
def spoil(x, generator):
    return gaussian(x, 0.1, generator)


target = seeded(5)
taught = {
    "clean targets": train_residual(spoil),
    "noisy targets": train_residual(
        spoil, lambda y, x: mse_loss(y, spoil(x, target))
    ),
}

# %%
quality = {k: decibels(x, reconstruct(m, noisy)) for k, m in taught.items()}
print({name: f"{value:.2f} dB" for name, value in quality.items()})

# %% [markdown]
# The best answer under squared error is the *mean* of the targets that go with
# an input. The noise of the target is independent of the input and has mean 0,
# so the mean of noisy targets is that of clean ones; it only takes more images
# until it has averaged out. Clipping breaks this near black and white: there
# the noise that is left has a mean, and the network learns it as if it were
# part of the image.

# %%
# NBVAL_CHECK_OUTPUT
done = decibels(x, noisy)
cost = quality["clean targets"] - quality["noisy targets"]
worth = quality["noisy targets"] - done
claim("without a clean image it still denoises", worth, ">", 3, unit="dB")
claim("that costs less than 1 dB", cost, "<", 1, unit="dB")

# %% [markdown]
# ## Exercise 3
#
# The same share of the image is lost, in larger pieces.

# %%
import numpy as np
from skimage import filters


def average(x, sigma):
    return torch.from_numpy(filters.gaussian(x.numpy(), (0, 0, sigma, sigma)))


# %%
def repair(x, sigma):
    bad = x.amax(1, keepdim=True) == 0  # (N, 1, H, W)
    mean = average(x * ~bad, sigma) / (average((~bad).float(), sigma) + 1e-6)
    return torch.where(bad, mean, x)


def squares(size):
    return lambda x, generator: mask(x, 0.25, generator, size=size)


# %%
dials, scores = [0.5, 0.7, 1.0, 1.5, 2.0], {}
for size in (1, 4):
    holed = mask(x, 0.25, seeded(1), size=size)
    holed_val = mask(x_val, 0.25, seeded(2), size=size)
    s = min(dials, key=lambda s: mse(x_val, repair(holed_val, s)))
    model = train_residual(squares(size))
    scores[size] = {
        "repair": decibels(x, repair(holed, s)),
        "network": decibels(x, reconstruct(model, holed)),
    }
    print(size, {k: f"{v:.1f} dB" for k, v in scores[size].items()})

# %% [markdown]
# A lost pixel has neighbours that know nearly all about it. The middle of a
# lost square has none within two pixels, and what is not in the image must be
# invented, by both.

# %%
# NBVAL_CHECK_OUTPUT
for name in ("repair", "network"):
    lost = scores[1][name] - scores[4][name]
    claim(f"{name}: squares cost more than pixels", lost, ">", 2, unit="dB")
