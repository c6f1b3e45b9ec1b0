# %% [markdown]
# # 17 · Generation: solutions
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
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

digits = data.load("mnist", limit=pick(quick=2_000, full=None))
test = data.load("mnist", "test", limit=pick(quick=500, full=None))
K, N = 16, 500
OPTIONS = {"epochs": 5, "batch_size": 64, "verbose": False, "watch": 0}
torch.manual_seed(0)
plain = ConvAutoencoder(K, digits.shape)
fit(plain, digits, **OPTIONS)
with torch.no_grad():
    codes = plain.encode(digits.unit())  # (2000, 16)

# %% [markdown]
# ## Exercise 1
#
# Measure everything in units of $s$: then the hat is N(0, 1) again, the mean
# is $\mu/s$, and the logarithm of the variance is less by $2\log s$. The
# page's formula does the rest.


# %% tags=["exercise"]
# Exercise 17.1
def kl_to_hat(mu, logvar, s):
    """Return the KL of N(mu, exp(logvar)) from N(0, s²), in nats, (B,).

    mu and logvar are (B, K); s is the deviation of the hat, a number.
    """
    # --- solution
    mu = mu / s
    logvar = logvar - 2 * torch.tensor(s).log()
    return (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1) / 2
    # --- end


# %%
from ae_lib import exercises

exercises.check("17.1", kl_to_hat)

# %% [markdown]
# ## Exercise 2
#
# The random numbers come from N(0, 1) and know nothing of the encoder. Shifted
# and stretched they are the draws, and shifting and stretching have
# derivatives.


# %% tags=["exercise"]
# Exercise 17.2
def draw_codes(mu, logvar, n, generator):
    """Return n draws for each image, (n, B, K), with a gradient.

    mu and logvar are (B, K).
    """
    # --- solution
    epsilon = torch.randn(n, *mu.shape, generator=generator)  # (n, B, K)
    return mu + (logvar / 2).exp() * epsilon
    # --- end


# %%
from ae_lib import exercises

exercises.check("17.2", draw_codes)

# %% [markdown]
# ## Exercise 3
#
# Precision and recall need features. Those of the autoencoder itself will do
# here: real test digits are encoded like samples. (It is a lenient judge, for
# it does not see its own blur: recall is higher than with the chapter's.)

# %%
from sklearn.mixture import GaussianMixture

fitted = GaussianMixture(30, random_state=0, reg_covar=1e-3)
fitted.fit(codes.double().numpy())
centres = torch.from_numpy(fitted.means_).float()  # (30, 16)
z, part = fitted.sample(N)
z, part = torch.from_numpy(z).float(), torch.from_numpy(part)


@torch.no_grad()
def tempered(t):
    z_t = centres[part] + t * (z - centres[part])
    return plain.decode(z_t).clamp(0, 1)  # (500, 1, 28, 28)


def within(samples, among, k=3):
    reach = torch.cdist(among, among).kthvalue(k + 1, dim=1).values
    near = torch.cdist(samples, among) <= reach
    return near.any(dim=1).double().mean().item()


# %%
with torch.no_grad():
    real = plain.encode(test.unit())
found = {}
for t in (0.0, 0.3, 0.6, 1.0, 1.5):
    with torch.no_grad():
        f = plain.encode(tempered(t))
    found[t] = within(f, real), within(real, f)
    print(f"t = {t}: precision {found[t][0]:.2f}, recall {found[t][1]:.2f}")

# %% [markdown]
# Cold samples are typical: precision rises and recall falls. A paper that
# shows sixteen pictures at $t = 0.6$ has not lied about any of them.

# %%
# NBVAL_CHECK_OUTPUT
cold, warm = found[0.3], found[1.0]
claim("cold: precision is higher", cold[0] - warm[0], ">", 0)
claim("cold: recall is lower", warm[1] - cold[1], ">", 0)

# %% [markdown]
# ## Exercise 4
#
# Test digits have never been seen. If samples were copies, they would lie much
# closer to the training digits than test digits do. A sample is blurred, so
# compare it with *reconstructions* of test digits, which are blurred alike.


# %%
def nearest(x):
    return torch.cdist(x.flatten(1), digits.unit().flatten(1)).min(1).values


with torch.no_grad():
    blurred = plain(test.unit())
distances = {
    "samples": nearest(tempered(1.0)),
    "test digits, reconstructed": nearest(blurred),
}
for name, distance in distances.items():
    closest = distance.quantile(0.01)
    print(f"{name:28} {distance.median():.2f} to the nearest", end=", ")
    print(f"{closest:.2f} for the closest hundredth")

# %%
# NBVAL_CHECK_OUTPUT
ratio = distances["samples"].median() / distances[
    "test digits, reconstructed"].median()  # fmt: skip
claim("samples are no closer to training digits", ratio, ">", 0.8)
few = distances["samples"].quantile(0.01) / distances[
    "test digits, reconstructed"].quantile(0.01)  # fmt: skip
claim("nor are the closest of them", few, ">", 0.6)

# %% [markdown]
# ## Exercise 5
#
# `ae_lib.variational` has the chapter's network and loss.

# %%
from ae_lib.variational import (
    VariationalAutoencoder,
    kl_per_unit,
    negative_elbo,
)


def count(latent_dim):
    torch.manual_seed(0)
    model = VariationalAutoencoder(latent_dim, digits.shape)
    fit(model, digits, loss=negative_elbo(1.0), **OPTIONS)
    with torch.no_grad():
        kl = kl_per_unit(*model.posterior(test.unit())).mean(dim=0)
    return int((kl > 0.1).sum()), kl.sum().item()


# %%
active = {latent_dim: count(latent_dim) for latent_dim in (4, 16, 64)}
for latent_dim, (units, nats) in active.items():
    print(f"{latent_dim:3} units: {units} active, {nats:.0f} nats in all")

# %% [markdown]
# Four units are all used. Of 64 most stay idle, and all 64 together say no
# more than 16: at this $\sigma$ what the others could add is not worth its
# price. The count itself is no law. Warmed up, more units stay active and say
# no more (see the chapter).

# %%
# NBVAL_CHECK_OUTPUT
claim("of four units all are active", active[4][0], "~", 4, tol=0)
claim("of 64 many are idle", active[64][0], "<", 48)
claim("four units say less than 16", active[16][1] - active[4][1], ">", 0)
claim("64 say hardly more", active[64][1] - active[16][1], "<", 1)
