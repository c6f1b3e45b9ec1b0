# %% [markdown]
# # 01 · CNNs as feature extractors: solutions
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
# ## Exercise 1
#
# The order of the last two lines matters: a layer's own stride does not widen
# its field, only those of the layers behind it. The padding does not enter the
# field at all.


# %% tags=["exercise"]
# Exercise 01.1
def size_and_field(n, layers):
    """Return (outputs, field), two whole numbers, for n pixels.

    layers is a list of (kernel, stride, padding), the first layer first.
    """
    # --- solution
    field, step = 1, 1
    for k, s, p in layers:
        n = (n + 2 * p - k) // s + 1
        field += (k - 1) * step
        step *= s
    return n, field
    # --- end


# %%
from ae_lib import exercises

exercises.check("01.1", size_and_field)

# %% [markdown]
# ## Exercise 2
#
# Pad first, and the rest is the old loop with $i·s$ in the place of $i$.


# %% tags=["exercise"]
# Exercise 01.2
def slide(x, w, stride, padding):
    """Return the map (rows, columns) of the filter w (C, k, k) on x.

    x is one image (C, H, W); the padding is with zeros.
    """
    # --- solution
    x = torch.nn.functional.pad(x, (padding,) * 4)  # all four sides
    k, s = w.shape[-1], stride
    rows, columns = ((n - k) // s + 1 for n in x.shape[1:])
    y = torch.empty(rows, columns)
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i * s : i * s + k, j * s : j * s + k]  # (C, k, k)
            y[i, j] = (w * patch).sum()
    return y
    # --- end


# %%
from ae_lib import exercises

exercises.check("01.2", slide)

# %% [markdown]
# ## Exercise 3
#
# On paper: start with $r = j = 1$. The first layer makes $r = 1 + 3·1 = 4$ and
# $j = 2$, the second $r = 4 + 3·2 = 10$ and $j = 4$. Each further layer adds
# three times the step: 12, 24, 48. So the fields are 4, 10, 22, 46, 94.
#
# A field of 46 is wider than 32 pixels, but it is not centred: at depth 4 each
# of the 2×2 outputs still misses one row and one column. Only the fifth layer,
# whose single output has a field of 94, sees all.
#
# The first measurement needs an output whose field lies inside the image, or
# the border would cut it; the second, on 32 pixels, wants it cut.

# %%
from torch import nn


def measured_field(depth, size=256):
    """Measure the field of an output in the middle, by its gradient."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1, 1, size, size, requires_grad=True)
    y = x
    for _ in range(depth):
        weight = torch.randn(1, 1, 4, 4, generator=generator)
        y = nn.functional.conv2d(y, weight, stride=2, padding=1)
    middle = y.shape[-1] // 2
    (gradient,) = torch.autograd.grad(y[0, 0, middle, middle], x)
    rows = gradient[0, 0].abs().sum(1).nonzero()
    return int(rows.max() - rows.min()) + 1


# %%
# NBVAL_CHECK_OUTPUT
for depth, field in enumerate((4, 10, 22, 46, 94), start=1):
    r = measured_field(depth)
    claim(f"depth {depth}: the field is as on paper", r, "~", field, tol=0)
for depth, seen in (4, 31), (5, 32):
    r = measured_field(depth, size=32)
    claim(f"depth {depth} sees {seen} of 32 pixels", r, "~", seen, tol=0)

# %% [markdown]
# ## Exercise 4
#
# The four ways, applied to the same edges. (b) and (c) halve the maps as (a)
# does. A shift by one pixel cannot be undone after halving, so we compare the
# maps as they are.

# %%
import torch.nn.functional as F
from sklearn.datasets import load_sample_image

photo = torch.from_numpy(load_sample_image("china.jpg").copy())
grey = photo[103:327, 200:424].permute(2, 0, 1).float().mean(0) / 255

# %%
sideways = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
filters = torch.stack([sideways, sideways.T])[:, None]  # (2, 1, 3, 3)
ways = {
    "every second number": lambda y: y[..., ::2, ::2],
    "largest of 2×2": lambda y: F.max_pool2d(y, 2),
    "mean of 2×2": lambda y: F.avg_pool2d(y, 2),
    "mean of the whole map": lambda y: y.mean((1, 2)),
}

# %%
here, shifted = (
    F.conv2d(x[None], filters).relu()  # (2, 222, 223)
    for x in (grey[:, :-1], grey[:, 1:])
)
changes = {
    name: ((way(shifted) - way(here)).norm() / way(here).norm()).item()
    for name, way in ways.items()
}
for name, value in changes.items():
    print(f"{name:22} changes by {value:.1%}")

# %% [markdown]
# Pooling takes away about a third of the change and no more; the mean,
# although it is smoother, does no better than the largest. Only the mean of
# the whole map hardly notices: all that differs is one column that left and
# one that came. It has paid with the *place*: two numbers are left, which say
# how many edges there are, and not where. Features that must give back an
# image cannot afford that.

# %%
# NBVAL_CHECK_OUTPUT
one, largest, mean, whole = changes.values()
most, least = max(largest, mean), min(largest, mean)
claim("pooling changes less than leaving out does", most / one, "<", 0.8)
claim("but it still changes a lot", least, ">", 0.3)
claim("the mean of the whole map stays", whole, "<", 0.02)

# %% [markdown]
# ## Exercise 5
#
# Two sets of classes, and the network is told the labels of one of them only.
# The probe reads the other.

# %%
import copy

from torch.optim.swa_utils import update_bn

from ae_lib.features import SmallVGG, extract, linear_probe, train_classifier

train = data.load("cifar10", limit=pick(quick=3_000, full=40_000))
test = data.load("cifar10", "test", limit=pick(quick=2_000, full=10_000))
told = train[train.labels < 5]
new, new_test = train[train.labels >= 5], test[test.labels >= 5]


# %%
def worth(encode):
    """Probe an encoder on the classes 5 to 9."""
    f, f_test = extract(encode, new), extract(encode, new_test)
    return linear_probe(f, new.labels, f_test, new_test.labels)


# %% [markdown]
# Two seeds. Each network is probed as it was drawn (its batch normalisation
# has seen the images of classes 0 to 4 once, its weights nothing), and again
# after it has been trained on those *other* classes.

# %%
pixels, untrained, trained = worth(nn.Flatten()), [], []
for seed in range(2):
    torch.manual_seed(seed)
    network = SmallVGG().eval()
    update_bn(told.unit().split(500), network)
    untrained.append(worth(network.features))
    train_classifier(network, told, epochs=6, seed=seed)
    trained.append(worth(network.features))

# %%
print(f"pixels {pixels:.3f}")
print("untrained", *(f"{a:.3f}" for a in untrained))
print("trained on other classes", *(f"{a:.3f}" for a in trained))
over_random = 50 * (sum(trained) - sum(untrained))  # mean of two, in points
over_pixels = 50 * sum(trained) - 100 * pixels
print(
    f"ahead of untrained by {over_random:.1f}, of pixels by {over_pixels:.1f}"
)

# %% [markdown]
# The network has never been told these classes, and still it leads. On
# photographs it is 5.7 points (hundredths of the images) ahead of the network
# that it was before, and 16.2 ahead of the pixels, on the mean of two seeds.
# So its lead in the chapter was not only a matter of being told the answers.
# Features made for some classes serve others too, which is why one person's
# trained network is used by so many.

# %%
# NBVAL_CHECK_OUTPUT
lead = min(trained) - max(untrained)
claim("trained on other classes beats untrained", lead, ">", 0.03)
claim("and it beats pixels", min(trained) - pixels, ">", 0.06)

# %% [markdown]
# ## Exercise 6
#
# Averaging to 4×4 leaves 256, 512 and 1,024 numbers behind the first three
# stages. The last one has 2×2 places and stays as it is: 512 numbers. (So the
# third has twice as many as its neighbours. Keep that in mind.)


# %%
def after(network, depth):
    def encode(x):
        maps = network.stages[:depth](x)
        return F.adaptive_avg_pool2d(maps, min(4, maps.shape[-1]))

    return encode


# %%
few = train[:2_000]
torch.manual_seed(0)
random_network = SmallVGG().eval()
update_bn(few.unit().split(500), random_network)
learned = copy.deepcopy(random_network)
losses = train_classifier(learned, few, epochs=6)


# %%
def worth_of_stages(network):
    """Probe the maps after each of the four stages."""
    encoders = [after(network, depth) for depth in (1, 2, 3, 4)]
    pairs = [(extract(e, few), extract(e, test)) for e in encoders]
    return [linear_probe(f, few.labels, g, test.labels) for f, g in pairs]


# %% [markdown]
# Where does each curve have its highest point?

# %%
by_depth = {"untrained": worth_of_stages(random_network)}
by_depth["trained"] = worth_of_stages(learned)
label, source = "share of test images named correctly", test.source
stages = (1, 2, 3, 4)
figure = plots.line_with_spread(
    stages, by_depth, "stage", label, source=source
)
figure.axes[0].set_xticks(stages)
figure

# %% [markdown]
# On photographs the untrained network is at its best after the second stage,
# hardly ahead of the first, and its last stage is worth least: without
# training depth soon stops paying, for what the stages throw away, they throw
# away at random. Training keeps depth from hurting up to stage 3; behind it
# nothing more is gained. Yet the gain *over the untrained network* is largest
# at the last stage. All this is one seed and 2,000 images: differences of a
# point or two mean nothing.

# %%
# NBVAL_CHECK_OUTPUT
chance, taught = by_depth.values()
gain = [t - c for t, c in zip(taught, chance)]
late = chance[3] - max(chance[:3])
claim("the last stage gains more than the first", gain[3] - gain[0], ">", 0.03)
claim("untrained: the last stage is not the best", late, "<", 0.01)
