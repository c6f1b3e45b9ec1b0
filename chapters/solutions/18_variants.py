# %% [markdown]
# # 18 · Variants: solutions
#
# Each exercise ends in a check or in claims, so that you can compare more than
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
# `topk` finds the largest of each row, `scatter` puts them back where they
# were. Both pass gradients.


# %% tags=["exercise"]
# Exercise 18.1
def k_sparse(z, k):
    """Keep the k largest numbers of each code; the others become 0.

    z is (B, K), and so is the result. Negative numbers are small ones.
    """
    # --- solution
    largest = z.topk(k, dim=1)
    return torch.zeros_like(z).scatter(1, largest.indices, largest.values)
    # --- end


# %%
from ae_lib import exercises

exercises.check("18.1", k_sparse)

# %% [markdown]
# ## Exercise 2
#
# The derivative of tanh is $1 - h^2$. The rest stays: the Jacobian is a
# diagonal matrix of slopes times $W$.


# %% tags=["exercise"]
# Exercise 18.2
def contractive_tanh(h, weight):
    """Return the squared norm of dh/dx for h = tanh(W x + b).

    h is (B, K), weight W is (K, D). Sum over the units, mean over the images.
    """
    # --- solution
    slope = 1 - h.square()  # (B, K)
    return (slope.square() @ weight.square().sum(dim=1)).mean()
    # --- end


# %%
from ae_lib import exercises

exercises.check("18.2", contractive_tanh)

# %% [markdown]
# ## Exercise 3
#
# The network of the chapter, its ReLU code with any number of units, and the
# two questions that are asked.

# %%
from torch import nn
import torch.nn.functional as F
from ae_lib.features import extract, linear_probe
from ae_lib.training import fit

digits = data.load("mnist", limit=3_000)
test = data.load("mnist", "test", limit=1_000)
x, x_test = digits.unit(), test.unit()
spread = (x_test - x.mean(0)).square().mean()
STEPS = 600
OPTIONS = {
    "epochs": -(-STEPS // -(-len(digits) // 50)),
    "optimizer": lambda net: torch.optim.Adam(net.parameters(), 0.01),
    "batch_size": 50, "precision": "float32", "verbose": False, "watch": 0,
}  # fmt: skip


# %%
class Net(nn.Module):
    def __init__(self, units, act=torch.relu):
        super().__init__()
        self.act, self.down = act, nn.Linear(784, units)
        self.up = nn.Parameter(self.down.weight.detach().T.clone())
        self.bias = nn.Parameter(torch.zeros(784))

    def columns(self):
        return F.normalize(self.up, dim=0)  # (784, units)

    def encode(self, x):
        return self.act(self.down(x.flatten(1)))  # (B, units)

    def decode(self, z):
        x_hat = z @ self.columns().T + self.bias
        return x_hat.unflatten(1, (1, 28, 28))

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z


# %%
def train(net, weight=0.0, seed=0):
    done = 0

    def loss(output, x):
        nonlocal done
        done += 1
        now = weight * min(1, done / (STEPS / 2))  # warm
        return F.mse_loss(output[0], x) + now * output[1].abs().mean()

    fit(net, digits, loss=loss, seed=seed, **OPTIONS)
    return net


@torch.no_grad()
def eight(net, columns):
    z, rest = net.encode(x_test), net.encode(x).median(dim=0).values
    size = (z - rest).abs() * columns.norm(dim=0)
    rank = size.argsort(dim=1, descending=True).argsort(dim=1)
    x_hat = net.decode(torch.where(rank < 8, z, rest))
    return 1 - ((x_hat - x_test).square().mean() / spread).item()


def probe(net):
    z, z_test = extract(net.encode, digits), extract(net.encode, test)
    return linear_probe(z, digits.labels, z_test, test.labels)


# %% [markdown]
# The weight grows with the number of units, because the term is their mean.

# %%
from ae_lib.baselines import PCA

nets = {}
for name, units, weight in (
    ("64 units", 64, 0.0), ("64 units, L1", 64, 0.1),
    ("256 units", 256, 0.0), ("256 units, L1", 256, 0.4),
):  # fmt: skip
    torch.manual_seed(0)
    nets[name] = train(Net(units), weight)
answers = {k: (eight(n, n.columns()), probe(n)) for k, n in nets.items()}
for k in (64, 256):
    pca = PCA.fit(digits, k)
    answers[f"PCA, {k}"] = eight(pca, pca.components.T), probe(pca)
for name, (share, accuracy) in answers.items():
    print(f"{name:14} 8 units {share:6.1%}   probe {accuracy:.1%}")

# %% [markdown]
# The *penalty* buys the short code, at both sizes. The *units* buy the probe a
# good part of its points on MNIST, where 64 numbers are few. And four times as
# many units to choose from bring the eight largest of the sparse code about
# level with PCA's; more is not in it after this short training.

# %%
# NBVAL_CHECK_OUTPUT
for units in ("64 units", "256 units"):
    gained = answers[f"{units}, L1"][0] - answers[units][0]
    claim(f"{units}: L1 carries more with 8", gained, ">", 0.03)
above = answers["256 units, L1"][0] - answers["PCA, 256"][0]
claim("256 units: about level with PCA's largest", above, "<", 0.06)

# %% [markdown]
# ## Exercise 4
#
# The exercise's function is the activation. Its code keeps 8 numbers by
# construction.

# %%
torch.manual_seed(0)
by_k = train(Net(64, lambda z: k_sparse(z, 8)))
z = extract(by_k.encode, test)
never = (z == 0).all(dim=0).sum().item()
share = eight(by_k, by_k.columns())
print(f"8 units {share:.1%}, probe {probe(by_k):.1%}, never used {never}")

# %% [markdown]
# It beats L1 at 8 units by little: it was trained for just that, and shrinks
# nothing. But a third of the units or more are never among the largest. What
# is not chosen has no gradient, and is not chosen again: the dead units of the
# chapter, without any penalty. Makhzani and Frey begin with a large k and let
# it fall, which is another warming up.

# %%
# NBVAL_CHECK_OUTPUT
gained = share - answers["64 units, L1"][0]
claim("8 units: not behind L1", gained, ">", -0.03)
claim("many units are never chosen", never, ">", 10)
