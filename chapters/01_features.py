# %% [markdown]
# # 1. CNNs as feature extractors
#
# A well-known network, VGG-16, turns a photograph of 224×224 pixels into
# 25,088 numbers, its *features*. You will read that it compresses 50,176
# pixels into them, and that they are what matters in the image. Does it
# compress? And is a feature worth more than the pixels it was made from?
#
# **You will be able to**
#
# - compute a convolution by hand, and predict the size of its output;
# - say which pixels one output depends on, by formula and by measurement;
# - follow the shapes and the parameters through VGG-16;
# - train a small network and look at its filters and feature maps;
# - judge features with a linear probe, against four rivals.
#
# **Cost:** about 55 s on 2 CPU cores.

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
# A filter $w$ is a small block of numbers, $C×k×k$, as deep as the image $x$
# has channels. Lay it on the image, multiply what lies on each other, add up:
# one output. Slide it by a pixel: the next one.
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
torch.manual_seed(0)
layer = nn.Conv2d(3, 64, kernel_size=3)
x = photo[:, 60:100, 60:100]  # (3, 40, 40)
with torch.no_grad():
    y = layer(x)  # (64, 38, 38)
    loop = convolve(x, layer.weight[5], layer.bias[5])  # (38, 38)

# %%
# NBVAL_CHECK_OUTPUT
claim("nine lines of Python compute what nn.Conv2d computes",
      (loop - y[5]).abs().max(), "<", 1e-5)

# %% [markdown]
# (Mathematicians call this cross-correlation; their convolution turns the
# filter by 180° first. A network that learns its filters does not care.)
#
# The whole layer has only 64·(27 + 1) = 1,792 parameters, because every place
# of the image shares them. A matrix between the same numbers of inputs and
# outputs would have $4.8·10^{11}$.
#
# ## A filter that you can read
#
# Not all filters must be learned. The one below subtracts the brightness on
# the left from that on the right; turned, it subtracts above from below.
#
# **Guess before you run:** the photograph shows a pavilion with columns and
# eaves. Which of the two will each map draw, and what will the sky become?

# %%
import torch.nn.functional as F
from matplotlib.figure import Figure
from ae_lib.plots.style import picture, styled

sideways = torch.tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # Sobel
edge_filters = torch.stack([sideways, sideways.T])[:, None]  # (2, 1, 3, 3)
grey = photo.mean(0, keepdim=True)  # (1, 224, 224)
edges = F.conv2d(grey, edge_filters)  # (2, 222, 222)


@styled
def panels(maps, titles, label="", source=CREDIT, **style) -> Figure:
    """Show maps (H, W), or an image (H, W, 3), in a row, on one scale."""
    figure = picture(9, 3.5, source)
    for axes, m, title in zip(figure.subplots(1, len(maps)), maps, titles):
        shown = axes.imshow(m, **style)
        axes.set(title=title, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    figure.colorbar(shown, ax=figure.axes, shrink=0.7, label=label)
    return figure


panels([photo.permute(1, 2, 0), *edges],
       ["the photograph", "right minus left", "below minus above"],
       label="output of the filter", cmap="PuOr", vmin=-0.3, vmax=0.3)

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


cases = [(n, k, s, p) for n in range(7, 34) for k in range(1, 8)
         for s in range(1, 5) for p in range(4)]
wrong = [c for c in cases if output_size(*c) != measured_size(*c)]
print(f"{len(cases):,} cases, {len(wrong)} wrong")
print("32 pixels, k = 3:", {(s, p): output_size(32, 3, s, p)
                           for s in (1, 2) for p in (0, 1)})

# %%
# NBVAL_CHECK_OUTPUT
claim("the formula is right in all 3,024 cases, as PyTorch computes them",
      len(wrong), "<=", 0)

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


changes = {(s, n): change(s, n) for s in (1, 2) for n in (1, 2)}
for (s, n), value in changes.items():
    print(f"stride {s}, shifted by {n}: the map changes by {value:.0%}")

# %%
# NBVAL_CHECK_OUTPUT
claim("with stride 1 the map of a shifted image is the shifted map",
      changes[1, 1], "<", 1e-5)
claim("with stride 2 and a shift of one pixel it is another map",
      changes[2, 1], ">", 0.3)

# %% [markdown]
# With stride 2 only shifts by an even number of pixels come back as shifts. A
# network with five such steps is exact for multiples of 32 pixels and for
# nothing between. Networks *learn* to tolerate shifts, up to a point; the
# architecture does not give it.
#
# ## What one output sees
#
# Stack convolutions, and each output depends on a growing square of the image,
# its *receptive field* of width $r$. If neighbouring outputs lie $j$ pixels
# apart in the image, a layer with kernel $k$ and stride $s$ makes of it
#
# $$r \leftarrow r + (k - 1)\,j, \qquad j \leftarrow j\,s.$$
#
# We apply it to VGG-16: thirteen 3×3 convolutions, and five poolings, each of
# which keeps the largest of 2×2 numbers. **Guess:** does an output of the last
# stage see the whole photograph, 224 pixels wide?

# %%
from torchvision.models import vgg16

with torch.device("meta"):  # shapes only: instant, and no memory
    vgg = vgg16(weights=None)


def receptive_fields(layers):
    """List the receptive field after each pooling, in pixels."""
    r, j, fields = 1, 1, []
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
            k, s = (v[0] if isinstance(v, tuple) else v
                    for v in (layer.kernel_size, layer.stride))
            r, j = r + (k - 1) * j, j * s
        if isinstance(layer, nn.MaxPool2d):
            fields.append(r)
    return fields


fields = receptive_fields(vgg.features)
print("receptive field after each stage:", fields)

# %% [markdown]
# Almost: 212 of 224. A formula can be wrong, so we measure. The gradient of an
# output with respect to the image is zero at each pixel that the output does
# not depend on. Random weights do, because the question is only which pixels
# are *connected*. We take the output in the middle, all its channels mixed.

# %%
stack = vgg.features.to_empty(device="cpu")
generator = torch.Generator().manual_seed(0)
for layer in stack:
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)

x = photo.clone().requires_grad_()
y, influence = x[None], []
for layer in stack:
    y = layer(y)
    if isinstance(layer, nn.MaxPool2d):
        middle = y[0, :, y.shape[2] // 2, y.shape[3] // 2]  # (C,)
        mix = torch.randn(len(middle), generator=generator) @ middle
        gradient, = torch.autograd.grad(mix, x, retain_graph=True)
        influence.append(gradient.abs().sum(0))  # (224, 224)

# %% [markdown]
# The width of what is not zero should be the field. But is every pixel in it
# equally important? **Guess:** of the 212×212 pixels around the middle, which
# share of the area gives half of the influence?

# %%
def width(influence):
    rows = influence.sum(1).nonzero()
    return int(rows.max() - rows.min()) + 1


def half_width(influence):
    """Give the side of the square in the middle with half of the influence."""
    rows, columns = (influence > 0).nonzero().float().T
    middle = (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2
    far = torch.maximum((rows - middle[0]).abs(), (columns - middle[1]).abs())
    order = far.argsort()
    sums = influence[influence > 0][order].cumsum(0)
    return 2 * far[order][(sums < sums[-1] / 2).sum()].item() + 1


widths = [width(i) for i in influence]
halves = [half_width(i) / r for i, r in zip(influence, fields)]
print("measured:", widths)
print("share of the field's area with half of the influence:",
      [f"{h * h:.0%}" for h in halves])

# %% [markdown]
# Look at the three maps below, from the third, fourth and last stage. The
# square is the field of the formula. Where in it is the influence?

# %%
from matplotlib.patches import Rectangle

shown = [(i / i.max()).clamp(min=1e-5).log10() for i in influence[2:]]
figure = panels(shown, [f"stage {s}: {fields[s - 1]} pixels" for s in (3, 4, 5)],
                label="influence, largest = 1, log10", cmap="magma",
                vmin=-4, vmax=0)
for axes, i in zip(figure.axes, influence[2:]):
    top, left = (i > 0).nonzero().min(0).values.tolist()
    axes.add_patch(Rectangle((left - 0.5, top - 0.5), width(i), width(i),
                             fill=False, edgecolor="white"))
figure

# %% [markdown]
# TODO
