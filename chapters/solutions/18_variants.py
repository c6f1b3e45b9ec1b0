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
# questions that are asked. A sixth of the training digits is held out, as in
# the chapter: λ is chosen there, and the test images judge the choice, once.

# %%
from torch import nn
import torch.nn.functional as F
from ae_lib.features import extract, linear_probe
from ae_lib.training import fit

every = data.load("mnist", limit=3_000)
digits, held = data.hold_out(every, len(every) // 6, seed=0)
test = data.load("mnist", "test")
x, x_held, x_test = digits.unit(), held.unit(), test.unit()


def lost(net, x_new):
    spread = (x_new - x.mean(0)).square().mean()
    return ((net(x_new)[0] - x_new).square().mean() / spread).item()


# %%
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


# %% [markdown]
# The weight warms up inside the loss. `eight` is for exercise 4.


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


# %%
@torch.no_grad()
def eight(net, x_new):
    z, rest = net.encode(x_new), net.encode(x).median(dim=0).values
    size = (z - rest).abs()  # columns have length 1
    rank = size.argsort(dim=1, descending=True).argsort(dim=1)
    x_hat = net.decode(torch.where(rank < 8, z, rest))
    spread = (x_new - x.mean(0)).square().mean()
    return 1 - ((x_hat - x_new).square().mean() / spread).item()


# %%
def probe(net, images):
    z, z_new = extract(net.encode, digits), extract(net.encode, images)
    return linear_probe(z, digits.labels, z_new, images.labels)


# %% [markdown]
# Four strengths, from none. The term is a mean over the units.

# %%
nets, answers = {}, {}
for weight in (0.0, 0.1, 0.4, 1.6):
    torch.manual_seed(0)
    nets[weight] = net = train(Net(256), weight)
    on = (net.encode(x_held) > 0).float().mean().item()
    answers[weight] = lost(net, x_held), on, probe(net, held)
    print("λ = {:3.1f}  lost {:6.1%}   on {:4.0%}   probe {:.1%}".format(
        weight, *answers[weight]))  # fmt: skip

# %%
best = max(answers, key=lambda weight: answers[weight][2])
judged = {weight: probe(nets[weight], test) for weight in (0.0, best)}
print(f"chosen: λ = {best}; on test images {judged[best]:.1%}, "
      f"without a term {judged[0.0]:.1%}")  # fmt: skip

# %% [markdown]
# The error rises with λ all the way, and the probe rises with it for a while.
# Whoever chooses λ by the error takes 0, and gets the worst features of the
# first three. So choose by what the features are for, on images that are held
# out, and let others judge.

# %%
# NBVAL_CHECK_OUTPUT
errors = [answer[0] for answer in answers.values()]
claim("the error rises with each λ", (errors == sorted(errors)) + 0, "~", 1,
      tol=0)  # fmt: skip
claim("the best probe has a penalty", best, ">", 0)
gained = judged[best] - judged[0.0]
claim("and the test images agree", gained, ">", 0.005)
claim("λ = 0.4: few units are on", answers[0.4][1], "<", 0.25)

# %% [markdown]
# ## Exercise 4
#
# The exercise's function is the activation. Its code keeps 8 numbers by
# construction. L1 has the strength that the chapter chose for 8 units, and
# both have three seeds.

# %%
rows = {"k = 8": [], "L1": []}
for seed in range(3):
    for name, act, weight in (
        ("k = 8", lambda z: k_sparse(z, 8), 0.0), ("L1", torch.relu, 0.1)
    ):  # fmt: skip
        torch.manual_seed(seed)
        net = train(Net(64, act), weight, seed)
        never = (net.encode(x_test) == 0).all(dim=0).sum().item()
        rows[name].append((eight(net, x_test), probe(net, test), never))


# %%
mean = {name: torch.tensor(row).mean(dim=0) for name, row in rows.items()}
for name, (share, right, never) in mean.items():
    print(f"{name:5}  8 units {share:.1%}, probe {right:.1%}, "
          f"never {never:.0f}")  # fmt: skip

# %% [markdown]
# It beats L1 at 8 units by little: it was trained for just that, and shrinks
# nothing. But a third of the units or more are never among the largest. What
# is not chosen has no gradient, and is not chosen again: the dead units of the
# chapter, without any penalty. Makhzani and Frey begin with a large k and let
# it fall, which is another warming up.

# %%
# NBVAL_CHECK_OUTPUT
gained = mean["k = 8"][0] - mean["L1"][0]
claim("8 units: k is ahead of L1", gained, ">", 0)
claim("a third are never chosen, or nearly", mean["k = 8"][2], ">", 18)
