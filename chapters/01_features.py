# %% [markdown]
# # 01 · CNNs as feature extractors
#
# A well-known convolutional network, VGG-16, turns a photograph of 224×224
# pixels into 25,088 numbers, its *features*. You will read that it compresses
# 50,176 pixels into them, and that they are what matters in the image. Does
# it compress? And is a feature worth more than the pixels it was made from?
#
# **You will be able to**
#
# - compute a convolution by hand, and predict the size of its output;
# - say which pixels one output depends on, by formula and by measurement;
# - follow the shapes and the parameters through VGG-16;
# - train a small network and look at its filters and feature maps;
# - judge features by a linear probe against fair rivals, and say what they
#   keep of the image and what they discard.
#
# **Cost:** about 50 s on 2 CPU cores.

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
# ## One convolution, by hand
#
# To a computer, a colour image $x$ is a block of numbers with $C = 3$ layers,
# its channels: red, green, blue. A *filter* $w$ is a smaller block, $C×k×k$.
# Place it on a patch of the image, multiply the numbers that lie on each
# other, add up: that is one output. Slide it on by a pixel for the next one.
# All outputs together are a *map*.
#
# $$y_{ij} = b + \sum_{c=0}^{C-1}\,\sum_{u=0}^{k-1}\,\sum_{v=0}^{k-1}
# w_{cuv}\; x_{c,\,i+u,\,j+v}$$


# %%
def convolve(x, w, b=0.0):
    """Slide the filter w (C, k, k) over the image x (C, H, W)."""
    k = w.shape[-1]
    rows, columns = x.shape[1] - k + 1, x.shape[2] - k + 1
    y = torch.empty(rows, columns)
    for i in range(rows):
        for j in range(columns):
            y[i, j] = b + (w * x[:, i : i + k, j : j + k]).sum()
    return y  # (H - k + 1, W - k + 1)


# %% [markdown]
# PyTorch's layer `Conv2d` does this for many filters at once: weights
# $(64, 3, 3, 3)$ are 64 filters, and give 64 maps. Does our loop agree with
# it? We take a photograph that comes with scikit-learn, and of the layer the
# filters that PyTorch draws at random.

# %%
from sklearn.datasets import load_sample_image
from torch import nn

photo = torch.from_numpy(load_sample_image("china.jpg").copy())
photo = photo[103:327, 200:424].permute(2, 0, 1) / 255  # (3, 224, 224)
CREDIT = "photograph by danielbuechele, CC BY 2.0, from scikit-learn"

# %%
torch.manual_seed(0)
layer = nn.Conv2d(3, 64, kernel_size=3)
x = photo[:, 60:100, 60:100]  # (3, 40, 40)
with torch.no_grad():
    y = layer(x)  # (64, 38, 38)
    loop = convolve(x, layer.weight[5], layer.bias[5])  # (38, 38)

# %%
# NBVAL_CHECK_OUTPUT
gap = (loop - y[5]).abs().max()
claim("nine lines of Python do what nn.Conv2d does", gap, "<", 1e-5)

# %% [markdown]
# (Mathematicians call this cross-correlation; their convolution turns the
# filter by 180° first. A network that learns its filters does not care.)
#
# The whole layer has only 64·(27 + 1) = 1,792 parameters, because every place
# of the image shares them. From the whole photograph to its 64 maps of 222×222
# a matrix would have 150,528 · 3,154,176 of them, nearly $5·10^{11}$.
#
# ## A filter that you can read
#
# Not all filters must be learned. The one below subtracts the brightness on
# the left from that on the right; turned, it subtracts above from below.

# %%
import torch.nn.functional as F

sideways = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # Sobel
edge_filters = torch.stack([sideways, sideways.T])[:, None]  # (2, 1, 3, 3)
grey = photo.mean(0, keepdim=True)  # (1, 224, 224)
edges = F.conv2d(grey, edge_filters)  # (2, 222, 222)

# %%
from ae_lib.plots.style import picture, styled


@styled
def panels(maps, titles, label="", source=CREDIT, **style):
    """Show maps (H, W), or an image (H, W, 3), in a row, on one scale."""
    figure = picture(7.2, 2.4, source)
    for axes, m, title in zip(figure.subplots(1, len(maps)), maps, titles):
        shown = axes.imshow(m, interpolation="antialiased", **style)
        axes.set(title=title, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=figure.axes, shrink=0.7, label=label)
    return figure


# %% [markdown]
# **Guess before you run:** the photograph shows a pavilion with columns and
# eaves. Which of the two will each map draw, and what will the sky become?

# %%
titles = ["the photograph", "right minus left", "below minus above"]
style = {"cmap": "PuOr", "vmin": -0.3, "vmax": 0.3}
panels([photo.permute(1, 2, 0), *edges], titles, "output", **style)

# %% [markdown]
# The first map draws the columns, the second the eaves and floors; each edge
# has a sign, purple where it gets brighter. The even sky answers almost zero.
# That is a feature: a number for each place that says how much of *one*
# pattern is there.
#
# ## Stride, padding, size
#
# With stride $s$ the filter moves by $s$ pixels at a time; with padding $p$
# the image first gets $p$ rows and columns of zeros on each side. In $n + 2p$
# pixels a filter of width $k$ has this many places:
#
# $$m = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
#
# **Guess:** which choice keeps the size with $k = 3$, and which halves it?


# %%
def output_size(n, k, s, p):
    return (n + 2 * p - k) // s + 1


def measured_size(n, k, s, p):
    x = torch.empty(1, 1, n, n, device="meta")  # a shape without numbers
    w = torch.empty(1, 1, k, k, device="meta")
    return F.conv2d(x, w, stride=s, padding=p).shape[-1]


# %%
import itertools

sizes, kernels, strides = range(7, 34), range(1, 8), range(1, 5)
cases = list(itertools.product(sizes, kernels, strides, range(4)))
wrong = [c for c in cases if output_size(*c) != measured_size(*c)]
print(f"{len(cases):,} cases, {len(wrong)} wrong")
for s, p in (1, 0), (1, 1), (2, 0), (2, 1):
    print(f"32 pixels, k = 3, s = {s}, p = {p}: {output_size(32, 3, s, p)}")

# %%
# NBVAL_CHECK_OUTPUT
claim("the formula is right in all 3,024 cases", len(wrong), "<=", 0)

# %% [markdown]
# With $p = 1$, stride 1 keeps 32 pixels and stride 2 leaves 16: the two
# settings that you will meet everywhere. Without padding each layer costs two
# rows.
#
# You often read that convolutional networks are *shift-invariant*. One
# convolution is something else, *equivariant*: shift the image, and the map
# shifts along. Does that survive a stride of 2? **Guess** before you run. We
# move the camera by one pixel, and then by two.


# %%
def change(stride, pixels):
    """Compare the edges of the photograph with those of a shifted one."""
    a = F.conv2d(grey[..., :-pixels], edge_filters, stride=stride)
    b = F.conv2d(grey[..., pixels:], edge_filters, stride=stride)
    shift = round(pixels / stride)  # of the map
    a, b = a[..., shift:], b[..., : b.shape[-1] - shift]
    width = min(a.shape[-1], b.shape[-1])
    a, b = a[..., :width], b[..., :width]
    return ((a - b).norm() / a.norm()).item()


# %%
changes = {(s, n): change(s, n) for s in (1, 2) for n in (1, 2)}
for (s, n), value in changes.items():
    print(f"stride {s}, shifted by {n}: the map changes by {value:.0%}")

# %%
# NBVAL_CHECK_OUTPUT
claim("stride 1: the map moves with the image", changes[1, 1], "<", 1e-5)
claim("stride 2, one pixel: another map", changes[2, 1], ">", 0.3)

# %% [markdown]
# With stride 2 only shifts by an even number of pixels come back as shifts. A
# network with five such steps is exact for multiples of 32 pixels and for
# nothing between (and only away from the borders, where padding breaks it
# anyway). Networks *learn* to tolerate shifts, up to a point; the
# architecture does not give it.
#
# ## VGG-16, stage by stage
#
# VGG-16 (2014) is made of what you have just seen, and of little else:
# thirteen 3×3 convolutions with padding 1, each followed by a *ReLU*, which
# replaces negative numbers by 0. Five times comes a *max pooling*, which keeps
# the largest of each 2×2 numbers and so halves height and width. What lies
# between two poolings is called a stage.
#
# We quote no sizes, we compute them. On the device `meta` a tensor has a shape
# and no numbers.

# %%
from torchvision.models import vgg16

with torch.device("meta"):  # instant, and needs no memory
    vgg, x = vgg16(weights=None), torch.empty(1, 3, 224, 224)
steps = [("photograph", x.shape[1:])]
for layer in vgg.features:
    before, x = x, layer(x)
    if isinstance(layer, nn.MaxPool2d):
        stage = f"stage {1 + len(steps) // 2}"
        steps += [(stage, before.shape[1:]), ("pooled", x.shape[1:])]
counts = [shape.numel() for _, shape in steps]


# %%
@styled
def draw_counts(steps):
    axes = picture(9, 3.6).add_subplot(ylabel="numbers, millions")
    for at, (name, shape) in enumerate(steps):
        colour = "#D55E00" if name.startswith("stage") else "#0072B2"
        axes.bar(at, shape.numel() / 1e6, color=colour)
        text = f"{shape.numel() / counts[0]:.2g}×"
        axes.text(at, shape.numel() / 1e6 + 0.03, text, ha="center", size=9)
    labels = [f"{name}\n{c} ×\n{h}×{w}" for name, (c, h, w) in steps]
    axes.set_xticks(range(len(steps)), labels, size=8)
    axes.grid(False, axis="x")
    return axes.figure


# %% [markdown]
# **Guess:** the photograph has 3·224·224 = 150,528 numbers, three for each
# pixel. Behind which of the five stages are there fewer for the first time?

# %%
draw_counts(steps)

# %% [markdown]
# Above each bar stands its height in photographs. The first stage makes
# *twenty-one* photographs' worth of numbers. So the numbers first multiply,
# twenty-one times, and only then shrink: each stage ends with half as many as
# the one before, the last with a quarter. They fall below one photograph only
# at the fourth pooling, ten convolutions in, and the fifth ends at a sixth.
# Convolutions describe, many times over, and poolings throw away.

# %%
# NBVAL_CHECK_OUTPUT
factor, times = counts[0] / counts[-1], [c / counts[0] for c in counts]
claim("VGG-16 ends with 25,088 features", counts[-1], "~", 25_088, tol=0)
claim("six times fewer than the photograph has", factor, "~", 6, tol=0)
claim("the first stage makes over 20 photographs", times[1], ">", 20)
claim("until the fourth pooling all are above one", min(times[1:-3]), ">", 1)

# %% [markdown]
# The sentence of the opening compares 25,088 features with 50,176 *pixels*,
# and forgets that a pixel is three numbers. It makes a factor of 2 out of 6.
# (In bytes it is 1.5: a feature is stored in four bytes, a colour in one.
# Chapter 03 returns to that.)
#
# Behind the features, VGG-16 has three matrices that turn them into 1,000
# scores, one for each kind of thing it can name. **Guess:** which part has
# more parameters, the thirteen convolutions or the three matrices?


# %%
# NBVAL_CHECK_OUTPUT
def parameters(module):
    return sum(p.numel() for p in module.parameters())


millions = parameters(vgg.features) / 1e6
share = parameters(vgg.classifier) / parameters(vgg)
claim("14.7 million in the convolutions", millions, "~", 14.7, tol=0.05)
claim("89 % of all sit in the three matrices", share, "~", 0.89, tol=0.005)

# %% [markdown]
# The extractor is the smaller part: its filters are used again at every place.
# Whoever takes VGG-16 for its features leaves the large part behind.
#
# ## What one output sees
#
# Stack convolutions, and each output depends on a growing square of the image,
# its *receptive field*, $r$ pixels wide. If neighbouring outputs lie $j$
# pixels apart in the image, a layer with kernel $k$ and stride $s$ makes of it
#
# $$r \leftarrow r + (k - 1)\,j, \qquad j \leftarrow j\,s.$$
#
# It begins with $r = j = 1$, a single pixel. A pooling counts as a layer with
# $k = s = 2$. **Guess:** does an output of VGG-16 behind the last pooling
# see the whole photograph, 224 pixels wide?


# %%
k_and_s = {nn.Conv2d: (3, 1), nn.MaxPool2d: (2, 2)}
r, j, fields = 1, 1, []
for layer in vgg.features:
    k, s = k_and_s.get(type(layer), (1, 1))  # a ReLU changes nothing
    r, j = r + (k - 1) * j, j * s
    if isinstance(layer, nn.MaxPool2d):
        fields.append(r)
print("receptive field behind each pooling:", fields)

# %% [markdown]
# Almost: 212 of 224. A formula can be wrong, so we measure. The gradient of an
# output says how much the output changes when a pixel does; it is zero at each
# pixel that the output does not depend on. Random weights are good enough,
# because the question is only which pixels are *connected*. We take the output
# in the middle of the map, all its channels mixed.

# %%
stack = vgg.features.to_empty(device="cpu")
generator = torch.Generator().manual_seed(0)
for layer in stack:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)

# %%
x = photo.clone().requires_grad_()
y, influence = x[None], []
for layer in stack:
    y = layer(y)
    if isinstance(layer, nn.MaxPool2d):
        middle = y[0, :, y.shape[2] // 2, y.shape[3] // 2]  # (C,)
        mix = torch.randn(len(middle), generator=generator) @ middle
        (gradient,) = torch.autograd.grad(mix, x, retain_graph=True)
        influence.append(gradient.abs().sum(0))  # (224, 224)

# %% [markdown]
# The width of what is not zero should be the field. But is every pixel in it
# equally important? **Guess:** take squares around the middle of the field of
# 212×212 pixels. Which share of the area has half of the influence in it?


# %%
def width(influence):
    rows = influence.sum(1).nonzero()
    return int(rows.max() - rows.min()) + 1


# %%
def half_area(influence):
    """Give the share of the field, around its middle, with half of it all."""
    rows, columns = (influence > 0).nonzero().float().T
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    far = torch.maximum((rows - middle[0]).abs(), (columns - middle[1]).abs())
    order = far.argsort()
    sums = influence[influence > 0][order].cumsum(0)
    half = far[order][(sums < sums[-1] / 2).sum()].item()
    return ((2 * half + 1) / width(influence)) ** 2


# %%
widths = [width(i) for i in influence]
halves = [half_area(i) for i in influence]
print("measured widths:", widths)
print("area with half of the influence:", *(f"{h:.0%}" for h in halves))

# %% [markdown]
# Look at the three maps below, behind the third, fourth and last pooling,
# averaged over blocks of 4×4 pixels; the largest influence is 1, and its
# logarithm 0. The scale is logarithmic, so that you can see the faint parts
# too. The solid square is the field as measured, the dashed one has half of
# all the influence in it. Where is the other half?

# %%
from matplotlib.patches import Rectangle

blocks = [F.avg_pool2d(i[None], 4)[0] for i in influence[2:]]  # (56, 56)
shown = [(b / b.max()).clamp(min=1e-5).log10() for b in blocks]
titles = [f"pooling {s}: {fields[s - 1]} pixels" for s in (3, 4, 5)]
style = {"cmap": "magma", "vmin": -4, "vmax": 0}
extent = (-0.5, 223.5, 223.5, -0.5)
figure = panels(shown, titles, "log10 of influence", extent=extent, **style)
for axes, i, half in zip(figure.axes, influence[2:], halves[2:]):
    top, left = (i > 0).nonzero().min(0).values.tolist()
    for part, line in (1, "-"), (half**0.5, "--"):  # of the width
        w, gap = width(i) * part, width(i) * (1 - part) / 2 - 0.5
        square = Rectangle((left + gap, top + gap), w, w, fill=False)
        square.set(edgecolor="white", linestyle=line)
        axes.add_patch(square)
figure

# %% [markdown]
# The solid squares are as wide as the formula says, and the influence gathers
# in the middle. Many paths through the layers lead from the output to a pixel
# in the middle, few to one in the corner. The formula tells what an output
# *can* see; what it mostly looks at is much smaller. That is true of random
# weights; Luo et al. show that training widens this field. We measured the
# architecture, not the trained VGG-16.

# %%
# NBVAL_CHECK_OUTPUT
off = max(abs(w - r) for w, r in zip(widths, fields))
claim("formula and measurement agree five times", off, "<=", 0)
claim("half of the influence in a quarter of the area", halves[-1], "<", 0.25)

# %% [markdown]
# ## A small network of the same kind
#
# VGG-16 learned for weeks on 1.3 million photographs. We want to see features
# come into being, so we build a small relative for the small images of this
# course. First the images.

# %%
train = data.load("cifar10", limit=pick(quick=4_000, full=40_000))
test = data.load("cifar10", "test", limit=pick(quick=2_000, full=10_000))
plots.samples(test, n=8, source=test.source)

# %% [markdown]
# Ten kinds of things, in 3·32·32 = 3,072 numbers each. The network gets four
# stages with one convolution each. One ingredient is new since 2014: *batch
# normalisation* scales each map to mean 0 and variance 1 over a batch of
# images, and training goes faster. The network ends at 512 features. That
# is a sixth of the image again.


# %%
def stage(thin, wide):
    return nn.Sequential(
        nn.Conv2d(thin, wide, 3, padding=1, bias=False),
        nn.BatchNorm2d(wide),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


# %%
class SmallVGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.Sequential(
            stage(3, 16),  # (B, 16, 16, 16)
            stage(16, 32),  # (B, 32, 8, 8)
            stage(32, 64),  # (B, 64, 4, 4)
            stage(64, 128),  # (B, 128, 2, 2)
        )
        self.head = nn.Linear(512, 10)

    def features(self, x):
        return self.stages(x).flatten(1)  # (B, 512)

    def forward(self, x):
        return self.head(self.features(x))  # (B, 10)


# %% [markdown]
# `head` turns the features into ten scores, one for each class. Training moves
# all weights such that the score of the right class becomes the largest. The
# loss is the *cross-entropy*: minus the logarithm of the probability that the
# network gives to the right answer. A network that knows nothing says
# 1/10, and has a loss of ln 10 = 2.30.
#
# We train three networks from three random starts, and keep each start to
# compare with. `update_bn` shows a start the training images once, so that its
# batch normalisation knows the means and variances of its maps. Its weights
# stay as they were drawn.

# %%
import copy
from torch.optim.swa_utils import update_bn
from ae_lib.features import train_classifier

untrained, trained = [], []
for seed in range(3):
    torch.manual_seed(seed)
    untrained.append(SmallVGG().eval())
    update_bn(train.unit().split(500), untrained[-1])
    trained.append(copy.deepcopy(untrained[-1]))
    losses = train_classifier(
        trained[-1], train, seed=seed, epochs=pick(quick=6, full=12)
    )
    print(
        f"seed {seed}, loss in each epoch:",
        " ".join(f"{loss:.2f}" for loss in losses),
    )

# %% [markdown]
# ## Filters and feature maps
#
# Textbooks show filters of a first layer that have become edge detectors, like
# the two we made by hand. Here are ours, 16 of 3×3×3: one row from before the
# training, one from after it. **Guess:** which row has been trained?

# %%
start, end = (
    nets[0].stages[0][0].weight.detach()  # (16, 3, 3, 3)
    for nets in (untrained, trained)
)
plots.filters(torch.cat([end, start]), source=train.source)

# %% [markdown]
# The upper one, and nobody could tell. Seen as arrows in 27 dimensions, the
# filters have turned by a few degrees in this short training, and they still
# look like the noise they began as. Yet the network has learned, as its loss
# shows. The edge detectors of the textbooks are found in larger first filters,
# of 7×7 or 11×11, after training on hundreds of times as many images, for
# longer.
#
# How much is a few degrees? In 27 dimensions two filters that have nothing to
# do with each other are about 90° apart.

# %%
# NBVAL_CHECK_OUTPUT
cosines = F.cosine_similarity(start.flatten(1), end.flatten(1))
angle = cosines.acos().rad2deg().median().item()
if pick(quick=True, full=False):
    claim("half of the first filters have hardly turned", angle, "<", 30)
else:  # the longer training is not held to it
    print(f"half of the first filters turned by {angle:.0f}° or more")

# %% [markdown]
# So look at what the filters *do*. A feature map is the answer of one filter
# at every place. We send the fifth image of the figure above through the
# trained network, and stop in the first and in the third stage, before the
# pooling.
#
# **Guess:** in which of the two could you still name what is in the image?

# %%
x = test.unit()[4:5]  # (1, 3, 32, 32)
with torch.no_grad():
    first = trained[0].stages[0][:3](x)[0]  # (16, 32, 32)
    third = trained[0].stages[:2](x)
    third = trained[0].stages[2][:3](third)[0]  # (64, 8, 8)
plots.feature_maps(first, source=test.source)

# %% [markdown]
# Each map of the first stage is the image again, seen through one filter: some
# answer to an area, some to edges that face one way, some hardly at all. Noise
# they may be, but sixteen different views they are. (The bright frames come
# from the zero padding: the image seems to end in a black edge.) Now 16 of the
# 64 maps of the third stage. Their pixels are four times as wide.

# %%
plots.feature_maps(third, source=test.source)

# %% [markdown]
# Nothing is left for your eye, except perhaps *where* something is. Many
# places are 0, and a few answer strongly. To say what these answers are worth,
# looking will not do. We have to measure.
#
# ## What is a feature worth?
#
# A *linear probe* is the simplest reader there is: a weighted sum of the
# features for each class, and the largest sum wins. If so simple a reader can
# name the image, then the features say it nearly openly. With the features in
# the rows of $F$, each scaled to mean 0 and deviation 1, and in the rows of
# $T$ a 1 at the right class and 0 elsewhere (minus the mean), the weights are
# those of *ridge regression*,
#
# $$W = (F^\top F / N + \lambda I)^{-1}\, F^\top T / N,$$
#
# the best ones for the squared error, held small by the penalty $\lambda$.


# %%
def read_out(features, target, test_features, penalty=0.01):
    """Predict a target (N, M) from features (N, D), by ridge regression."""
    mean, std = features.mean(0), features.std(0) + 1e-6
    f = (features - mean) / std  # (N, D)
    centre = target.mean(0)  # (M,)
    gram = f.T @ f / len(f) + penalty * torch.eye(f.shape[1])  # (D, D)
    weights = torch.linalg.solve(gram, f.T @ (target - centre) / len(f))
    return (test_features - mean) / std @ weights + centre  # (N_test, M)


# %%
def probe(features, labels, test_features, test_labels, penalty=0.01):
    """Give the share of test images that a linear reader names correctly."""
    target = F.one_hot(labels).float()  # (N, 10)
    scores = read_out(features, target, test_features, penalty)
    return (scores.argmax(1) == test_labels).float().mean().item()


# %% [markdown]
# Who must the trained network beat? The raw pixels. PCA, the best linear
# summary of 512 numbers (chapter 03 explains it). And the same network with
# the random weights it started from, for a convolutional network may be good
# for something before it has learned anything. (Its batch normalisation has
# seen the training images once, its weights nothing.)
#
# One penalty does not suit all. `linear_probe` of the library is `probe` with
# a penalty that each rival chooses for itself, on a fifth of the training
# images: the test images decide nothing.

# %%
from ae_lib.baselines import PCA
from ae_lib.features import extract, linear_probe

pca = PCA.fit(train, 512)
encoders = {
    "pixels, 3,072": [nn.Flatten()],
    "PCA, 512": [pca.encode],
    "untrained network, 512": [net.features for net in untrained],
    "trained network, 512": [net.features for net in trained],
}
features = {
    name: [(extract(e, train), extract(e, test)) for e in group]
    for name, group in encoders.items()
}  # (N, D), (N_test, D)

# %% [markdown]
# VGG-16 itself may compete when its weights are on your disk. It was trained
# with the labels of 1.3 million other photographs; a 32×32 image leaves just
# 512 of its features, 512×1×1. Nothing is downloaded here, and without the
# file the chapter goes on with four rivals.

# %%
from ae_lib.features import local_vgg16

vgg = local_vgg16()
if vgg is None:
    print("VGG-16's weights are not on this machine: four rivals")
else:  # it expects standardised colours, and takes a minute on a CPU
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    features["VGG-16, 512"] = [
        tuple(
            extract(lambda x: vgg.features((x - mean) / std), images)
            for images in (train, test)
        )
    ]

# %% [markdown]
# **Guess, and write it down:** rank pixels, PCA, untrained and trained
# network. Blind guessing names one image in ten.

# %%
accuracy = {
    name: [
        linear_probe(f, train.labels, f_test, test.labels)
        for f, f_test in pairs
    ]
    for name, pairs in features.items()
}
plots.bars(
    accuracy, "share of test images named correctly", source=test.source
)

# %% [markdown]
# The trained network is far ahead. Second, and ahead of the pixels, is the
# network that has *learned nothing*: what convolution, ReLU and pooling make
# of an image by chance is easier to read than the image. "Random features are
# worthless" fails the test. PCA gains nothing over the pixels, and on
# photographs it loses a few points (hundredths of the images): its numbers are
# weighted sums of pixels, and such sums the reader can form by itself.
#
# (Photographs betray their class by colours too, blue behind ships, say. The
# colours of the stand-in say nothing, so there pixels are worth hardly more
# than a blind guess.)

# %%
# NBVAL_CHECK_OUTPUT
pixels, linear, random, learned = list(accuracy.values())[:4]
gain, luck = linear[0] - pixels[0], sum(random) / 3 - pixels[0]
lead = min(learned) - max(random)
claim("PCA's 512 numbers name no more than pixels", gain, "<", 0.02)
claim("features by chance name more than pixels", luck, ">", 0.02)
claim("the worst trained network beats all untrained", lead, ">", 0.05)

# %% [markdown]
# Is that fair? All four were read by the same reader, chose their penalty
# alike and were judged on images that none of them had seen. But look at what
# each was given before:
#
# | rival | numbers | has seen the training images | and their labels |
# |---|---|---|---|
# | pixels | 3,072 | no | no |
# | PCA | 512 | yes | no |
# | untrained network | 512 | means and variances | no |
# | trained network | 512 | yes | yes |
#
# The trained network was told what it would be asked. Its lead shows what
# labels can do, and it does not show that convolutions find what matters by
# themselves. In exercise 5 the network is asked about classes that it was
# never told.
#
# ## What do features keep?
#
# "Features are what matters in the image." Then the image should be in them.
# The same linear reader can tell: this time its target is not the class but
# all 3,072 pixels. **Guess:** who gives back the best images, PCA, the
# untrained or the trained network?

# %%
goal = train.unit().flatten(1)  # (N, 3072)
rebuilt = {
    name: [
        read_out(f, goal, f_test).view(-1, 3, 32, 32)
        for f, f_test in features[name]
    ]
    for name in list(encoders)[1:]
}  # without the pixels: they are the image
plots.compare(
    test,
    {name: images[0] for name, images in rebuilt.items()},
    source=test.source,
)

# %% [markdown]
# PCA's images are close to the input. Those of both networks are a fog: light
# and colour are roughly in place, outlines are gone. And the features that
# name the images best give them back neither better nor much worse than
# untrained ones do.
#
# To compare, we need one number for each row: which share of the variance
# comes back? 0 is what the mean image achieves, 1 a perfect copy. The pixels
# themselves have 1 by definition.

# %%
from ae_lib.metrics import mse, r_squared

x, mean_image = test.unit(), train.unit().mean(0)
variance = mse(x, mean_image.expand_as(x))
kept = {"pixels, 3,072": [1.0]}
for name, images in rebuilt.items():
    kept[name] = [r_squared(mse(x, x_hat), variance) for x_hat in images]
    print(f"{name:24}", *(f"{share:.2f}" for share in kept[name]))


# %%
@styled
def two_answers(kept, accuracy, source):
    axes = picture(7.5, 4, source).add_subplot(xlim=(0, 1.04), ylim=(0, 1))
    axes.set_xlabel("share of the variance that is read back")
    axes.set_ylabel("share of images named correctly")
    for name, shares in kept.items():
        axes.plot(shares, accuracy[name], "o", ms=8, alpha=0.7, label=name)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return axes.figure


# %% [markdown]
# Now both answers in one picture. To the right: how much of the image the
# reader gets back. Upwards: how often it names the class. One point for each
# seed. **Guess:** does anyone reach the upper right corner?

# %%
two_answers(kept, accuracy, test.source)

# %% [markdown]
# Nobody does. Pixels and PCA lie at the lower right: the whole image, and few
# right answers. On photographs training moved the network upwards, and hardly
# to the left or right (on the stand-in it does move): what cannot be read back
# was lost already by ReLU and pooling with random weights. So "what matters in
# the image" has no answer until somebody says *for what*. The labels said: for
# telling ten classes apart.

# %%
# NBVAL_CHECK_OUTPUT
_, best, chance, taught = kept.values()
moved = abs(sum(taught) - sum(chance)) / 3
claim("PCA keeps nearly all of the variance", best[0], ">", 0.95)
claim("trained features give back under four fifths", max(taught), "<", 0.8)
claim("training moves it by less than a fifth", moved, "<", 0.2)

# %% [markdown]
# One caution: our reader is linear, and a stronger one would get more of the
# image out of the same features. That is the idea of the rest of this course.
# An *autoencoder* trains the reader, now called decoder, together with the
# features, and its loss asks for the image itself, without any labels.
#
# ## What we saw
#
# A convolution is a sum over a small block, the same at every place, and nine
# lines compute it. It moves along with the image, unless a stride comes
# between. VGG-16 makes twenty-one times as many numbers as the photograph has
# before it ends at a sixth: six times fewer, not two, and first many times
# more. An output behind its last pooling can see 212×212 pixels and,
# untrained, gets half of its influence from a seventh of that area. Features
# of an untrained network name more images than pixels do; training with labels
# names far more, hardly turns the first filters when it is short, and on
# photographs hardly changes how much can be read back. Features are what
# matters *for the question that the loss asks*.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **A whole stack.** Write `size_and_field(n, layers)`: how many outputs,
#    and how many pixels wide is the receptive field of each, for an image of
#    $n$ pixels and any list of layers?


# %% tags=["exercise"]
# Exercise 01.1
def size_and_field(n, layers):
    """Return (outputs, field), two whole numbers, for n pixels.

    layers is a list of (kernel, stride, padding), the first layer first.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("01.1", size_and_field)

# %% [markdown]
# 2. **With stride and padding.** The loop of this chapter knew neither. Write
#    `slide(x, w, stride, padding)` without `conv2d`, for one filter.


# %% tags=["exercise"]
# Exercise 01.2
def slide(x, w, stride, padding):
    """Return the map (rows, columns) of the filter w (C, k, k) on x.

    x is one image (C, H, W); the padding is with zeros.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("01.2", slide)

# %%
exercises.progress("01")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Two layers of this course.** The autoencoder of chapter 04 begins with
#    two convolutions with $k=4$, $s=2$, $p=1$. On paper: how many pixels wide
#    is the receptive field of one output? Measure it by gradient; you have
#    succeeded when both agree. From which depth on does one output see *every*
#    pixel of a 32×32 image? (Width alone does not decide it.)
# 4. **Pooling and shifts.** Pooling is said to make a network shift-invariant.
#    Take the edges of the photograph, negative numbers set to 0, and shift the
#    photograph by one pixel. By how much do they change if you then (a) keep
#    every second number, (b) take the largest of 2×2, (c) take the mean of
#    2×2, (d) take the mean of the whole map? You are done when you have four
#    numbers and can say what (d) has paid for its own.
# 5. **A fairer probe.** Train `SmallVGG` on the images of classes 0 to 4 only,
#    and probe its features on classes 5 to 9, whose labels it has never seen.
#    Compare with pixels and with the untrained network on the same images.
#    Does it still lead? You have succeeded when you can say by how many
#    points.
# 6. **Deeper.** Probe a trained and an untrained network after each of the
#    four stages (average maps larger than 4×4 to 4×4 first, so that no stage
#    leads by its many numbers). Where is each at its best? You are done when
#    you can say what depth is worth without training.
#
# Solutions: [solutions/01_features.ipynb](solutions/01_features.ipynb).
#
# ## Further reading
#
# - K. Simonyan and A. Zisserman, [*Very deep convolutional networks for
#   large-scale image recognition*](https://arxiv.org/abs/1409.1556),
#   ICLR 2015. VGG-16; table 1 has its sisters, and section 2.3 says why 3×3.
# - W. Luo, Y. Li, R. Urtasun and R. Zemel, [*Understanding the effective
#   receptive field*](https://arxiv.org/abs/1701.04128), NeurIPS 2016. Why the
#   influence gathers in the middle, with a proof.
# - R. Zhang, [*Making convolutional networks shift-invariant
#   again*](https://arxiv.org/abs/1904.11486), ICML 2019. What stride does to
#   shifts, and how to blur it away: exercise 4 in earnest.
# - A. Saxe, P. W. Koh, Z. Chen, M. Bhand, B. Suresh and A. Ng, *On random
#   weights and unsupervised feature learning*, ICML 2011. Why convolution and
#   pooling with random weights are a serious rival.
# - G. Alain and Y. Bengio, [*Understanding intermediate layers using linear
#   classifier probes*](https://arxiv.org/abs/1610.01644), 2016. The probe, and
#   what it can and cannot say.
# - A. Mahendran and A. Vedaldi, [*Understanding deep image representations by
#   inverting them*](https://arxiv.org/abs/1412.0035), CVPR 2015. Images read
#   back from a classifier's features by a reader much stronger than ours.
