# %% [markdown]
# # 07 · Repairing a published network: solutions
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
# The images of the chapter, and PCA fitted on them.

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, mse_per_image, psnr

images = data.load("cifar10", limit=2_528)
train, validation = data.hold_out(images, 528)
x, x_val = train.unit(), validation.unit()
pca = PCA.fit(train, latent_dim=200)

# %% [markdown]
# ## Exercise 1
#
# A copy first: `start` changes weights in place, and whoever keeps the
# parameters themselves compares them with themselves. `named_parameters` does
# not list buffers, such as the running mean of a batch normalisation.


# %% tags=["exercise"]
# Exercise 07.1
import copy


def untouched(network, start):
    """Return the names of the parameters that start(network) leaves alone.

    A name is as in network.named_parameters(): "0.weight".
    """
    # --- solution
    other = copy.deepcopy(network)
    start(other)
    drawn = dict(other.named_parameters())
    return [
        name
        for name, p in network.named_parameters()
        if torch.equal(p, drawn[name])
    ]
    # --- end


# %%
from ae_lib import exercises

exercises.check("07.1", untouched)

# %% [markdown]
# On the article's program it finds the twelve that nobody meant to leave out:

# %%
# NBVAL_CHECK_OUTPUT
from ae_lib.article import EVERY, first_weights
from ae_lib.models import ArticleAutoencoder

network = ArticleAutoencoder(latent_dim=200)
left = untouched(network, first_weights)
claim("parameters forgotten by the article", len(left), "~", 12, tol=0)
left = untouched(network, lambda n: first_weights(n, EVERY))
claim("forgotten once the third kind is named", len(left), "~", 0, tol=0)

# %% [markdown]
# ## Exercise 2
#
# PCA's error on its own images is the variance that it leaves out, a sum over
# the values of an image, divided by their number. Zero components are the mean
# image.


# %% tags=["exercise"]
# Exercise 07.2
def components_for(error, variances, values):
    """Return the smallest number of components with an MSE of at most error.

    variances (D,) are those of all components, largest first; values is C·H·W,
    the number of values of an image. 0 components are the mean image.
    """
    # --- solution
    for k in range(len(variances) + 1):
        if variances[k:].sum() / values <= error:
            return k
    # --- end


# %%
from ae_lib import exercises

exercises.check("07.2", components_for)

# %% [markdown]
# ## Exercise 3
#
# No network is needed: the errors of PCA with 10 components vary among images
# as those of any other do. Random groups, 400 of each size.

# %%
errors = mse_per_image(x, pca.truncate(10)(x))
scatter = {}
for size in (16, 64, 256, 1_024):
    draw = torch.Generator().manual_seed(size)
    rows = torch.randint(len(errors), (400, size), generator=draw)
    scatter[size] = (errors[rows].mean(dim=1).std() / errors.mean()).item()
    in_db = psnr(1.0) - psnr(1 + scatter[size])
    print(f"{size:>5} images: ±{scatter[size]:.1%}, ±{in_db:.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
law = scatter[16] / scatter[1_024]
claim("64 times the images scatter an eighth", law, "~", 8, tol=1.2)
claim("sixteen images scatter by 8 % or more", scatter[16], ">", 0.08)

# %% [markdown]
# The scatter falls with the square root of the number. A repair of 0.2 dB is 5
# % of the error, and sixteen images cannot see it. If each of two networks is
# measured on images of its own, both scatter, their difference by $\sqrt 2$
# more, and at two deviations it takes about a thousand images for each. On
# *the same* images most of the scatter is common to both, and fewer will do.
# That is why the chapter may compare on 528.

# %% [markdown]
# ## Exercise 4
#
# A function makes features of PCA's code, least squares finds the best linear
# decoder on the training images, and the validation images judge.


# %%
def best_decoder(features):
    def design(x):
        z = features(pca.encode(x))
        return torch.cat([z, torch.ones(len(x), 1)], dim=1).double()

    target = x.flatten(1).double()
    weights = torch.linalg.lstsq(design(x), target).solution
    x_hat = (design(x_val) @ weights).float().view_as(x_val)
    return psnr(mse(x_val, x_hat))


def pair(z):
    return torch.cat([z[:, :100].relu(), (-z[:, :100]).relu()], dim=1)


# %%
kinds = {"linear": lambda z: z, "ReLU": torch.relu, "pairs, 100": pair}
kinds["leaky ReLU"] = torch.nn.LeakyReLU(0.01)
left = {name: best_decoder(features) for name, features in kinds.items()}
hundred = psnr(mse(x_val, pca.truncate(100)(x_val)))
for name, level in left.items():
    print(f"{name:<11} {level:.2f} dB")
print(f"PCA-100     {hundred:.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "the pairs are near PCA-100", left["pairs, 100"] - hundred, "~", 0, tol=0.8
)
leaky = left["linear"] - left["leaky ReLU"]
claim("a leaky ReLU loses much to a linear code", leaky, ">", 2, unit="dB")
claim("but less than a ReLU", left["leaky ReLU"] - left["ReLU"], ">", 0)

# %% [markdown]
# A pair gives its sign back by subtraction: max(z, 0) − max(−z, 0) = z. What
# is a little off is the fit of more weights to few images. A leaky ReLU
# forgets nothing in principle; a *linear* decoder cannot undo the bend. A
# network's decoder can, and must spend layers on it.

# %% [markdown]
# ## Exercise 5
#
# Three inputs for the same program: [0, 1], [−1, 1], and images minus their
# mean, on the scale of [0, 1]. A seed gives all three the same first weights
# and the same order: a pair.

# %%
from ae_lib.metrics import reconstruct
from ae_lib.recipe import constant
from ae_lib.training import fit

mean = MeanImage.fit(train).mean


class Ranged(torch.nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.inside, self.outside = inside, outside
        self.network = ArticleAutoencoder(latent_dim=200)
        first_weights(self.network)

    def forward(self, x):
        return self.outside(self.network(self.inside(x)))


# %% [markdown]
# Adam divides by the size of the gradient, so it makes next to no difference
# that the loss is taken on [0, 1] for all three.


# %%
def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def trained(inside, outside, seed):
    torch.manual_seed(seed)
    model = Ranged(inside, outside)
    common = {"optimizer": adam, "schedule": constant, "verbose": False}
    fit(model, train, epochs=1, batch_size=64, seed=seed, **common)
    return reconstruct(model, validation)


# %%
ranges = {
    "[0, 1]": (lambda x: x, lambda y: y),
    "[-1, 1]": (lambda x: 2 * x - 1, lambda y: (y + 1) / 2),
    "minus the mean": (
        lambda x: x - mean.to(x.device),
        lambda y: y + mean.to(y.device),
    ),
}
SEEDS = (0, 1, 2)
reached = {
    name: [psnr(mse(x_val, trained(*maps, seed))) for seed in SEEDS]
    for name, maps in ranges.items()
}
for name, levels in reached.items():
    print(f"{name:<15}", *(f"{level:.2f}" for level in levels), "dB")
plain, signed, centred = map(torch.tensor, reached.values())  # (seeds,)
steps = {"taking the mean away": centred - plain}
steps["and doubling the scale"] = signed - centred
for name, gain in steps.items():
    error = gain.std() / len(SEEDS) ** 0.5
    print(f"{name}: {gain.mean():+.2f} ± {error:.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
least = (centred - plain).min()
claim("the mean gains in each pair", least, ">", 0.2, unit="dB")
both = (signed - plain).min()
claim("[-1, 1] is above [0, 1] in each pair", both, ">", 0.2, unit="dB")

# %% [markdown]
# The mean does it: without it the untrained network's answer, nearly nothing,
# is already the mean image; with it the first steps are spent on finding a
# grey. Whether the doubled scale adds to that, three pairs cannot tell: its
# gain is near its standard error.
