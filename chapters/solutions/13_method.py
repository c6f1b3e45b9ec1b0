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


# %%
def verdict(repaired, lr):
    net, _ = start(repaired)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    before = [p.detach().clone() for p in used]
    step(net, optimizer, train[:16].unit())
    if any(torch.equal(a, p) for a, p in zip(before, used)):
        return "register"
    moved = [((p - a).norm() / a.norm()).item() for a, p in zip(before, used)]
    usual = torch.tensor(moved).median()
    return "neither" if 1e-4 < usual < 1 else "rate"


# %%
# NBVAL_CHECK_OUTPUT
rest = tuple(name for name in NAMES if name != "register")
cases = {
    "a tiny rate": (NAMES, 1e-6, "rate"),
    "a huge rate": (NAMES, 0.3, "rate"),
    "a list of layers": (rest, 0.005, "register"),
    "a list of layers and a huge rate": (rest, 0.3, "register"),
    "the sound program": (NAMES, 0.005, "neither"),
}
for name, (state, lr, cause) in cases.items():
    right = float(verdict(state, lr) == cause)
    claim(f"{name}: {cause}", right, "~", 1, tol=0)

# %% [markdown]
# The order matters here as well: while some weights stand still, the rate is
# not judged.
#
# ## Exercise 2
#
# The third: the loss must be lowest for a perfect copy. So feed it one, and
# compare it with the mean image, which ignores the input.


# %%
def flipped(x_hat, x):
    return F.mse_loss(x_hat, x.flip(0))


# %%
# NBVAL_CHECK_OUTPUT
x = train[:50].unit()
mean = x.mean(0).expand_as(x)
claim(
    "an honest loss: a perfect copy costs nothing", F.mse_loss(x, x), "<=", 0
)
ratio = flipped(x, x) / flipped(mean, x)
claim("flipped: the mean image beats a perfect copy", ratio, ">", 1.2)

# %% [markdown]
# Such a loss teaches the mean image. In the end it looks like a network that
# cannot learn, and no rate and no longer code would help.
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
