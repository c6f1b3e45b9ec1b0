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
credit = images.source
NAMES = ["range", "register", "code", "rate", "batches"]


def encoder_layers(latent_dim):
    down = [nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU()]  # (B, 8, 14, 14)
    down += [nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU()]  # (B, 16, 7, 7)
    return [*down, nn.Flatten(), nn.Linear(784, latent_dim)]


def decoder_layers(latent_dim):
    up = [nn.Linear(latent_dim, 784), nn.ReLU(), nn.Unflatten(1, (16, 7, 7))]
    up += [nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU()]
    return [*up, nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()]


# %%
class Net(nn.Module):
    def __init__(self, latent_dim, register):
        super().__init__()
        self.encoder = nn.Sequential(*encoder_layers(latent_dim))
        self.layers = decoder_layers(latent_dim)
        if register:
            self.decoder = nn.Sequential(*self.layers)

    def forward(self, x):
        h = self.encoder(x)  # (B, latent_dim)
        for layer in self.layers:
            h = layer(h)
        return h  # (B, 1, 28, 28)


# %% [markdown]
# And the program around it.


# %%
def prepare(images, repaired):
    x = images.unit()
    return x if "range" in repaired else 2 * x - 1  # "normalise to [-1, 1]"


def start(repaired, seed=0):
    torch.manual_seed(seed)
    net = Net(32 if "code" in repaired else 2, "register" in repaired)
    lr = 1e-3 if "rate" in repaired else 0.3
    return net, torch.optim.Adam(net.parameters(), lr=lr)


def epoch_slices(n, repaired, size=50):
    if "batches" in repaired:
        return [slice(j, j + size) for j in range(0, n, size)]
    return [slice(j, j + size) for j in range(n // size)]


# %%
def step(net, optimizer, x):
    loss = F.mse_loss(net(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def r_squared(net, x, mean):
    return (
        1 - (F.mse_loss(net(x), x) / F.mse_loss(mean.expand_as(x), x)).item()
    )


def run(repaired, seed=0, epochs=12):
    net, optimizer = start(repaired, seed)
    x, held = prepare(train, repaired), prepare(validation, repaired)
    for _ in range(epochs):
        for rows in epoch_slices(len(x), repaired):
            step(net, optimizer, x[rows])
    return r_squared(net, held, x.mean(0)), net


# %% [markdown]
# ## Exercise 1
#
# Adam moves each weight that it owns by about the rate in its first step. So
# ask which weights did not move *at all*, and only then how far the others did.


# %%
def verdict(repaired, lr):
    net, _ = start(repaired)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    before = [p.detach().clone() for p in used]
    step(net, optimizer, train[:16].unit())
    still = [(a == b).all().item() for a, b in zip(used, before)]
    return "register" if any(still) else "rate" if lr < 1e-4 else "neither"


# %%
# NBVAL_CHECK_OUTPUT
rest = [name for name in NAMES if name != "register"]
right = verdict(NAMES, 1e-6) == "rate"
claim("a tiny rate is called a rate", float(right), "~", 1, tol=0)
right = verdict(rest, 1e-3) == "register"
claim("a list of layers is called that", float(right), "~", 1, tol=0)
right = verdict(NAMES, 1e-3) == "neither"
claim("the sound program has neither", float(right), "~", 1, tol=0)

# %% [markdown]
# ## Exercise 2
#
# The fourth: the loss must have its least value at a perfect copy. So feed it one.

# %%
# NBVAL_CHECK_OUTPUT
x = train[:16].unit()
claim("a perfect copy, honest loss", F.mse_loss(x, x), "~", 0, tol=0)
claim("the same copy, the flipped loss", F.mse_loss(x, x.flip(0)), ">", 0.01)

# %% [markdown]
# ## Exercise 3
#
# From the last to the first.

# %%
backward = [run(NAMES[::-1][:k])[0] for k in range(6)]
print(*(f"{value:.2f}" for value in backward))

# %%
# NBVAL_CHECK_OUTPUT
first = next(k for k, value in enumerate(backward) if value > 0.1)
claim("repairs before anything shows", first, ">=", 4)

# %% [markdown]
# The range comes last in this order, and with the wrong range no network can
# beat the mean image. All other repairs were right, and invisible.
