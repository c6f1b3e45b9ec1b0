# %% [markdown]
# # 19 · Towards today's models: solutions
#
# Each exercise ends in claims or in a check, so that you can compare more than
# the code.

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
# The trick is the one of the page: add what rounding has changed, detached.
# The token is the number whose digits are the levels, counted from 0.


# %% tags=["exercise"]
# Exercise 19.1
def fsq(z, levels):
    """Return rounded codes (N, D) and their tokens (N,).

    z is (N, D); levels holds an odd number for each of the D.
    """
    # --- solution
    half = (torch.tensor(levels) - 1) // 2  # (D,)
    smooth = half * z.tanh()
    codes = smooth + (smooth.round() - smooth).detach()
    digits = smooth.round().long() + half  # (N, D), from 0
    place = torch.tensor([1, *levels[:-1]]).cumprod(0)
    return codes, (digits * place).sum(dim=1)
    # --- end


# %%
from ae_lib import exercises

exercises.check("19.1", fsq)

# %% [markdown]
# With levels (7, 7, 5) there are 245 words and no dictionary. No word can be
# forgotten, for none has to be found. What is lost is the freedom to put words
# where vectors are dense.
#
# ## Exercise 2
#
# Number the pairs, count them, divide each row by its sum.


# %% tags=["exercise"]
# Exercise 19.2
def bits_given_left(train, test, k):
    """Return the mean bits of the words of test that have a left neighbour.

    train and test are tokens (N, H, W), whole numbers from 0 to k - 1.
    """

    # --- solution
    def pairs(tokens):
        return (tokens[:, :, :-1] * k + tokens[:, :, 1:]).flatten()

    count = pairs(train).bincount(minlength=k * k).view(k, k) + 0.1
    share = count / count.sum(dim=1, keepdim=True)  # (left, right)
    return -share.log2().flatten()[pairs(test)].mean()
    # --- end


# %%
from ae_lib import exercises

exercises.check("19.2", bits_given_left)

# %% [markdown]
# ## Exercise 3
#
# k-means of the page, for patches of any size.

# %%
import torch.nn.functional as F
from ae_lib.metrics import mse, psnr

train = data.load("cifar10", limit=2_000)
test = data.load("cifar10", "test", limit=500)


def patches(x, size):
    p = F.pixel_unshuffle(x - 0.5, size)  # (N, 3·size², 32/size, 32/size)
    return p.permute(0, 2, 3, 1)


# %%
def nearest(z, words):
    half = words.square().sum(1) / 2
    parts = z.reshape(-1, z.shape[-1]).split(20_000)
    tokens = [(half - part @ words.T).argmin(1) for part in parts]
    return torch.cat(tokens).view(z.shape[:-1])


# %% [markdown]
# And the dictionary itself:


# %%
def kmeans(z, k, rounds=15, seed=0):
    random = torch.Generator().manual_seed(seed)
    words = z[torch.randperm(len(z), generator=random)[:k]]  # (K, D)
    for _ in range(rounds):
        tokens = nearest(z, words)
        count = tokens.bincount(minlength=k)[:, None]
        total = torch.zeros_like(words).index_add_(0, tokens, z)
        words = torch.where(count > 0, total / count.clamp(min=1), words)
    return words


# %%
def decibels(size, k, seed):
    random = torch.Generator().manual_seed(seed)
    seen = patches(train.unit(), size).flatten(0, 2)
    some = seen[torch.randperm(len(seen), generator=random)[:20_000]]
    words, p = kmeans(some, k, seed=seed), patches(test.unit(), size)
    error = (words[nearest(p, words)] - p).square().mean().item()
    return psnr(error), (32 // size) ** 2 * torch.tensor(k).log2() / 8


# %% [markdown]
# Two seeds each, at the same 64 bytes.

# %%
rates = {}
for size, k in ((2, 4), (4, 256)):
    runs = [decibels(size, k, seed) for seed in (0, 1)]
    rates[size] = [run[0] for run in runs]
    print(f"{size}×{size}, {k:3} words: {runs[0][1]:.0f} bytes,",
          " ".join(f"{db:.2f} dB" for db in rates[size]))  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
gain = min(rates[4]) - max(rates[2])
claim("at 64 bytes larger patches are better", gain, ">", 0.5, unit="dB")
words_of_8 = 8 * 64 // 16  # log2 of the words, for 16 patches of 8×8
claim("patches of 8×8 would need 2 to the power of", words_of_8, "~", 32,
      tol=0)  # fmt: skip

# %% [markdown]
# A word for a larger patch can use what its pixels have in common. But the
# dictionary grows as a power: at as many bytes patches of 8×8 need $2^{32}$
# words of 192 numbers, more than anyone can learn or search. An encoder in
# front is the way around: it lets small words speak of a large
# neighbourhood.
#
# ## Exercise 4
#
# The same number of patches, hidden as one square or strip, and the two
# methods of the page that know no network.

# %%
images = data.load("cifar10", limit=4_000)
x_learn, x_test = images.unit(), test.unit()
mean = x_learn.mean(0)  # (3, 32, 32)
centred = (x_learn - mean).flatten(1)
covariance = (centred.T @ centred / len(centred)).double()


# %%
def holes(stay):
    hidden = torch.ones(len(stay), 64).scatter(1, stay, 0).bool()
    hidden = hidden.view(-1, 1, 8, 8).repeat_interleave(4, 2)
    return hidden.repeat_interleave(4, 3)  # (N, 1, 32, 32)


def error(guess, x, stay):
    return (guess - x).square()[holes(stay).expand_as(x)].mean().item()


# %% [markdown]
# The two players, here with one mask for all images.


# %%
def linear(x, stay, noise=0.003):
    """Guess with one mask for all."""
    hidden = holes(stay[:1]).expand(1, 3, 32, 32).flatten()
    seen, y = ~hidden, (x - mean).flatten(1).double()
    A = covariance[seen][:, seen]
    A = A + noise * torch.eye(len(A), dtype=torch.double)
    w = torch.linalg.solve(A, y[:, seen].T)  # (V, N)
    y[:, hidden] = (covariance[hidden][:, seen] @ w).T
    return y.float().view_as(x) + mean


# %%
def heat(x, stay, steps=200):
    hidden, seen = holes(stay), ~holes(stay)
    colour = (x * seen).sum((2, 3)) / seen.sum((2, 3))  # (N, 3)
    x_hat = torch.where(hidden, colour[..., None, None], x)
    for _ in range(steps):
        around = F.avg_pool2d(F.pad(x_hat, 4 * [1], "replicate"), 3, 1)
        x_hat = torch.where(hidden, around, x_hat)
    return x_hat


# %% [markdown]
# Scattered patches against two rows of them.

# %%
random = torch.Generator().manual_seed(0)
scattered = torch.rand(64, generator=random).argsort()[:16]
top = torch.arange(16)  # the two uppermost rows of patches
lost = {}
for name, stay in {"scattered": scattered, "two rows": top}.items():
    stay = stay.expand(len(x_test), 16)
    for method in (linear, heat):
        db = psnr(error(method(x_test, stay), x_test, stay))
        lost[name, method.__name__] = db
        print(f"{name:<10} {method.__name__:<7} {db:.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
for method in ("linear", "heat"):
    cost = lost["scattered", method] - lost["two rows", method]
    claim(f"{method}: one large hole is harder", cost, ">", 1, unit="dB")

# %% [markdown]
# Most of what a hidden patch owes to the others it owes to its nearest
# neighbours. One large hole leaves most patches without any: even the best
# linear guess has little to go by, and a grade that nobody can earn teaches
# little. Scattered holes can be mended, but where most patches stay, each has
# a neighbour that tells nearly all; so a large share has to be hidden before
# anyone must look farther than the next patch. (He et al. compared: with three
# quarters hidden, large blocks gave worse features than scattered ones.)
