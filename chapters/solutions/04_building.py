# %% [markdown]
# # 04 · Building a convolutional autoencoder: solutions
#
# Try the exercises first. Each solution ends in a claim, so that you can see
# what was to be found.

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
# The images are those of the chapter, fewer of them, and one seed instead of
# three: enough to answer the questions, not to publish the answers.

# %%
import torch.nn.functional as F
from torch import nn

from ae_lib.baselines import MeanImage
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

train = data.load("cifar10", limit=pick(quick=2_000, full=40_000))
test = data.load("cifar10", "test", limit=1_000)


def train_and_test(network, loss=F.mse_loss):
    """Return the reconstructions of the test images after one epoch."""
    fit(network, train, epochs=1, batch_size=64, loss=loss, verbose=False)
    return reconstruct(network, test)


# %% [markdown]
# ## Exercise 1
#
# A convolution with $k=3$, $s=2$, $p=1$ makes 8 rows of 16 and also of 15. On
# the way back somebody has to say which: `output_padding`. With $k=4$, as in
# the chapter, the question does not come up.


# %% tags=["exercise"]
# Exercise 04.1
from torch import nn


def decoder(latent_dim):
    """Return a network from codes (B, latent_dim) to images in [0, 1].

    The images are (B, 3, 32, 32); on the way there are maps of 8×8.
    """
    # --- solution
    double = {"kernel_size": 3, "stride": 2, "padding": 1}
    double |= {"output_padding": 1}  # or 8 becomes 15, and not 16
    return nn.Sequential(
        nn.Linear(latent_dim, 4096),
        nn.Unflatten(1, (64, 8, 8)),  # (B, 64, 8, 8)
        nn.GELU(),
        nn.ConvTranspose2d(64, 32, **double),  # (B, 32, 16, 16)
        nn.GELU(),
        nn.ConvTranspose2d(32, 3, **double),  # (B, 3, 32, 32)
        nn.Sigmoid(),
    )
    # --- end


# %%
from ae_lib import exercises

exercises.check("04.1", decoder)

# %% [markdown]
# ## Exercise 2
#
# Parameters do not know the image, multiplications do. For the chapter's first
# layer this gives the numbers of its table.


# %% tags=["exercise"]
# Exercise 04.2
def cost(c_in, c_out, k, s, p, n):
    """Return (parameters, multiplications), two whole numbers."""
    # --- solution
    weights = c_out * c_in * k * k
    m = (n + 2 * p - k) // s + 1  # outputs in each row and each column
    return weights + c_out, weights * m * m
    # --- end


# %%
from ae_lib import exercises

exercises.check("04.2", cost)

# %% [markdown]
# ## Exercise 3
#
# The bottleneck has 4,096 weights and one bias for each number of the code;
# the first layer of the decoder has 4,096 more weights for it. Its own 4,096
# biases do not depend on the code. So $b = 4096 + 1 + 4096 = 8193$, and $a$ is
# what is left of the 1,711,819 parameters at 200.


# %%
def parameters(module):
    return sum(p.numel() for p in module.parameters())


b = 4096 + 1 + 4096
a = 1_711_819 - 200 * b
half = next(k for k in range(1, 1000) if k * b + 4096 >= (a + k * b) / 2)
print(f"{a:,} + {b:,} · latent_dim; the matrices hold half from {half} on")

# %%
# NBVAL_CHECK_OUTPUT
counts = {k: parameters(ConvAutoencoder(k)) for k in (1, 50, 1000)}
wrong = sum(count != a + b * k for k, count in counts.items())
claim("the formula is right", 3 - wrong, "~", 3, tol=0, note="times of 3")
claim("the matrices hold half of the parameters from", half, "~", 8, tol=0)

# %% [markdown]
# ## Exercise 4
#
# Batch normalisation subtracts the mean of each channel. Whatever the
# convolution before it adds to a whole channel is subtracted again. This is so
# for the three convolutions that a batch normalisation follows: 32 + 64 + 32
# biases. The 4,096 biases of the decoder's matrix are only partly idle: one
# number for each of 64 channels is taken away, the differences inside a
# channel are not.

# %%
# NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
network, x = ConvAutoencoder(), test.unit()[:64]
down, up = network.encoder.stack, network.decoder.stack
idle = [down[0].bias, down[3].bias, up[4].bias]
with torch.no_grad():
    before = network(x)
    for bias in idle:
        bias += 5
    change = (network(x) - before).abs().max()
    up[0].bias += torch.randn(4096)
    change_too = (network(x) - before).abs().max()
claim("adding 5 to these biases changes no pixel", change, "<", 1e-3)
claim("idle biases in all", sum(map(len, idle)), "~", 128, tol=0)
claim("the biases of the decoder's matrix do count", change_too, ">", 0.01)

# %% [markdown]
# ## Exercise 5
#
# With kernel 2 and stride 2 the patches do not overlap: the convolution
# multiplies each patch of 3·2·2 = 12 numbers by a 12×12 matrix, and the
# transposed convolution by its transpose. The two undo each other when that
# matrix is *orthogonal*: filters of length 1, at right angles to each other.
# Any orthogonal matrix will do; the QR decomposition makes one of noise.

# %%
# NBVAL_CHECK_OUTPUT
generator = torch.Generator().manual_seed(0)
q, _ = torch.linalg.qr(torch.randn(12, 12, generator=generator))
filters = q.view(12, 3, 2, 2)
x = test.unit()
y = F.conv2d(x, filters, stride=2)  # (1000, 12, 16, 16): 3,072 numbers
again = F.conv_transpose2d(y, filters, stride=2)  # (1000, 3, 32, 32)
error = mse(x, again)
claim("orthogonal filters: the transpose is the inverse", error, "<", 1e-6)

# %% [markdown]
# PCA decodes with the transpose of its matrix for the same reason: its
# components are orthonormal.
#
# ## Exercise 6
#
# Enlarging by repetition is a transposed convolution with a 2×2 kernel of
# ones. A 3×3 convolution after it smears each of these four ones over 3×3
# pixels, so one input reaches 4×4 outputs. The kernel that it stamps is the
# 3×3 kernel, turned by 180°, convolved with the four ones.


# %%
def fold(weight):
    """Turn the weight (D, C, 3, 3) of a convolution into (C, D, 4, 4)."""
    outputs, inputs = weight.shape[:2]
    turned = weight.flip(2, 3).transpose(0, 1).reshape(-1, 1, 3, 3)
    kernel = F.conv2d(turned, torch.ones(1, 1, 2, 2), padding=1)
    return kernel.view(inputs, outputs, 4, 4)


# %%
# NBVAL_CHECK_OUTPUT
torch.manual_seed(0)
resize = nn.Sequential(
    nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1, bias=False)
)
y = torch.rand(2, 64, 8, 8)
folded = F.conv_transpose2d(y, fold(resize[1].weight), stride=2, padding=1)
apart = (folded - resize(y)).abs().max()
claim("resize and 3×3 folded into one layer", apart, "<", 1e-4)

# %% [markdown]
# The layer stays a free 4×4 transposed convolution, with its four
# multiplications for each output. Only its first weights are folded ones.


# %%
def peak(x):
    """Compare the power at Nyquist with the three waves below it."""
    x = x - x.mean((2, 3), keepdim=True)
    power = torch.fft.fft2(x).abs().square().mean((0, 1))
    n, near = 16, slice(13, 16)
    below = power[near, 0].mean() + power[0, near].mean()
    at = power[n, 0] + power[0, n] + power[n, n]
    return (at / (below + power[near, near].mean())).item()


def trial(start_folded):
    """Return the peak at each step of the training, and the final error."""
    torch.manual_seed(1)
    network = ConvAutoencoder(latent_dim=64)
    for at in (4, 7):
        layer = network.decoder.stack[at]
        if start_folded:
            thin = nn.Conv2d(layer.in_channels, layer.out_channels, 3)
            layer.weight.data.copy_(fold(thin.weight.data))
    peaks = []

    def loss(x_hat, x):
        peaks.append(peak(x_hat.detach()))
        return F.mse_loss(x_hat, x)

    return peaks, mse(test, train_and_test(network, loss))


# %% [markdown]
# Compare where the two curves begin, and where they end.

# %%
plain, folded = trial(False), trial(True)
plots.line_with_spread(
    range(1, len(plain[0]) + 1),
    {"plain start": plain[0], "folded start": folded[0]},
    "training step", "peak at Nyquist", ylog=True, source=train.source,
)  # fmt: skip

# %% [markdown]
# The plain start begins high and comes down. The folded start has no peak, is
# free to grow one, and does not.

# %%
# NBVAL_CHECK_OUTPUT
claim("no peak at the start, and none later", max(folded[0]), "<", 4)
claim("the plain start has one", plain[0][0], ">", 4)
claim("the folded start gives a smaller error", folded[1] / plain[1], "<", 1)

# %% [markdown]
# The folded start costs nothing and does better. That is one seed, and the
# missing peak need not be the only reason: folded kernels also start quieter,
# which helps by itself, as the chapter's last section shows.
#
# ## Exercise 7
#
# Four networks from the same initialisation. The sigmoid is replaced by a
# line, once as it is, once shifted, once flattened, once both.


# %%
class Line(nn.Module):
    def __init__(self, start, slope):
        super().__init__()
        self.start, self.slope = start, slope

    def forward(self, a):
        return self.start + self.slope * a


errors = {}
for start, slope in (0, 1), (0.5, 1), (0, 0.25), (0.5, 0.25):
    torch.manual_seed(0)
    network = ConvAutoencoder(latent_dim=64)
    network.decoder.stack[8] = Line(start, slope)
    errors[start, slope] = mse(test, train_and_test(network))
    print(f"{start} + {slope} a: MSE {errors[start, slope]:.4f}")

# %% [markdown]
# Neither does it alone. A shift without the flatter slope leaves the noise of
# the first outputs as it is; a flatter slope without the shift has to climb to
# the mean of the images, and climbs four times as slowly. Had you tried one
# change at a time and kept what helps, you would have kept nothing.

# %%
# NBVAL_CHECK_OUTPUT
together = errors.pop((0.5, 0.25))
claim(
    "start and slope together beat the plain line and each of them alone",
    together / min(errors.values()),
    "<",
    0.98,
)

# %% [markdown]
# ## Exercise 8
#
# With 2×2 kernels and stride 2 the patches do not overlap, and no padding is
# needed. If the output did not depend on the image, its variance over images
# would be 0 and its error at best that of the mean image.

# %%
torch.manual_seed(0)
network = ConvAutoencoder(latent_dim=64)
down, up = network.encoder.stack, network.decoder.stack
down[0] = nn.Conv2d(3, 32, 2, stride=2)
down[3] = nn.Conv2d(32, 64, 2, stride=2)
up[4] = nn.ConvTranspose2d(64, 32, 2, stride=2)
up[7] = nn.ConvTranspose2d(32, 3, 2, stride=2)
x_hat = train_and_test(network)
x = test.unit()
moves = x_hat.var(0).mean() / x.var(0).mean()
mean_error = mse(test, MeanImage.fit(train)(x))
print(f"variance of the output over that of the images: {moves:.2f}")
print(f"MSE {mse(test, x_hat):.4f}, of the mean image {mean_error:.4f}")

# %%
# NBVAL_CHECK_OUTPUT
claim("with 2×2 kernels the output depends on the image", moves, ">", 0.1)
claim(
    "its error is far from that of the mean image",
    mse(test, x_hat) / mean_error,
    "<",
    0.75,
)

# %% [markdown]
# Kernels of 2×2 train. The sigmoids between all layers, the large first
# weights and the unshuffled images are left as suspects; we have acquitted
# only the kernels. Change one thing at a time, and measure.
