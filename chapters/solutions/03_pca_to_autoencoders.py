# %% [markdown]
# # 03 · From PCA to autoencoders: solutions
#
# Try the exercises first. Each solution ends in a claim, so that you can see
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
# The images are those of the chapter. 2,000 of them are enough here: with
# fewer images than pixels the library takes a cheaper road to the same
# components.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, psnr

images = data.load("cifar10", "train", limit=pick(quick=8_000, full=50_000))
train, validation = data.hold_out(images, 1_000, seed=0)
x, x_val = train[:2_000].unit(), validation.unit()  # (N, 3, 32, 32)
everything = PCA.fit(x, 200)

# %% [markdown]
# ## Exercise 1
#
# The rows of `V` are the components, and `U * S` is the code. The squared
# singular values, divided by $N$, are the variances $\lambda$ of the chapter.


# %% tags=["exercise"]
# Exercise 03.1
def by_svd(x, k):
    """Return the reconstructions (N, C, H, W) of x (N, C, H, W).

    They are PCA's with k components, fitted on these same images.
    """
    # --- solution
    mean = x.mean(dim=0)  # (C, H, W)
    centred = (x - mean).flatten(1)  # (N, D)
    U, S, V = torch.linalg.svd(centred, full_matrices=False)
    x_hat = (U[:, :k] * S[:k]) @ V[:k]  # (N, D)
    return x_hat.view_as(x) + mean
    # --- end


# %%
from ae_lib import exercises

exercises.check("03.1", by_svd)

# %% [markdown]
# ## Exercise 2
#
# The largest angle has the smallest cosine. Without the `clamp`, rounding
# makes a cosine of 1.0000001 out of 1, and its angle is NaN.


# %% tags=["exercise"]
# Exercise 03.2
def largest_angle(A, B):
    """Return the largest principal angle in degrees, a number.

    A and B are (D, k), with D >= k; their columns span the subspaces.
    """
    # --- solution
    Q, R = torch.linalg.qr(A)[0], torch.linalg.qr(B)[0]  # (D, k), both
    cosines = torch.linalg.svdvals(Q.T @ R)  # (k,), the largest first
    return torch.rad2deg(torch.acos(cosines[-1].clamp(max=1)))
    # --- end


# %%
from ae_lib import exercises

exercises.check("03.2", largest_angle)

# %% [markdown]
# ## Exercise 3
#
# The function of the chapter, with other numbers of bits.


# %%
def rounded(z, bits):
    low, high = z.min(dim=0).values, z.max(dim=0).values
    step = (high - low) / (2**bits - 1)
    return ((z - low) / step).round() * step + low


z = everything.encode(x_val)  # (1000, 200)
exact = psnr(mse(x_val, everything(x_val)))
cost = {}
for bits in (8, 6, 5, 4, 2):
    x_hat = everything.decode(rounded(z, bits))
    cost[bits] = exact - psnr(mse(x_val, x_hat))
    print(
        f"{bits} bits: {200 * bits / 8:5.0f} bytes, factor "
        f"{3072 * 8 / (200 * bits):5.1f}, costs {cost[bits]:6.2f} dB"
    )

# %% [markdown]
# Each bit less makes the steps twice as wide and the error of rounding four
# times as large. It stays hidden below the error of the 200 components for a
# while, and then takes over. It would pay to give the first numbers, whose
# range is wide, more bits than the last: that is what real codecs do. Five
# bits are the fewest below 0.5 dB, a factor of almost 25.

# %%
# NBVAL_CHECK_OUTPUT
claim("5 bits cost less than 0.5 dB", cost[5], "<", 0.5)
claim("4 bits cost more", cost[4], ">", 0.5)
claim("2 bits cost more than 2 dB", cost[2], ">", 2)

# %% [markdown]
# ## Exercise 4
#
# The loop of the chapter, with more steps: an angle settles later than the
# error does. Which $k$ is good? One with a wide gap between $\lambda_k$ and
# $\lambda_{k+1}$. So first look at the ratios of neighbouring variances.

# %%
from ae_lib.models import LinearAutoencoder
from ae_lib.recipe import one_cycle

ratio = everything.variances[:-1] / everything.variances[1:]
for k in range(5, 11):
    print(f"k = {k:2}: variance k is {ratio[k - 1]:.2f} times variance k+1")
good = 5 + int(ratio[4:10].argmax())  # the widest gap from 5 to 10


# %%
def train_linear(x, latent_dim, steps=1_600, lr=0.01, seed=0):
    torch.manual_seed(seed)
    model = LinearAutoencoder(latent_dim, x.shape[1:])
    adam = torch.optim.Adam(model.parameters(), lr)
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * one_cycle(step / steps)
        batch = x[torch.randint(len(x), (128,))]  # (128, 3, 32, 32)
        loss = (model(batch) - batch).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model.requires_grad_(False)


def compare_with_pca(k):
    """Return the ratio of the errors, and the largest angle in degrees."""
    centred, pca = x - everything.mean, everything.truncate(k)
    model = train_linear(centred, k)
    error = mse(x, model(centred) + everything.mean)
    Q = torch.linalg.qr(model.decoder[0].weight)[0]  # (3072, k)
    smallest = torch.linalg.svdvals(pca.components @ Q)[-1].clamp(max=1)
    return error / mse(x, pca(x)), torch.rad2deg(torch.acos(smallest)).item()


# %%
outcome = {k: compare_with_pca(k) for k in (8, good)}
for k, (error, angle) in outcome.items():
    print(f"k = {k:2}: error {error:.4f} of PCA's, largest angle {angle:.1f}°")

# %% [markdown]
# The error is as close to PCA's at 8 as at the better $k$. The angle is not to
# be trusted at 8: variances 8 and 9 are so close that the loss hardly minds
# which of the two directions is kept, or which mixture. Where the gap is wide
# the subspace is well defined, and the training finds it.

# %%
# NBVAL_CHECK_OUTPUT
claim("at 8 the error is within 3 % of PCA's", outcome[8][0], "<", 1.03)
claim("and at the widest gap, too", outcome[good][0], "<", 1.03)
claim("there the largest angle is below 20°", outcome[good][1], "<", 20)

# %% [markdown]
# ## Exercise 5
#
# Without the mean, $k$ directions through the origin span a linear subspace of
# dimension $k$. PCA's sheet is one of dimension $k$ placed anywhere, so it can
# only be better. In turn, the mean image and the first $k - 1$ components
# together span a subspace through the origin, of dimension $k$, that contains
# the whole sheet of PCA with $k - 1$. So going through the origin costs one
# number at most. The check uses the singular vectors of 1,000 raw images.

# %%
x = x[:1_000]
everything = PCA.fit(x, 128)
flat = x.flatten(1)  # (1000, 3072)
_, vectors = torch.linalg.eigh((flat @ flat.T).double())  # smallest first
raw = {}
for k in (2, 8, 32, 128):
    U = vectors[:, -k:].float()  # (1000, k), left singular vectors
    raw[k] = mse(x, (U @ (U.T @ flat)).view_as(x))
    less, same = (mse(x, everything.truncate(j)(x)) for j in (k - 1, k))
    print(
        f"k = {k:3}: PCA {same:.5f} <= raw {raw[k]:.5f} "
        f"<= PCA with k-1 {less:.5f}"
    )

# %%
# NBVAL_CHECK_OUTPUT
for k in raw:
    claim(
        f"k = {k}: no better than PCA with k",
        raw[k],
        ">=",
        0.9999 * mse(x, everything.truncate(k)(x)),
    )
    claim(
        f"k = {k}: no worse than PCA with k - 1",
        raw[k],
        "<=",
        1.0001 * mse(x, everything.truncate(k - 1)(x)),
    )

# %% [markdown]
# At 128 numbers nobody would notice. What centring buys is mostly an easy
# training, not a better optimum.
#
# ## Exercise 6
#
# Weight the loss: errors of the marked pixel count $w^2$ times. For PCA that
# means to multiply this pixel by $w$ before the fit, and to divide by $w$
# after the reconstruction. (Pixels must stay in [0, 1], so instead we divide
# all the others by $w$, which is the same up to a factor.)

# %%
random = torch.Generator().manual_seed(0)
coin = torch.rand(2_000, generator=random) < 0.5


def mark(x, bit):
    x = x.clone()
    x[:, :, 2, 2] = bit[:, None].float()  # (N, 3): white or black
    return x


marked, marked_val = mark(x, coin[:1_000]), mark(x_val, coin[1_000:])
elsewhere = torch.ones(32, 32)
elsewhere[2, 2] = 0


# %%
def weighted(w):
    """Return the share of bits read, and the MSE of all other pixels."""
    scale = torch.ones(32, 32) / w
    scale[2, 2] = 1
    pca = PCA.fit(marked * scale, 8)
    x_hat = pca(marked_val * scale) / scale  # (1000, 3, 32, 32)
    guess = x_hat[:, :, 2, 2].mean(dim=1) > 0.5
    read = (guess == coin[1_000:]).float().mean().item()
    return read, mse(marked_val * elsewhere, x_hat * elsewhere)


outcome = {w: weighted(w) for w in (1, 2, 3, 4)}
for w, (read, others) in outcome.items():
    print(f"weight {w}: bit read {read:.1%}, MSE elsewhere {others:.5f}")

# %% [markdown]
# Once the weight lifts the mark's variance above that of the eighth component,
# one of the 8 numbers is spent on it. The other pixels pay what that number
# was worth to them, about 5 %, and more weight changes nothing further. So
# weight 3 is a good place to stop, if the bit is worth those 5 % to you. PCA
# cannot say.

# %%
# NBVAL_CHECK_OUTPUT
claim("with weight 1 the bit is lost", outcome[1][0], "<", 0.65)
claim("with weight 4 it is read", outcome[4][0], ">", 0.95)
claim(
    "the other pixels pay less than 15 %",
    outcome[4][1] / outcome[1][1],
    "<",
    1.15,
)
