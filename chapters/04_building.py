# %% [markdown]
# # 04 · Building a convolutional autoencoder
#
# A 32×32 colour picture is 3,072 numbers. The network of this chapter lets 200
# of them through its middle, and it needs 1.7 million parameters to do so.
# Where do they sit? Where does the network spend its arithmetic? And what, if
# anything, does its second half undo?
#
# **You will be able to**
#
# - write a convolutional autoencoder and say the shape after each line;
# - tell where a network keeps its parameters and where it does its work;
# - compute a transposed convolution by hand, and its output size;
# - measure a checkerboard, and judge the remedies against it;
# - choose the last activation so that the network can reach your data.
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
# ## The network in one picture
#
# We begin with the end: the finished network, from the library, after a few
# seconds of training. The drawing below follows one test image through it.

# %%
from torch import nn

from ae_lib import models
from ae_lib.training import fit

train = data.load("cifar10", limit=pick(quick=3_000, full=40_000))
test = data.load("cifar10", "test", limit=1_000)
torch.manual_seed(0)
model = models.ConvAutoencoder(latent_dim=200)
history = fit(model, train, epochs=2, batch_size=64, verbose=False)

# %% [markdown]
# A network is a list of layers, and each layer hands a tensor to the next. We
# keep those that come out of an activation, and the code.


# %%
def layers(model):
    return [*model.encoder.stack, model.bottleneck, *model.decoder.stack]


# %%
def stages(model, x):
    """Follow one image (C, H, W); return the tensors on its way."""
    held, x = [x], x[None]
    for layer in layers(model):
        x = layer(x)
        if layer is model.bottleneck:
            held.append(x[0, :, None, None])  # (200, 1, 1)
        elif isinstance(layer, (nn.GELU, nn.Sigmoid)):
            held.append(x[0])
    return held


# %% [markdown]
# Every number becomes one small square: the channels of an image in red, green
# and blue, activations from black to yellow, the code from violet (negative)
# to orange (positive). The maps of a tensor lie side by side on one sheet.

# %%
from matplotlib import colormaps


def colour(maps):
    """Give each number of maps (C, H, W) a colour: (C, H, W, 3)."""
    if len(maps) == 3:
        return maps[..., None] * torch.eye(3)[:, None, None]
    if maps.shape[1] == 1:  # the code: 0 is white
        paint, maps = "PuOr_r", 0.5 + 0.5 * maps / maps.abs().max()
    else:
        paint, maps = "inferno", maps / maps.quantile(0.99)
    return torch.from_numpy(colormaps[paint](maps.numpy())[..., :3])


# %%
def sheet(tiles, columns):
    """Lay tiles (C, H, W, 3) side by side, a white line between them."""
    c, h, w, _ = tiles.shape
    line = int(h > 1)
    paper = torch.ones(c, h + line, w + line, 3)
    paper[:, :h, :w] = tiles
    paper = paper.unflatten(0, (-1, columns)).transpose(1, 2)
    return paper.flatten(0, 1).flatten(1, 2)


# %%
from ae_lib.plots.style import GREY, picture, styled

STEPS = ["", *["conv"] * 2, *["linear"] * 2, *["transp.\nconv"] * 2]


@styled
def draw(held, columns, source):
    """Draw tensors from left to right, each in so many columns of maps."""
    axes = picture(9, 3.7, source).add_subplot()
    left = 0
    for maps, n, step in zip(held, columns, STEPS):
        art = sheet(colour(maps), n)
        h, w = art.shape[:2]
        axes.imshow(art, extent=(left, left + w, -h / 2, h / 2))
        arrow = f"{step}\n→" if step else ""
        axes.text(left - 14, -6, arrow, color=GREY, size=9, ha="center")
        shape = "×".join(map(str, maps.shape)).replace("200×1×1", "code")
        label = f"{shape}\n{maps.numel():,}"
        axes.text(left + w / 2, -78, label, ha="center", va="top")
        left += w + 28
    axes.set(xlim=(0, left - 28), ylim=(-100, 74), aspect="equal")
    axes.set_axis_off()
    return axes.figure


# %% [markdown]
# **Guess before you look:** an autoencoder is said to compress step by step.
# Does the number of squares fall at every step from left to right?

# %%
with torch.no_grad():
    held = stages(model, test.unit()[4])
draw(held, [1, 4, 4, 10, 4, 4, 1], test.source)

# %% [markdown]
# It does not. The first convolution turns 3,072 numbers into 8,192, and the
# second still leaves 4,096, a third more than the image had. Convolutions
# rearrange and describe; one matrix, from 4,096 to 200, does all the
# compressing. On the right you see the steps back: from 200 numbers to 4,096,
# to 8,192, to an image. Look also at the fine grids in the 32 maps on the
# right. They are the subject of a later section.

# %% [markdown]
# ## The encoder
#
# Now we write it. A convolution with kernel $k$, stride $s$ and padding $p$
# makes of $H$ rows
#
# $$H' = \left\lfloor \frac{H + 2p - k}{s} \right\rfloor + 1$$
#
# With $k=4$, $s=2$, $p=1$ this is exactly half: 32 → 16 → 8. While each map
# shrinks to a quarter, their number only doubles. Batch normalisation gives
# each channel mean 0 and variance 1 over the batch, then a scale and a shift
# of its own to learn. GELU bends: like ReLU, but smooth.


# %%
class Encoder(nn.Module):
    def __init__(self, image_shape=(3, 32, 32)):
        super().__init__()
        self.stack = nn.Sequential(
            nn.Conv2d(image_shape[0], 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.GELU(),  # (B, 32, 16, 16)
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.GELU(),  # (B, 64, 8, 8)
            nn.Flatten(),  # (B, 4096)
        )

    def forward(self, x):
        return self.stack(x)


Encoder()(test.unit()[:5]).shape

# %% [markdown]
# ## The decoder
#
# The decoder walks back: one matrix from the code to 4,096 numbers, which
# `Unflatten` folds into 64 maps, then two *transposed* convolutions, each of
# which doubles height and width. The sigmoid at the end confines every number
# to (0, 1), where pixels live. Both choices get a section of their own below.


# %%
class Decoder(nn.Module):
    def __init__(self, latent_dim=200, image_shape=(3, 32, 32)):
        super().__init__()
        channels, height, width = image_shape
        grid = (64, height // 4, width // 4)
        self.stack = nn.Sequential(
            nn.Linear(latent_dim, grid[0] * grid[1] * grid[2]),  # (B, 4096)
            nn.Unflatten(1, grid),  # (B, 64, 8, 8)
            nn.BatchNorm2d(64),
            nn.GELU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.GELU(),  # (B, 32, 16, 16)
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
            nn.Sigmoid(),  # (B, 3, 32, 32)
        )

    def forward(self, z):
        return self.stack(z)


# %% [markdown]
# Between the two stands the bottleneck, a single matrix without an activation.
# A linear code may take any sign and size; a ReLU there would forbid all that
# is negative.


# %%
class ConvAutoencoder(nn.Module):
    def __init__(self, latent_dim=200, image_shape=(3, 32, 32)):
        super().__init__()
        _, height, width = image_shape
        features = 64 * (height // 4) * (width // 4)
        self.encoder = Encoder(image_shape)
        self.bottleneck = nn.Linear(features, latent_dim)
        self.decoder = Decoder(latent_dim, image_shape)

    def encode(self, x):
        return self.bottleneck(self.encoder(x))  # (B, latent_dim)

    def decode(self, z):
        return self.decoder(z)  # (B, C, H, W)

    def forward(self, x):
        return self.decode(self.encode(x))


# %% [markdown]
# That is the whole network. Is it the library's? If both have the same
# parameters under the same names, then yours can take over the weights that
# were trained above, and must give the same images. And nothing in it depends
# on 32 pixels or 3 channels: any multiple of 4 will do.

# %%
# NBVAL_CHECK_OUTPUT
mine = ConvAutoencoder(latent_dim=200)
mine.load_state_dict(model.state_dict())  # complains if a name is missing
with torch.no_grad():
    ours, theirs = mine.eval()(test.unit()), model(test.unit())
claim(
    "with the same weights, these classes give the library's images",
    (ours - theirs).abs().max(), "<", 1e-5, note="of a range of 1",
)  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
for shape in [(3, 32, 32), (1, 28, 28), (3, 64, 48)]:
    torch.manual_seed(0)
    small = ConvAutoencoder(latent_dim=200, image_shape=shape)
    x = torch.rand(2, *shape)
    z = small.encode(x)
    sizes = [x, small.encoder(x), z, small.decode(z)]
    print(" -> ".join(str(tuple(s.shape)) for s in sizes))

# %% [markdown]
# MNIST's 28×28×1 passes as CIFAR's 32×32×3 does; its flattened features are
# 64·7·7 = 3,136.
#
# ## Where the parameters sit, and where the work is done
#
# **Commit to two guesses.** The network has two matrices beside the bottleneck
# and four convolutions. What share of the *parameters* do the two matrices
# hold? What share of the *multiplications* for one image happen in them?
#
# Count like this. A filter's weights are used again at each position of the
# smaller of its two grids: of the output in a convolution, of the input in a
# transposed one. A matrix uses each weight once. Hence
#
# $$\text{multiplications} = \text{weights} \times \text{positions}.$$


# %%
def census(model, x):
    """List each layer's name, output shape, parameters, multiplications."""
    rows = []
    for layer in layers(model):
        y = layer(x)
        own = sum(p.numel() for p in layer.parameters())
        small = x if isinstance(layer, nn.ConvTranspose2d) else y
        positions = small.shape[2:].numel()  # 1 for a matrix
        is_map = own and layer.weight.ndim > 1  # a matrix or a bank of filters
        work = layer.weight.numel() * positions if is_map else 0
        name = type(layer).__name__
        name += f" {x.shape[1]}→{y.shape[1]}" if is_map else ""
        rows.append((name, tuple(y.shape[1:]), own, work))
        x = y
    return rows


# %%
# NBVAL_CHECK_OUTPUT
rows = census(mine, test.unit()[:1])
print(f"{'layer':24}{'output':>10}{'parameters':>12}{'multiplications':>17}")
for name, shape, own, work in rows:
    shape = "×".join(str(n) for n in shape)
    print(f"{name:24}{shape:>10}{own:>12,}{work:>17,}")
total, total_work = sum(r[2] for r in rows), sum(r[3] for r in rows)
print(f"{'together':34}{total:>12,}{total_work:>17,}")

# %% [markdown]
# The same as a picture, with the matrices in orange. Which side of it will be
# orange, and which blue?


# %%
@styled
def shares(rows):
    """Set each layer's share of the parameters beside that of the work."""
    rows = [row for row in rows if row[3]][::-1]
    names, at = [row[0] for row in rows], range(len(rows))
    colours = ["#D55E00" if "Linear" in n else "#0072B2" for n in names]
    left, right = picture(8.5, 2.8).subplots(1, 2)
    for axes, column, sign in (left, 2, -1), (right, 3, 1):
        whole = sum(row[column] for row in rows) / 100
        part = [row[column] / whole for row in rows]
        bars = axes.barh(at, [sign * p for p in part], color=colours)
        axes.bar_label(bars, [f"{p:.1f} %" for p in part], padding=3)
        axes.set(xlim=sorted([0, sign * 60]), xticks=[], yticks=[])
        axes.spines[["left", "bottom"]].set_visible(False)
    left.set_title("share of the parameters", loc="right")
    right.set_title("share of the multiplications", loc="left")
    right.set_yticks(at, names)
    right.tick_params(length=0)
    return right.figure


shares(rows)

# %% [markdown]
# Each side is nearly the reverse of the other: where the parameters sit,
# little is computed. (Top and bottom do mirror each other: the decoder has the
# encoder's sizes.) Is our count right? PyTorch has a counter of its own, which
# watches the operations as they run. It counts a multiplication and an
# addition as two.

# %%
# NBVAL_CHECK_OUTPUT
from torch.utils.flop_counter import FlopCounterMode

with FlopCounterMode(display=False) as counter, torch.no_grad():
    mine(test.unit()[:1])
matrices = [row for row in rows if row[0].startswith("Linear")]
held = sum(row[2] for row in matrices) / total
done = 1 - sum(row[3] for row in matrices) / total_work
claim(
    "our multiplications, twice, are the operations PyTorch counts",
    2 * total_work, "~", counter.get_total_flops(), tol=0,
)  # fmt: skip
claim("the two matrices hold over 95 % of the parameters", held, ">", 0.95)
claim("the convolutions do over 70 % of the work", done, ">", 0.7)

# %% [markdown]
# A weight of a matrix works once per image, a weight of a convolution 64 or
# 256 times. So each number of the code costs 8,193 parameters and hardly any
# time, while the convolutions are nearly free to store and dear to run. If you
# want a smaller file, look at the bottleneck; if you want a faster network,
# look at the convolutions.
#
# ## A transposed convolution by hand
#
# One layer is still unexplained. Take the smallest example: 8 numbers, a
# kernel of 4, stride 2, padding 1. A convolution is linear, so it is a matrix
# $C$, and you can read that matrix off by feeding in unit vectors.

# %%
import torch.nn.functional as F

kernel = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 4)


def convolve(x):  # (B, 8) -> (B, 4)
    return F.conv1d(x[:, None], kernel, stride=2, padding=1)[:, 0]


C = convolve(torch.eye(8)).T  # (4, 8)


# %%
@styled
def numbers(panels, size, shape, limits, cmap="Blues"):
    """Show matrices, a dict from title to (H, W), with their numbers."""
    figure = picture(*size)
    every = figure.subplots(*shape).flat
    for axes, (title, values) in zip(every, panels.items()):
        axes.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1])
        for i, row in enumerate(values.tolist()):
            for j, v in enumerate(row):
                axes.text(j, i, f"{v:.2g}", size=8, ha="center", va="center")
        axes.set(title=title, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.grid(False)
    return figure


# %% [markdown]
# Rows of $C$ are outputs, columns are inputs. Each row holds the kernel, two
# steps further right than the row above; at the ends the padding cuts it off.
# The *transposed* convolution is the transposed matrix: it turns 4 numbers
# into 8. **Guess:** if you convolve and then apply the transposed convolution,
# that is, multiply by $C^T C$, do you get back what you had?

# %%
panels = {
    "C, convolution": C,
    "Cᵀ, transposed convolution": C.T,
    "CᵀC, one after the other": C.T @ C,
}
numbers(panels, (9, 2.9), (1, 3), limits=(0, 24))

# %% [markdown]
# If it did, the third matrix would be the identity: ones on the diagonal and
# zeros beside it. It is nothing of the sort. Transposing a matrix turns its
# *shape* around, and does not undo it. Read $C^T$ by columns instead: column
# $j$ is what the $j$-th input adds to the output, a copy of the kernel, two
# steps below its neighbour. Inputs *stamp* the kernel onto the output, and
# where stamps overlap they add up. In two dimensions:


# %%
def conv_transpose(y, weight, stride, padding):
    """Stamp weight (C, D, k, k) for each number of y (B, C, h, w)."""
    batch, _, h, w = y.shape
    _, depth, k, _ = weight.shape
    height, width = (h - 1) * stride + k, (w - 1) * stride + k
    out = torch.zeros(batch, depth, height, width)
    for i in range(h):
        for j in range(w):
            stamp = torch.einsum("bc,cdkl->bdkl", y[:, :, i, j], weight)
            top, left = i * stride, j * stride
            out[:, :, top : top + k, left : left + k] += stamp
    p = padding  # cut off at each side
    return out[:, :, p : height - p, p : width - p]


# %%
# NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
layer = nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False)
y = torch.rand(2, 64, 8, 8)
by_hand = conv_transpose(y, layer.weight, stride=2, padding=1)
claim(
    "stamping gives what nn.ConvTranspose2d gives",
    (by_hand - layer(y)).abs().max(),
    "<",
    1e-4,
)

# %%
# NBVAL_CHECK_OUTPUT
y = torch.rand(5, 4)
by_matrix = F.conv_transpose1d(y[:, None], kernel, stride=2, padding=1)[:, 0]
claim(
    "multiplying with the transposed matrix is a transposed convolution",
    (y @ C - by_matrix).abs().max(),
    "<",
    1e-4,
)
_, backward = torch.func.vjp(convolve, torch.rand(5, 8))
claim(
    "and it is what backpropagation does at a convolution",
    (y @ C - backward(y)[0]).abs().max(),
    "<",
    1e-4,
)

# %% [markdown]
# ## Not an inverse
#
# You may read that the decoder *reverses* the encoder by transposed
# convolutions, or that these are "deconvolutions". Take the claim literally
# and test it on the trained network. Its first convolution makes 8,192 numbers
# of 3,072, so nothing need be lost. We apply it, and then its own transpose,
# at the scale that suits it best. Beside it stands the true inverse, found by
# solving $C^T C\,x = C^T y$.

# %%
weight = model.encoder.stack[0].weight.detach().double()
x = test.unit()[:8].double()


def down(x):
    return F.conv2d(x, weight, stride=2, padding=1)


def up(y):
    return F.conv_transpose2d(y, weight, stride=2, padding=1)


# %%
back = up(down(x))
back *= (x * back).sum() / back.square().sum()
unit_images = torch.eye(3 * 32 * 32).double().view(-1, 3, 32, 32)
gram = up(down(unit_images)).flatten(1)  # CᵀC: (3072, 3072)
inverse = torch.linalg.solve(gram, up(down(x)).flatten(1).T).T.view(x.shape)

# %% [markdown]
# Which of the two rows gives the images back?

# %%
answers = {"its transpose": back.float(), "its inverse": inverse.float()}
plots.compare(x.float(), answers, n=6, source=test.source)

# %% [markdown]
# The inverse does, up to rounding. The transpose leaves dark images under a
# grid. So no decoder reverses its encoder by the kind of its layers. It is a
# second network with weights of its own, and it *learns* to undo the first, as
# well as 200 numbers allow.

# %%
# NBVAL_CHECK_OUTPUT
from ae_lib.metrics import mse

variance = (x - test.unit().mean(0)).square().mean()
claim(
    "the transpose is worse than answering with the mean image",
    mse(x.float(), back.float()) / variance,
    ">",
    1,
)
claim(
    "the true inverse of the first convolution misses nothing",
    mse(x.float(), inverse.float()) / variance,
    "<",
    1e-6,
)

# %% [markdown]
# ## Output sizes
#
# Solve the size formula of the convolution for $H$:
#
# $$H = (H' - 1)\,s - 2p + k + \text{output padding}$$
#
# The last term is there because rounding down forgets. Before you run the
# cell: which sizes come back as they were?

# %%
for h, k in (31, 3), (32, 3), (32, 4), (33, 4):
    kernel = torch.ones(1, 1, k)
    y = F.conv1d(torch.ones(1, 1, h), kernel, stride=2, padding=1)
    again = F.conv_transpose1d(y, kernel, stride=2, padding=1)
    print(f"kernel {k}: {h} -> {y.shape[-1]} -> {again.shape[-1]}")

# %% [markdown]
# With kernel 3, both 31 and 32 become 16, and 16 becomes 31 again. To get 32
# you say `output_padding=1`. Despite its name it pads nothing with zeros: it
# cuts one row and one column less off the stamped picture. With kernel 4, even
# sizes come back by themselves, which is one reason for the course's choice.

# %%
# NBVAL_CHECK_OUTPUT
import itertools

right, tried = 0, 0
for h, k, s, p in itertools.product((5, 8), (1, 2, 3, 4), (1, 2, 3), (0, 1)):
    for more in range(s):  # output_padding must be less than the stride
        layer = nn.ConvTranspose1d(1, 1, k, s, p, output_padding=more)
        expected = (h - 1) * s - 2 * p + k + more
        right += layer(torch.ones(1, 1, h)).shape[-1] == expected
        tried += 1
claim("the formula gives every size right", right, "~", tried, tol=0)

# %%
# NBVAL_CHECK_OUTPUT
y, ones = torch.ones(1, 1, 16), torch.ones(1, 1, 3)
less = F.conv_transpose1d(y, ones, stride=2, padding=1)[0, 0]
more = F.conv_transpose1d(y, ones, stride=2, padding=1, output_padding=1)[0, 0]
claim(
    "output_padding=1 leaves the other numbers as they are",
    (more[:-1] - less).abs().max(),
    "<",
    1e-6,
)
claim("the number it adds is a stamped one, not 0", more[-1], ">", 0.5)

# %% [markdown]
# ## Checkerboards
#
# Where did the grid in the second row of pictures come from? Count the stamps
# that reach each pixel. With kernel 3 and stride 2 some pixels get one, some
# two, some four. Odena, Dumoulin and Olah (2016) traced the checkerboards of
# many generated images to this uneven overlap, and named two remedies: a
# kernel size that the stride divides, or to enlarge first and then convolve.


# %%
def three(inputs, outputs):
    return nn.ConvTranspose2d(
        inputs, outputs, 3, stride=2, padding=1, output_padding=1
    )


def four(inputs, outputs):
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


# %%
def resize(inputs, outputs):
    return nn.Sequential(
        nn.Upsample(scale_factor=2),  # each pixel becomes 2×2 equal ones
        nn.Conv2d(inputs, outputs, 3, padding=1),
    )


WAYS = {"3×3": three, "4×4": four, "resize, 3×3": resize}

# %% [markdown]
# Feed each of them a constant image, without biases, and look at a part of the
# output that is far from the border.


# %%
def answer(way, random):
    torch.manual_seed(1)
    layer = way(1, 1)
    for parameter in layer.parameters():
        if parameter.ndim == 1:
            nn.init.zeros_(parameter)  # the bias
        elif not random:
            nn.init.ones_(parameter)
    return layer(torch.ones(1, 1, 8, 8)).detach()[0, 0, 5:11, 5:11]


# %% [markdown]
# First with all weights 1, which counts the stamps. Then with random weights.
# **Guess:** the 4×4 kernel has an even overlap. Will its output be even with
# random weights too?

# %%
counts = {f"{name}: all ones": answer(WAYS[name], False) for name in WAYS}
numbers(counts, (9, 3.1), (1, 3), limits=(0, 16))

# %% [markdown]
# So far the theory holds: uneven for 3×3, even for the two remedies. Counting
# takes no weights, only whole numbers. Here is one axis of four layers: input
# above, output below, a line for each weight that joins two pixels, and in
# each square the number of its lines. In two dimensions the counts multiply;
# they stand at the right.
#
# **Look at** the first drawing turned upside down: is it one of the others?
# And **guess** what a kernel of 2 does with a stride of 3.

# %%
from ae_lib.windows import Window

up = {"transposed": True}
LAYERS = {
    "convolution 4, stride 2": Window(8, 4, stride=2, padding=1),
    "transposed 4, stride 2": Window(4, 4, stride=2, padding=1, **up),
    "transposed 3, stride 2": Window(4, 3, 2, 1, output_padding=1, **up),
    "transposed 2, stride 3": Window(4, 2, stride=3, **up),
}
plots.windows(LAYERS)

# %% [markdown]
# The second is the first upside down: it joins the same pixels, the other way
# round. So a convolution has an overlap, too. Backpropagation stamps gradients
# on its input, and with kernel 3 and stride 2 it stamps them unevenly. A
# kernel smaller than the stride leaves holes, which only the bias reaches.
#
# Now turn the numbers yourself, with the mouse, or with Tab and the arrow
# keys. Find an even overlap with stride 3; a convolution whose way back needs
# `output_padding=2`; and a layer out of which nothing comes.

# %%
from ae_lib.explore import explore_windows

explore_windows()

# %% [markdown]
# The answers: any kernel that 3 divides; a stride of 3 or 4, for instance 16
# pixels, kernel 2, padding 0; and a kernel that the padded input cannot hold,
# or a transposed one whose output the padding cuts away. The sliders never
# mention a weight. Now come the weights that a network starts with.

# %%
noise = {f"{name}: random": answer(WAYS[name], True) for name in WAYS}
numbers(noise, (9, 3.1), (1, 3), limits=(-1, 1), cmap="PuOr_r")

# %% [markdown]
# The 4×4 kernel has a checkerboard as well. Each output pixel is reached by
# four of its sixteen weights, and the four kinds of pixel by four *different*
# fours. The count is equal, the sums are not. Only in the third way does every
# pixel see the same nine weights. What equal counts do equalise is the spread:
# over many random kernels, no kind of pixel is louder than another.

# %%
loud, uneven = {}, {}
for name, way in WAYS.items():
    torch.manual_seed(0)  # 5,000 kernels, 4 kinds of pixel: (5000, 2, 2)
    y = way(1, 5_000)(torch.ones(1, 1, 4, 4)).detach()[0, :, 3:5, 3:5]
    loud[name] = y.std(0).max() / y.std(0).min()
    uneven[name] = (y - y.mean((1, 2), keepdim=True)).std() / y.std()

# %%
# NBVAL_CHECK_OUTPUT
for name in "3×3", "4×4":
    claim(
        f"{name} at random: over 30 % of the output is checkerboard",
        uneven[name],
        ">",
        0.3,
    )
claim(
    "resize, then convolve: constant in, constant out",
    uneven["resize, 3×3"],
    "<",
    1e-4,
)
claim("3×3: some kinds of pixel are louder than others", loud["3×3"], ">", 1.2)
claim("4×4: all kinds of pixel are equally loud", loud["4×4"], "<", 1.1)

# %% [markdown]
# ## Does training remove it?
#
# A checkerboard alternates at every pixel: light, dark, light, dark. That is
# the fastest wave a pixel grid can hold, the *Nyquist frequency*, 16 cycles in
# 32 pixels. Photographs have a smooth spectrum there. So compare the power of
# this wave with that of its three slower neighbours: about 1 for images, far
# more for a checkerboard.


# %%
def spectrum(x):
    """Average the power of the waves in x (B, C, H, W): (H, W)."""
    x = x - x.mean((2, 3), keepdim=True)
    return torch.fft.fft2(x).abs().square().mean((0, 1))


# %%
def peak(x):
    """Compare the power at Nyquist with that of the three waves below it."""
    power, n = spectrum(x), x.shape[-1] // 2  # (32, 32), 16
    at = power[n, 0] + power[0, n] + power[n, n]  # in rows, columns, both
    near = slice(n - 3, n)
    below = power[near, 0].mean() + power[0, near].mean()
    return (at / (below + power[near, near].mean())).item()


print(f"the test images themselves: {peak(test.unit()):.2f}")

# %% [markdown]
# Now the trial: the whole network, with each way of enlarging, on the same
# data from the same three seeds. (With 64 numbers in its code instead of 200
# it trains twice as fast, and the convolutions stay as they are.) The loss
# function sees every output of the training, so it can take the measurement.

# %%
from ae_lib.metrics import reconstruct


def trial(seed, way=four, last=nn.Sigmoid):
    """Train a network; return peak and error at each step, and test output."""
    torch.manual_seed(seed)
    network = ConvAutoencoder(latent_dim=64)
    stack = network.decoder.stack
    stack[4], stack[7], stack[8] = way(64, 32), way(32, 3), last()
    peaks, errors = [], []

    def loss(x_hat, x):
        error = F.mse_loss(x_hat, x)
        peaks.append(peak(x_hat.detach()))
        errors.append(error.item())
        return error

    options = {"batch_size": 64, "seed": seed, "verbose": False}
    fit(network, train, epochs=1, loss=loss, **options)
    return peaks, errors, reconstruct(network, test)


# %%
by_way = {name: [trial(s, way=WAYS[name]) for s in range(3)] for name in WAYS}

# %% [markdown]
# **Guess:** which curves start high? Which are still high at the end?

# %%
peaks = {name: [run[0] for run in runs] for name, runs in by_way.items()}
steps = range(1, len(peaks["resize, 3×3"][0]) + 1)
peaks["the images"] = [[peak(test.unit())] * len(steps)] * 3
plots.line_with_spread(
    steps,
    peaks,
    "training step",
    "peak at Nyquist",
    ylog=True,
    source=train.source,
)

# %% [markdown]
# Both kernels start with a peak many times that of the images, and the even
# overlap of the 4×4 has not made it lower. Then training wears it down, after
# a first rise for the 3×3. Nobody told the network about checkerboards; but a
# checkerboard is an error, and the gradient removes errors. After this short
# run both still stand well above the images, the 3×3 highest. The third way
# never had a peak.

# %%
import numpy as np

start = {name: np.mean([p[0] for p in peaks[name]]) for name in peaks}
end = {name: np.mean([p[-10:] for p in peaks[name]]) for name in peaks}
normal = start["the images"]
start = {name: value / normal for name, value in start.items()}
end = {name: value / normal for name, value in end.items()}

# %%
# NBVAL_CHECK_OUTPUT
first, last = start["resize, 3×3"], end["resize, 3×3"]
worn = max(end[name] / start[name] for name in ("3×3", "4×4"))
claim(
    "untrained 3×3: a peak over five times the images'", start["3×3"], ">", 5
)
claim("untrained 4×4, with even overlap: as well", start["4×4"], ">", 5)
claim("resized: no peak before training", first, "<", 2)
claim("and none after", last, "<", 2)
claim("training alone wears both peaks to under a third", worn, "<", 1 / 3)
if pick(quick=True, full=False):
    left = min(end["3×3"], end["4×4"])
    claim("in the quick budget both are still there", left, ">", 2)

# %% [markdown]
# Can you see it? Look for a weave in the smooth parts of the pictures, and
# compare the colours of the three rows.

# %%
pictures = {name: by_way[name][0][2] for name in WAYS}
plots.compare(test, pictures, source=test.source)

# %% [markdown]
# In the quick budget both transposed convolutions weave a fabric over the
# smooth parts and are nearly grey; the third way is smooth, has found colour,
# and has the smallest error. It is not free: nine multiplications for each
# output where the 4×4 kernel needs four.
#
# Is the missing checkerboard the whole reason? The third way differs in one
# more thing: its first outputs are quieter, which helps by itself, as the next
# section shows. So shrink the first weights of the last 4×4 layer until it is
# just as quiet, and train again.


# %%
@torch.no_grad()
def loudness(way):
    """Return the deviation of what an untrained last layer puts out."""
    torch.manual_seed(0)
    network = ConvAutoencoder(latent_dim=64)
    stack = network.decoder.stack
    stack[4], stack[7] = way(64, 32), way(32, 3)
    return stack[:8](network.encode(test.unit()[:64])).std()


softer = loudness(resize) / loudness(four)


def quiet(inputs, outputs):
    layer = four(inputs, outputs)
    if outputs == 3:  # the last layer
        for parameter in layer.parameters():
            parameter.data *= softer
    return layer


# %%
runs = {**by_way, "quiet": [trial(s, way=quiet) for s in range(3)]}
plain, resized, calm = (
    np.mean([mse(test, x_hat) for *_, x_hat in runs[name]])
    for name in ("4×4", "resize, 3×3", "quiet")
)
share = (plain - calm) / (plain - resized)
print(f"the quiet start closes {share:.0%} of the gap to the third way")

# %%
# NBVAL_CHECK_OUTPUT
if pick(quick=True, full=False):  # a long training forgets its start
    claim("a quiet start makes the 4×4 better", calm / plain, "<", 0.97)
    claim("resizing is better still", resized / calm, "<", 0.95)

# %% [markdown]
# About a third of its lead was the quiet start; the rest is its own. The
# advice was given for networks that invent images and find it hard to unlearn
# the pattern. Here resizing keeps most of its promise; the even kernel size
# only equalises how loud the pixels start, and the training, which is told
# every pixel, does the rest.
#
# ## The last activation
#
# The last layer decides which numbers a network can say at all: a sigmoid says
# 0 to 1, tanh −1 to 1, ReLU 0 and more, a linear output anything. If your data
# leave that range, training cannot help: the best answer left is the nearest
# number in range. So the smallest possible error needs no network, only
# clipping. **Guess:** you scale the images to [−1, 1] and leave the sigmoid
# in. What share of the variance can it still explain?

# %%
inf = float("inf")
RANGES = {
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "ReLU": (0, inf),
    "linear": (-inf, inf),
}
x = test.unit()
SCALED = {
    "[0, 1]": x,
    "[-1, 1]": 2 * x - 1,
    "mean 0, variance 1": (x - x.mean()) / x.std(),
}


# %%
def best_r2(target, low, high):
    """Return the largest share of the variance that the range allows."""
    variance = (target - target.mean(0)).square().mean()
    return 1 - (target - target.clamp(low, high)).square().mean() / variance


# %%
print(" " * 20 + "".join(f"{name:>9}" for name in RANGES))
for name, target in SCALED.items():
    best = [best_r2(target, *limits) for limits in RANGES.values()]
    print(f"{name:20}" + "".join(f"{r2:9.2f}" for r2 in best))

# %% [markdown]
# The first row is all ones: on [0, 1] any of the four will do. In the second,
# sigmoid and ReLU have lost everything below 0, the darker half of the grey
# scale, and with it more than half of the variance. How does that look?
# Picture it before you run the cell: the best image of a sigmoid, for data in
# [−1, 1].

# %%
best = {"best of a sigmoid": (SCALED["[-1, 1]"].clamp(0, 1) + 1) / 2}
plots.compare(x, best, source=test.source)

# %% [markdown]
# Every shadow is one flat grey. No error is raised; the loss falls and then
# stays where it is, as if training were stuck. It is not stuck, it has
# arrived. The third row of the table is a quieter trap: of standardised
# images, tanh can say only those within one standard deviation of the mean.
# How many pixels lie beyond? Not a few.

# %%
# NBVAL_CHECK_OUTPUT
within = best_r2(SCALED["[0, 1]"], 0, 1)
shifted = best_r2(SCALED["[-1, 1]"], 0, 1)
standard = SCALED["mean 0, variance 1"]
beyond = (standard.abs() > 1).float().mean()
claim("on [0, 1] a sigmoid can reach every image", within, ">=", 1)
claim("on [-1, 1] it cannot explain half the variance", shifted, "<", 0.5)
claim("over a quarter of standardised pixels lie beyond", beyond, ">", 0.25)
claim("so tanh cannot reach them", best_r2(standard, -1, 1), "<", 0.97)

# %% [markdown]
# ## Four that can, compared
#
# On [0, 1] all four outputs can reach every pixel. The network with 4×4
# kernels and a sigmoid is trained already; here are the other three, from the
# same three initialisations.

# %%
LAST = {"linear": nn.Identity, "tanh": nn.Tanh, "ReLU": nn.ReLU}
by_last = {"sigmoid": by_way["4×4"]}
for name, last in LAST.items():
    by_last[name] = [trial(s, last=last) for s in range(3)]
error = {
    name: [mse(test, x_hat) for *_, x_hat in runs]
    for name, runs in by_last.items()
}

# %% [markdown]
# **Guess:** will they have the same error? If not, which is best: the one
# whose range fits, the one without limits, or one of those between?

# %%
plots.bars(error, "MSE of the test images", source=train.source)

# %% [markdown]
# The sigmoid is clearly best. tanh, which has limits as well, is about as bad
# as no activation at all; ReLU lies between.
#
# Why? The common answer is the range: a sigmoid wastes nothing on impossible
# pixels. That can be tested, for clipping the linear output to [0, 1] gives it
# the same advantage at no cost. Another answer is the beginning. Near 0 the
# sigmoid is the straight line $\frac12 + \frac a4$: untrained, it says middle
# grey, with a quarter of the noise. So here is a linear output that begins the
# same way.


# %%
class Tangent(nn.Module):
    """The straight line that touches the sigmoid at 0."""

    def forward(self, a):
        return 0.5 + a / 4


# %%
by_last["tangent"] = [trial(s, last=Tangent) for s in range(3)]
error["tangent"] = [mse(test, x_hat) for *_, x_hat in by_last["tangent"]]
error["linear, clipped"] = [
    mse(test, x_hat.clamp(0, 1)) for *_, x_hat in by_last["linear"]
]
for name, values in error.items():
    first = [run[1][0] for run in by_last.get(name, [])]
    first = f"   at the first step {np.mean(first):.3f}" if first else ""
    print(f"{name:16} MSE {np.mean(values):.5f}{first}")

# %%
# NBVAL_CHECK_OUTPUT
sigmoid, linear, clipped, tangent = (
    np.mean(error[name])
    for name in ["sigmoid", "linear", "linear, clipped", "tangent"]
)
gap = linear - sigmoid
by_clipping, by_start = (linear - clipped) / gap, (linear - tangent) / gap
claim("a sigmoid ends below a linear output", sigmoid / linear, "<", 0.98)
claim("clipping closes under a quarter of the gap", by_clipping, "<", 0.25)
claim("the sigmoid's start and slope over half of it", by_start, ">", 0.5)

# %% [markdown]
# Clipping does little, the tangent most of it. What helps the sigmoid
# is not its range but where it starts and how gently: at the mean of the data,
# with little noise. The rule to take along has two parts: the range must
# *contain* the data, or nothing helps; and the first output should be near
# their mean *and vary little around it*. One without the other does not help
# (exercise 7 measures it).
#
# ## What we saw
#
# A convolutional autoencoder of 1.7 million parameters fits on a page. Its
# convolutions make numbers, 3,072 into 4,096, and do three quarters of the
# arithmetic; the matrix before the code does the compressing; the two beside
# it hold 96 % of the parameters. A transposed convolution stamps its kernel
# and adds up; it is the transpose of a convolution and not its inverse. An
# untrained one draws checkerboards, with even overlap or without, unless it
# resizes first; training wears them down. And the last activation must be able
# to reach the data, after which its best service is a calm start.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **Kernels of 3.** Many programs use 3×3 kernels with stride 2. Write
#    `decoder(latent_dim)` with them: a matrix, then two transposed
#    convolutions with $k=3$, $s=2$, $p=1$, and images of 32×32 at the end.


# %% tags=["exercise"]
# Exercise 04.1
from torch import nn


def decoder(latent_dim):
    """Return a network from codes (B, latent_dim) to images in [0, 1].

    The images are (B, 3, 32, 32); on the way there are maps of 8×8.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("04.1", decoder)

# %% [markdown]
# 2. **What a layer costs.** Write `cost(c_in, c_out, k, s, p, n)` for a
#    convolution on an image of $n×n$: how many parameters does it hold (with a
#    bias for each map), and how many multiplications does one image take?


# %% tags=["exercise"]
# Exercise 04.2
def cost(c_in, c_out, k, s, p, n):
    """Return (parameters, multiplications), two whole numbers."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("04.2", cost)

# %%
exercises.progress("04")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Count before you build.** Write the number of parameters as
#    $a + b \cdot$ `latent_dim`. At which `latent_dim` do the two matrices hold
#    half of them? You are right when your formula agrees with the network for
#    1, 50 and 1,000.
# 4. **Parameters that do nothing.** Add 5 to every bias of the first
#    convolution of `ConvAutoencoder()`, in training mode. Show that the output
#    stays the same, say why, and find all biases of which this is true. You
#    have them all when there are 128.
# 5. **An inverse after all.** Find 12 filters of 3×2×2 with stride 2 for which
#    the transposed convolution *is* the inverse: images come back with an
#    error below 1e-6. What must the filters, as vectors, be to each other?
# 6. **The third way, folded.** Enlarging and then convolving by 3×3 is itself
#    a transposed convolution with a 4×4 kernel. Find that kernel; you have it
#    when both layers give the same numbers. Then start `four` from such
#    kernels: is there a peak at the first step, and is the error smaller?
# 7. **Start or slope?** The tangent differs from a linear output by its start,
#    ½, and by its slope, ¼. Train with $\frac12 + a$ and with $\frac a4$. Does
#    either do the work alone? You need four errors.
# 8. **Is 2×2 to blame?** Somebody's autoencoder gives the same output for
#    every image. It has 2×2 kernels with stride 2, sigmoids between all its
#    layers, first weights drawn with standard deviation 1, and images that are
#    never shuffled. A public answer blames the kernels and advises 3×3 or 5×5.
#    Build the network with 2×2 kernels throughout and train it. Does its
#    output depend on the image? The kernels are acquitted when its error is
#    well below that of the mean image.
#
# Solutions: [solutions/04_building.ipynb](solutions/04_building.ipynb).
#
# ## Further reading
#
# - V. Dumoulin and F. Visin, [*A guide to convolution arithmetic for deep
#   learning*](https://arxiv.org/abs/1603.07285), 2016. Every size formula of
#   this chapter, with drawings.
# - A. Odena, V. Dumoulin and C. Olah, [*Deconvolution and checkerboard
#   artifacts*](https://distill.pub/2016/deconv-checkerboard/), Distill, 2016.
#   The overlap argument, with figures to play with; it says itself that even
#   overlap does not rule the pattern out.
# - A. Aitken and others, [*Checkerboard artifact free sub-pixel
#   convolution*](https://arxiv.org/abs/1707.02937), 2017. Starts the kernels
#   so that an untrained network has no checkerboard: exercise 6, in general.
# - S. Ioffe and C. Szegedy, [*Batch
#   normalization*](https://arxiv.org/abs/1502.03167), ICML 2015. The layer
#   before every GELU here.
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp*, in
#   *Neural Networks: Tricks of the Trade*, Springer, 1998. On ranges, sigmoids
#   and starting points, and still right.
