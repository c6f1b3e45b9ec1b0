# %% [markdown]
# # 13 · A method: solutions
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
# The program of the chapter once more.

# %%
from torch import nn
import torch.nn.functional as F

images = data.load("mnist", limit=1_400)
train, validation = data.hold_out(images, 300)
NAMES = ("range", "code", "batches", "register", "rate")


# %%
class Net(nn.Module):
    def __init__(self, latent_dim, register):
        super().__init__()
        down = [nn.Conv2d(1, 16, 4, 4), nn.ReLU()]  # (B, 16, 7, 7)
        down += [nn.Flatten(), nn.Linear(784, latent_dim)]
        self.encoder = nn.Sequential(*down)
        up = [nn.Linear(latent_dim, 784), nn.ReLU()]
        up += [nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 1, 4, 4)]
        self.layers = [*up, nn.Sigmoid()]
        if register:
            self.decoder = nn.Sequential(*self.layers)

    def forward(self, x):
        h = self.encoder(x)  # (B, latent_dim)
        for layer in self.layers:
            h = layer(h)
        return h  # (B, 1, 28, 28)


# %% [markdown]
# And what stands around it.


# %%
def prepare(images, repaired):
    x = images.unit()  # (N, 1, 28, 28)
    return x if "range" in repaired else 2 * x - 1  # "always use [-1, 1]"


def start(repaired, seed=0):
    torch.manual_seed(seed)
    net = Net(32 if "code" in repaired else 2, "register" in repaired)
    lr = 0.005 if "rate" in repaired else 0.3
    return net, torch.optim.Adam(net.parameters(), lr=lr)


def epoch_slices(n, repaired, size=50):
    if "batches" in repaired:
        return [slice(j, j + size) for j in range(0, n, size)]
    return [slice(j, j + size) for j in range(n // size)]


# %%
from functools import cache


def step(net, optimizer, x):
    loss = F.mse_loss(net(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def relative(x_hat, x, mean):
    return (F.mse_loss(x_hat, x) / F.mse_loss(mean.expand_as(x), x)).item()


# %%
@cache  # the page asks for some runs twice
def run(repaired=(), seed=0, epochs=12):
    net, optimizer = start(repaired, seed)
    x, held = prepare(train, repaired), prepare(validation, repaired)
    for _ in range(epochs):
        for rows in epoch_slices(len(x), repaired):
            step(net, optimizer, x[rows])
    x_hat = net(held).detach()
    return relative(x_hat, held, x.mean(0)), x_hat


# %% [markdown]
# ## Exercise 1
#
# Two measurements of one step. Which weights did not move *at all*? Those the
# optimizer does not have. And how far did the others go, next to their own
# size? A step within 1/10,000 and 1 of the weights is a step that can teach
# something; Adam's first one moves each weight by about the rate.


# %% tags=["exercise"]
# Exercise 13.1
import torch.nn.functional as F


def verdict(net, optimizer, x):
    """Return why a network of the class Net does not learn.

    One of "wiring.unoptimised", "step.too-small", "step.too-large", "none".
    The forward pass uses net.encoder and the list net.layers.
    """
    # --- solution
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    before = [p.detach().clone() for p in used]
    F.mse_loss(net(x), x).backward()
    optimizer.step()
    if any(torch.equal(a, p) for a, p in zip(before, used)):
        return "wiring.unoptimised"
    moved = [((p - a).norm() / a.norm()).item() for a, p in zip(before, used)]
    usual = torch.tensor(moved).median()
    if usual > 1:
        return "step.too-large"
    return "step.too-small" if usual < 1e-4 else "none"
    # --- end


# %%
from ae_lib import exercises

exercises.check("13.1", verdict)

# %% [markdown]
# The order matters here as well: while some weights stand still, the rate is
# not judged.
#
# ## Exercise 2
#
# The third question: the loss must be lowest for a perfect copy. So hand the
# loss a perfect copy of each input, and compare it with the mean image, which
# ignores the input.


# %%
from torch.utils.data import DataLoader


def pairs(x, size):
    """Yield (input, target) for one epoch, in random order."""
    inputs = DataLoader(x, size, shuffle=True)
    targets = DataLoader(x, size, shuffle=True)
    yield from zip(inputs, targets, strict=True)


# %%
# NBVAL_CHECK_OUTPUT
x = train.unit()
mean_image = x.mean(0)
ratios = []
for given, target in pairs(x, 50):
    ratios.append(relative(given, target, mean_image))
claim("here a perfect copy costs more than the mean", min(ratios), ">", 1.2)

# %% [markdown]
# Two loaders shuffle twice. Such a loss teaches the mean image; in the end it
# looks like a network that cannot learn, and no rate and no longer code would
# help. One loader, and each image stands beside itself.


# %% tags=["exercise"]
# Exercise 13.2
import torch.nn.functional as F
from torch.utils.data import DataLoader


class Diagnosis:
    """The program `pairs`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        # --- solution
        return "data.target"
        # --- end

    def measure(self, pairs):
        """Return a number that is far off in this program alone."""
        # --- solution
        given, target = (torch.cat(part) for part in zip(*pairs))
        mean = target.mean(0).expand_as(target)
        return F.mse_loss(given, target) / F.mse_loss(mean, target)
        # --- end

    def repair(self, x, size):
        """Yield (input, target) for one epoch, in random order."""
        # --- solution
        for batch in DataLoader(x, size, shuffle=True):
            yield batch, batch
        # --- end


# %%
from ae_lib import exercises

exercises.check("13.2", Diagnosis)

# %% [markdown]
# A perfect copy costs twice what the mean image does, as any two images that
# have nothing to do with each other. A denoiser's inputs are not its targets
# either, but a copy of them is near.
#
# ## Exercise 3
#
# All but one, five times, and all.

# %%
whole = run(NAMES)[0]
left = {
    name: run(tuple(n for n in NAMES if n != name))[0] / whole
    for name in NAMES
}
for name, ratio in left.items():
    print(f"all but {name:<9} {ratio:5.1f} times the error of all five")

# %%
# NBVAL_CHECK_OUTPUT
claim("each of the five is a fault", min(left.values()), ">", 1.3)
least = min(left, key=left.get)
claim("batches cost least", float(least == "batches"), "~", 1, tol=0)

# %% [markdown]
# With the batches alone wrong, the program learns, but from about one image in
# sixteen. It is the most dangerous of the five: the result looks
# like a small success, and nothing asks you to look further. Only a count
# does.
