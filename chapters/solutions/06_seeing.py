# %% [markdown]
# # 06 · Seeing what it learned: solutions
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

# %% [markdown]
# The network of the chapter, trained for a shorter time, and PCA.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, mse_per_image, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

train = data.load("cifar10", limit=pick(quick=3_000, full=50_000))
test = data.load("cifar10", "test", limit=2_000)
torch.manual_seed(0)
model = ConvAutoencoder(latent_dim=64)
fit(model, train, epochs=3, batch_size=64, verbose=False)
pca = PCA.fit(train[:1_500], 64)
x = test.unit()  # (2000, 3, 32, 32)
x_hat = {"network": reconstruct(model, x), "PCA": pca(x)}

# %% [markdown]
# ## Exercise 1
#
# The broadcast of (n, 1) with (k,) gives n codes, and `decode` takes them as
# one batch. `linspace` includes both ends, `arange` would leave the last one
# out.


# %% tags=["exercise"]
# Exercise 06.1
def walk_between(encode, decode, x_a, x_b, n):
    """Return n images (n, C, H, W), from x_a's to x_b's reconstruction.

    x_a and x_b are (C, H, W); encode takes (B, C, H, W), decode (B, k).
    """
    # --- solution
    a, b = encode(torch.stack([x_a, x_b]))  # (k,), (k,)
    t = torch.linspace(0, 1, n)[:, None]  # (n, 1)
    return decode((1 - t) * a + t * b)
    # --- end


# %%
from ae_lib import exercises

exercises.check("06.1", walk_between)

# %% [markdown]
# ## Exercise 2
#
# Dropping the first of $k + 1$ is the usual way, and fails for twins: both are
# at distance 0, and which of them comes first is chance.


# %% tags=["exercise"]
# Exercise 06.2
def neighbours(z, k):
    """Return rows (N, k) of z (N, d), the nearest first, oneself excluded."""
    # --- solution
    distance = torch.cdist(z, z)  # (N, N)
    distance.fill_diagonal_(torch.inf)
    return distance.topk(k, largest=False).indices
    # --- end


# %%
from ae_lib import exercises

exercises.check("06.2", neighbours)

# %% [markdown]
# ## Exercise 3
#
# Drop components until PCA is no better than the network over all images. Then
# sort the images by the ratio of the two errors, and take both ends. Each
# figure is honest in every pixel. The numbers at the left are those of the
# eight images shown.

# %%
goal = mse(x, x_hat["network"])
k = next(k for k in range(64, 0, -1) if mse(x, pca.truncate(k)(x)) >= goal)
x_hat["PCA"] = pca.truncate(k)(x)
print(
    f"with {k} components PCA is {mse(x, x_hat['PCA']) / goal - 1:.1%} behind"
)
error = {name: mse_per_image(x, y) for name, y in x_hat.items()}
order = (error["network"] / error["PCA"]).argsort()
ends = {"for": order[:8], "against": order[-8:]}


def show(rows):
    methods = {name: y[rows] for name, y in x_hat.items()}
    return plots.compare(x[rows], methods, source=test.source)


show(ends["for"])

# %% [markdown]
# The network wins. And now the other end, with the other verdict.

# %%
show(ends["against"])

# %% [markdown]
# Over all images the two are level. Ask of every figure how its images were
# chosen. This time the choice has taught something, too: the second eight are
# full of strong colours, which so short a training has not reached yet.

# %%
# NBVAL_CHECK_OUTPUT
ratio = {
    name: mse(x[rows], x_hat["network"][rows])
    / mse(x[rows], x_hat["PCA"][rows])
    for name, rows in ends.items()
}
claim("eight images for the network: it is ahead", ratio["for"], "<", 0.9)
claim("eight against it: it is far behind", ratio["against"], ">", 1.2)

# %% [markdown]
# ## Exercise 4
#
# Let $d_i$ be the change of image $i$. The share that all have in common is
# $|\bar d|^2$ divided by the mean of $|d_i|^2$. PCA decodes by a matrix, so
# $d$ depends on the move and not on the code: the share is 1. In the network
# GELU bends and the sigmoid saturates, so where an image is already bright, it
# gains less brightness.


# %%
@torch.no_grad()
def common_share(method, z):
    centred = z - z.mean(dim=0)
    direction = torch.linalg.svd(centred, full_matrices=False)[2][0]
    move = (centred @ direction).std() * direction
    d = (method.decode(z[:200] + move) - method.decode(z[:200])).flatten(1)
    return (d.mean(0).square().sum() / d.square().sum(1).mean()).item()


@torch.no_grad()
def encode(images):
    return model.encode(images)


z = encode(x)  # (2000, 64)
shares = {"network": common_share(model, z)}
shares["PCA"] = common_share(pca, pca.encode(x))

# %%
# NBVAL_CHECK_OUTPUT
claim("PCA: the same change for every image", shares["PCA"], "~", 1, tol=1e-3)
claim("network: nearly", shares["network"], ">", 0.7)
claim("but not quite", shares["network"], "<", 0.99)

# %% [markdown]
# ## Exercise 5
#
# A Gaussian with the covariance $L L^\top$: multiply white noise by $L$.

# %%
random = torch.Generator().manual_seed(0)
factor = torch.linalg.cholesky(z.T.cov())
noise = torch.randn(len(z), 64, generator=random)
fake = z.mean(dim=0) + noise @ factor.T  # (2000, 64)

# %%
from sklearn.manifold import TSNE

both = {"real": z[:500], "drawn from a Gaussian": fake[:500]}
maps = {
    name: torch.from_numpy(
        TSNE(init="random", random_state=0, max_iter=500).fit_transform(c)
    )
    for name, c in both.items()
}

# %% [markdown]
# Which map is real? Cover the titles.

# %%
from ae_lib.plots.style import picture, styled


@styled
def side_by_side(maps, source):
    figure = picture(8, 3.8, source)
    for axes, (name, points) in zip(figure.subplots(1, 2), maps.items()):
        axes.scatter(*points.T, 6, "black", linewidths=0)
        axes.set(title=name, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure


side_by_side(maps, test.source)

# %% [markdown]
# Clumps and gaps appear in both, though the right one was drawn without any.
# Now the decoded images: real codes first, then random ones.

# %%
with torch.no_grad():
    decoded, dreamt = model.decode(z), model.decode(fake)
plots.samples(torch.cat([decoded[:8], dreamt[:8]]), 16, source=test.source)

# %% [markdown]
# Clouds in plausible colours. What tells them from real ones? The chapter's
# *detail*: some photographs are calm and some are busy, while Gaussian codes
# are all about equally busy. So compare how much detail varies from image to
# image.


# %%
def spread_of_detail(x):
    down = (x[:, :, 1:] - x[:, :, :-1]).square().mean(dim=(1, 2, 3))
    side = (x[..., 1:] - x[..., :-1]).square().mean(dim=(1, 2, 3))
    return (down + side).log().std().item()


# %%
# NBVAL_CHECK_OUTPUT
more = spread_of_detail(decoded) / spread_of_detail(dreamt)
claim("real images differ more in detail than dreamt ones", more, ">", 1.2)

# %% [markdown]
# ## Exercise 6
#
# A network that knows what things look like in colour would colour them in, at
# the price of a larger error on grey images. One that only blends has less to
# do and answers in grey.


# %%
def colourfulness(x):
    return (x - x.mean(dim=1, keepdim=True)).square().mean().sqrt().item()


grey = x.mean(dim=1, keepdim=True).expand_as(x)
answer = reconstruct(model, grey)
painted = colourfulness(answer) / colourfulness(x_hat["network"])
cheaper = mse(grey, answer) / mse(x, x_hat["network"])
print(f"colour in its answer {painted:.0%} of the usual, error {cheaper:.0%}")

# %%
# NBVAL_CHECK_OUTPUT
claim("it answers grey with little colour", painted, "<", 0.5)
claim("and grey is no harder than colour", cheaper, "<", 1)

# %% [markdown]
# ## Exercise 7
#
# Both readers learn from the same codes and are judged on the same test
# images. The machine's kernel lets it draw curved borders.

# %%
from ae_lib.features import linear_probe
from sklearn.svm import SVC

learned = encode(train.unit())  # (N, 64)
mean, std = learned.mean(dim=0), learned.std(dim=0)
codes, queries = (learned - mean) / std, (z - mean) / std
linear = linear_probe(codes, train.labels, queries, test.labels)
machine = SVC(C=3).fit(codes[:3_000].numpy(), train.labels[:3_000].numpy())
answers = torch.from_numpy(machine.predict(queries.numpy()))
bent = (answers == test.labels).float().mean().item()
print(f"linear probe {linear:.1%}   support vector machine {bent:.1%}")

# %% [markdown]
# Class is in the code, and part of it lies on bent borders that a linear
# reader cannot draw. A better reader may find more, so each share bounds from
# below what is there. It also says nothing about the network's merit: read
# PCA's code in the same way before you praise it.

# %%
# NBVAL_CHECK_OUTPUT
claim("a linear reader beats chance", linear, ">", 0.12)
claim("a reader that bends names more", bent - linear, ">", 0)
