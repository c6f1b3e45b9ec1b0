# %% [markdown]
# # 13 · A method
#
# Five things are wrong with the program on this page. Repair any single one
# of them, and the result is as bad as before. How do you find five faults when no
# single repair shows? Not by trying: by asking questions in an order in which
# each answer can be trusted.
#
# **You will be able to**
#
# - follow a chart from a bad result to its causes;
# - give each repair a test of its own, smaller than the whole run;
# - check an implementation: ranges, parameters, batches, sizes;
# - say when to stop looking for faults.
#
# **Cost:** about 60 s on 2 CPU cores.

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
# ## The chart
#
# Read it from the top. A question comes before those whose answers would mean
# nothing without it: a learning rate cannot be judged while half of the weights do not move.
# **Look for** the first question that you usually skip.

# %%
STEPS = [
    ("Know the errors of mean image and PCA?", "Compute both first."),
    ("Data and outputs seen: same range?", "Scale, or change the activation."),
    ("Does every weight move in one step?", "Give all to the optimizer."),
    ("Is the loss least at a perfect copy?", "Check loss and targets."),
    ("Is PCA with as many numbers enough?", "A larger code."),
    ("Are 16 images learned by heart?", "Try other rates on these 16."),
    ("Does an epoch visit every image?", "Count images, empty batches."),
    ("Is the validation error falling?", "Rising: more images, or stop."),
]
plots.flow_chart(STEPS, "Train longer; one change at a time.")

# %% [markdown]
# The same as a page to print: [checklist.md](checklist.md).
#
# ## The patient
#
# A small convolutional autoencoder for digits. Its author found a tutorial for
# each part. Each of the five arguments is a fault while it is False.

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
# Its result, in R² on validation images (0 is the mean image). Then folk
# remedies: train three times as long, and each repair alone. **Guess** which single repair helps most.

# %%
alone = {"as it came": run([])[0], "3 times as long": run([], epochs=36)[0]}
alone |= {f"{name} alone": run([name])[0] for name in NAMES}
for name, value in alone.items():
    print(f"{name:<16} R² {value:6.2f}")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "no single repair, nor more epochs, reaches", max(alone.values()), "<", 0.3
)

# %% [markdown]
# None. Whoever tries one thing, sees no gain and puts it back will
# never arrive. So do not ask the final result; ask the question of the chart.
#
# ## 1. Baselines
#
# The mean image is R² = 0. PCA sets what a linear code of some length can do.

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse

x_val = validation.unit()
pca, mean = PCA.fit(train, 32), MeanImage.fit(train)
base = mse(x_val, mean(x_val))
reach = {k: 1 - mse(x_val, pca.truncate(k)(x_val)) / base for k in (2, 32)}
print(f"mean image MSE {base:.4f}")
for k, value in reach.items():
    print(f"PCA-{k} R² {value:.2f}")

# %% [markdown]
# ## 2. Look at data and outputs
#
# Print the range of what goes in, of what comes out, and the best R² that a
# clipped copy of the data could have. **Guess** that number.

# %%
repaired = []
x = prepare(train, repaired)
net, _ = start(repaired)
with torch.no_grad():
    out = net(x[:100])
best = F.mse_loss(x.clamp(0, 1), x) / F.mse_loss(x.mean(0).expand_as(x), x)
ceiling = 1 - best.item()
low, high = out.min(), out.max()
print(f"data {x.min():.0f} to {x.max():.0f}, out {low:.2f} to {high:.2f}")

# %%
# NBVAL_CHECK_OUTPUT
claim("with this output no network could beat the mean", ceiling, "<", 0)
repaired.append("range")
x = prepare(train, repaired)
claim("repaired, the data fit the sigmoid", x.min(), ">=", 0)

# %% [markdown]
# ## 3. Does every weight move?
#
# Count the weights of the layers that the forward pass uses, and those that
# the optimizer has.


# %%
def missing(repaired):
    net, optimizer = start(repaired)
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    owned = {id(p) for g in optimizer.param_groups for p in g["params"]}
    return sum(p.numel() for p in used if id(p) not in owned)


# %%
# NBVAL_CHECK_OUTPUT
claim("weights that the optimizer does not have", missing(repaired), ">", 1000)
repaired.append("register")
claim("repaired, it has all", missing(repaired), "~", 0, tol=0)

# %% [markdown]
# A plain list of layers is invisible to `parameters()`. Now, and not before, the rate can be judged.
#
# ## 4. Can the code hold it?
#
# This costs no training at all: compare PCA with 2 components, as many numbers as
# the program's code has, with PCA-32 above. Two numbers are too few for a
# digit, however long one trains.

# %%
# NBVAL_CHECK_OUTPUT
claim("PCA with 2 numbers leaves more than half", reach[2], "<", 0.5)
repaired.append("code")
claim("PCA with 32 does not", reach[32], ">", 0.5)

# %% [markdown]
# ## 5. Sixteen images by heart
#
# Three hundred steps on sixteen images, at the program's rate and at smaller
# ones. **Guess** the best of three.


# %%
def by_heart(lr, latent_dim=32, seed=0):
    torch.manual_seed(seed)
    net, x = Net(latent_dim, True), train[:16].unit()
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for _ in range(300):
        step(net, optimizer, x)
    return r_squared(net, x, x.mean(0))


heart = {
    lr: [by_heart(lr, seed=s) for s in (0, 1, 2)] for lr in (0.3, 0.02, 1e-3)
}
for lr, values in heart.items():
    print(f"rate {lr:<6}", " ".join(f"{v:6.2f}" for v in values))

# %%
# NBVAL_CHECK_OUTPUT
claim("at its own rate it learns nothing by heart", max(heart[0.3]), "<", 0.1)
claim("at a small one it does", min(heart[1e-3]), ">", 0.3)
repaired.append("rate")

# %% [markdown]
# ## 6. Which images does an epoch visit?


# %%
def visited(repaired):
    rows = [range(len(train))[s] for s in epoch_slices(len(train), repaired)]
    return len({i for batch in rows for i in batch})


# %%
# NBVAL_CHECK_OUTPUT
share = visited(repaired) / len(train)
claim("share of the images that are seen", share, "<", 0.1)
repaired.append("batches")
claim("repaired, all are", visited(repaired), "~", len(train), tol=0)

# %% [markdown]
# The slices moved on by one image, not by a batch.
#
# ## The whole road
#
# Only now does a run of the whole program say something. Three seeds at each
# station. **Look for** where the gain appears.

# %%
road = {"as it came": []}
road |= {f"+ {name}": NAMES[: k + 1] for k, name in enumerate(NAMES)}
scores = {
    k: [max(run(v, s)[0], -1) for s in (0, 1, 2)] for k, v in road.items()
}
plots.bars(scores, "R² (cut at −1)", source=credit)

# %% [markdown]
# The final result hardly rewards the first repairs. Their own tests did: that is why
# the method looks at small tests and not at the last number.

# %%
# NBVAL_CHECK_OUTPUT
final = scores["+ batches"]
claim("all five repaired: far above the mean image", min(final), ">", 0.2)
before = max(max(v) for k, v in scores.items() if k != "+ batches")
claim("before the last repair none was near it", before, "<", min(final))

# %% [markdown]
# ## 7. One change at a time, and the doctor
#
# From here on changes are small, and seeds decide. Does the doctor
# follow the same order? The program as it came, and repaired:

# %%
from ae_lib import doctor

for name, state in {"as it came": [], "repaired": NAMES}.items():
    net, optimizer = start(state)
    x = prepare(train, state)
    batches = [x[rows] for rows in epoch_slices(len(x), state)]
    report = doctor.examine(
        net, batches, optimizer=optimizer, budget_seconds=4
    )
    print(f"{name}:", ", ".join(report.codes) or "no fault found")

# %% [markdown]
# ## What we saw
#
# [No single repair](#The-patient) showed in the result. Each showed in
# its own question: [range](#2.-Look-at-data-and-outputs),
# [weights](#3.-Does-every-weight-move?), [code](#4.-Can-the-code-hold-it?),
# [sixteen images](#5.-Sixteen-images-by-heart), [batches](#6.-Which-images-does-an-epoch-visit?). The order is
# the method.
#
# ## Exercises
#
# 1. **Right cause or look-alike?** The repaired program, but with a rate of 1e-6.
#    Its outputs do not move, as if weights were not registered. Write `verdict(repaired, lr)` that answers
#    "register" or "rate" from one step. You have succeeded when it tells both.
# 2. **A quiet fault.** Someone's loss compares `net(x)` with `x.flip(0)`. Which question of the
#    chart finds it? You have succeeded when a number says so before any training.
# 3. **Another order.** Repair in the reverse order of the page, and note after how many repairs the result rises above 0.1.
#    You have succeeded when you can say why so late.
#
# Solutions: [solutions/13_method.ipynb](solutions/13_method.ipynb).
#
# ## Further reading
#
# - A. Karpathy, [A recipe for training neural
#   networks](https://karpathy.github.io/2019/04/25/recipe/), 2019. The habits behind this chart.
# - D. Agans, *Debugging: the nine indispensable rules*, 2002. "Quit thinking and look", and "change one thing at a time".
