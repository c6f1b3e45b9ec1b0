# %% [markdown]
# # 03 · From PCA to autoencoders
#
# In chapter 00 a network with 200 numbers in its middle lost to principal
# component analysis, a method of 1901 that has no layers, no learning rate
# and no epochs. What does PCA know? And what would an autoencoder be that
# has no non-linearity: worse, better, or the same thing?
#
# **You will be able to**
#
# - write PCA in seven lines, and tell its error without reconstructing
#   anything;
# - say what an image costs: how many numbers for 90 % or 99 % of the variance;
# - show that a linear autoencoder finds the same subspace, but other axes;
# - say when a non-linear autoencoder beats PCA, and when it does not yet;
# - answer two popular sentences, about "compression" and about "importance".
#
# **Cost:** about 75 s on 2 CPU cores.

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
# ## A code of length zero
#
# Start with the cheapest reconstruction there is: answer every image with the
# mean of the training images. Its code has no numbers at all. What is its mean
# squared error? Each pixel is off by its deviation from its own mean, so the
# squared error of a pixel, averaged over the images, is the *variance* of
# that pixel.

# %%
from ae_lib.metrics import mse, psnr, reconstruct

images = data.load("cifar10", "train", limit=pick(quick=8_000, full=50_000))
train, validation = data.hold_out(images, 1_000, seed=0)
x, x_val = train.unit(), validation.unit()  # (N, 3, 32, 32), in [0, 1]

mean = x.mean(dim=0)  # (3, 32, 32)
mean_error = mse(x, mean.expand_as(x))
pixel_variance = x.var(dim=0, correction=0).mean().item()
print(f"MSE of the mean image     {mean_error:.4f}")
print(f"mean variance of a pixel  {pixel_variance:.4f}")

# %% [markdown]
# The two agree. So every error in this course has a natural unit, the variance
# of the data, and
#
# $$R^2 = 1 - \frac{\text{MSE}}{\text{MSE of the mean image}}$$
#
# is the share of that variance that a reconstruction brings back: 0 for the
# mean image, 1 for a perfect copy. An MSE without its data set says nothing;
# an $R^2$ can be compared from one data set to the next.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "the mean image's MSE is the variance per pixel",
    mean_error / pixel_variance,
    "~",
    1,
    tol=1e-3,
)

# %% [markdown]
# ## PCA on the page
#
# Now allow the code $k$ numbers, and let both ways be linear: each number of
# the code is a weighted sum of the pixels, each pixel a weighted sum of the
# code. Which weights are best? Those of the $k$ directions along which the
# images vary most: the leading eigenvectors of their covariance matrix. Five
# lines find them, one line encodes, one decodes.


# %%
def principal_components(x):
    mean = x.mean(dim=0)  # (3, 32, 32)
    centred = (x - mean).flatten(1)  # (N, 3072)
    covariance = centred.T @ centred / len(x)  # (3072, 3072)
    values, vectors = torch.linalg.eigh(covariance.double())  # smallest first
    return mean, vectors.T.flip(0).float(), values.flip(0)


def project(x, mean, components):
    return (x - mean).flatten(1) @ components.T  # (N, k)


def unproject(z, mean, components):
    return (z @ components).view(-1, *mean.shape) + mean  # (N, 3, 32, 32)


# %% [markdown]
# Read the shapes: 3,072 pixels give a covariance matrix of 3,072 × 3,072, and
# `eigh` returns as many eigenvectors, each as long as an image. They are
# orthonormal. That is why the same matrix, transposed, decodes.
#
# It takes some seconds, once. Cutting to fewer components afterwards is free:
# keep the first $k$ rows.

# %%
mean, components, variances = principal_components(x)

k = 32
z = project(x, mean, components[:k])  # (N, 32)
x_hat = unproject(z, mean, components[:k])  # (N, 3, 32, 32)
error_32 = mse(x, x_hat)
print("components", tuple(components.shape), "  code", tuple(z.shape))
print(f"MSE {error_32:.4f}   R² {1 - error_32 / mean_error:.2f}")

# %% [markdown]
# 32 numbers, about one per hundred pixel values, return four fifths of the
# variance or more. From here on we use the library's `PCA`, which holds these
# same three tensors and is called like an autoencoder: `encode`, `decode`, or
# the object itself for both. A test of the course holds the page and the
# library equal.

# %%
from ae_lib.baselines import PCA

everything = PCA(mean, components, variances.float())
pca = {k: everything.truncate(k) for k in (16, 32, 200)}
print("same code:", torch.equal(pca[32].encode(x), z))

# %% [markdown]
# ## The error is what you leave out
#
# The covariance matrix has one eigenvalue per component: the variance of the
# images along it. Together they are the total variance. Keep $k$ components,
# and the squared error is exactly the rest:
#
# $$\text{MSE}(k) = \frac{1}{3072} \sum_{i > k} \lambda_i$$
#
# So the eigenvalues give the training error for every $k$ at once, and no
# image needs to be reconstructed. Check it against the one we have measured.

# %%
left_out = variances.flip(0).cumsum(0).flip(0)  # left_out[k]: without first k
predicted = left_out / 3072
print(f"k = 32: measured {error_32:.6f}, from eigenvalues {predicted[32]:.6f}")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "PCA's error on its training images is the sum of the variances left "
    "out, per pixel",
    error_32 / predicted[32],
    "~",
    1,
    tol=1e-3,
)

# %% [markdown]
# ## What does an image cost?
#
# **Guess before you run.** You have one number per image: how much of the
# variance does it explain, 3 %, 10 % or 30 %? How many do you need for 90 %,
# and how many for 99 %?

# %%
share = 1 - left_out / variances.sum()  # share[k]: explained by first k
print(f"one number explains {share[1]:.0%}")
for wanted in (0.5, 0.8, 0.9, 0.95, 0.99):
    k = int((share < wanted).sum())  # the first k that reaches it
    print(
        f"{wanted:4.0%} of the variance: {k:4d} numbers, "
        f"{psnr(predicted[k].item()):.1f} dB"
    )

# %% [markdown]
# The first number (it is close to overall brightness) explains more than a
# quarter. 90 % takes about a hundred numbers. 99 % takes five times as many or
# more. The beginning is cheap, and each further decibel costs more than the
# one before.
#
# The next figure shows the whole trade. The right-hand axis is the same error
# in decibels. Look for two things: is there a knee, a natural place to stop?
# And do new images fare worse than the training images?

# %%
ks = [1, 2, 4, 8, 16, 32, 64, 100, 200, 400, 800]
new = [mse(x_val, everything.truncate(k)(x_val)) for k in ks]
figure = plots.line_with_spread(
    ks,
    {"training images": predicted[ks], "new images": new},
    "numbers in the code, k",
    "MSE",
    xlog=True,
    ylog=True,
    source=images.source,
)
axes = figure.axes[0]
axes.legend(loc="lower left")
axes.minorticks_off()
decibel = axes.twinx()
decibel.set(ylim=[psnr(y) for y in axes.get_ylim()], ylabel="PSNR in dB")
figure

# %% [markdown]
# No knee. The curve bends smoothly from the first number to the last, so
# nothing in the data says "200"; that is a choice. New images cost more, and
# the gap grows with $k$ in proportion to the error: the later components are
# fitted to ever fainter directions, which these training images pin down less
# and less well. PCA can overfit too.
#
# Why so smooth? Plot the eigenvalues themselves, both axes logarithmic. A
# power law would be a straight line.

# %%
rank = torch.logspace(0, 3, 40).long().unique()  # 1 ... 1000
plots.line_with_spread(
    rank,
    {"variance": variances[rank - 1]},
    "component",
    "variance along it, λ",
    xlog=True,
    ylog=True,
    source=images.source,
)

# %% [markdown]
# Nearly straight over the first hundred components or so: a power law,
# with no scale at which the images "end". That is how photographs are. Their
# power falls steadily with spatial frequency, and the stand-in was drawn to do
# the same. Beyond, the fall steepens where the finest detail runs out.

# %% [markdown]
# ## What the components look like
#
# Each component is as long as an image, so we can look at it. **Before you
# run,** guess what the directions of largest variance in these images are:
# objects, parts of objects, or something else? Below the first 16 components
# we put 16 pictures that no data was needed for: products of two cosines,
# times a fixed colour. They are defined in the next cell.

# %%
i = torch.arange(32)
wave = torch.cos(torch.pi * i[:, None] * (i + 0.5) / 32)  # (32, 32)
wave = wave / wave.norm(dim=1, keepdim=True)  # row i: i half periods
colour = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]])  # grey, and two
colour = colour / colour.norm(dim=1, keepdim=True)  # opponent colours


def cosine_code(x):
    z = wave @ (x - mean) @ wave.T  # (N, 3, 32, 32), one per frequency pair
    return torch.einsum("dc,nchw->ndhw", colour, z).flatten(1)  # (N, 3072)


# %% [markdown]
# Of these 3,072 cosines take those along which the training images vary most,
# just as PCA does with its own directions. The data chooses which cosines come
# first, but not their shape. Compare the rows: what is alike, what is not?

# %%
cosine_variances = cosine_code(x).square().mean(dim=0)  # (3072,)
best = cosine_variances.argsort(descending=True)
unit = torch.eye(3072)[best[:16]].view(-1, 3, 32, 32)
cosines = wave.T @ torch.einsum("dc,ndhw->nchw", colour, unit) @ wave
both = torch.cat([components[:16].view(-1, 3, 32, 32), cosines])
plots.filters(both, columns=16, source=images.source)

# %% [markdown]
# No objects and no parts: waves. Row one (PCA) and row two (cosines) show the
# same kinds: one brightness for all, gradients up and down, side to side,
# then finer patterns, and a few in colour. The sign of a component is
# arbitrary, and components of nearly equal variance may be mixtures.
#
# The reason is a symmetry. What can stand here can about as well stand there,
# so the covariance of two pixels depends mostly on their distance; the
# eigenvectors of such a matrix are waves. JPEG builds on this: it uses fixed
# cosines in blocks of 8×8 and never needs to see the data.
#
# How much does the fixed basis lose at 200 numbers?

# %%
z = cosine_code(x_val)
cosine_error = z[:, best[200:]].square().sum().item() / x_val.numel()
pca_error = mse(x_val, pca[200](x_val))
print(f"200 cosines {cosine_error:.5f}   200 components {pca_error:.5f}")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "200 fixed cosines lose at most half as much again as PCA's 200",
    cosine_error / pca_error,
    "<",
    1.5,
)

# %% [markdown]
# ## An autoencoder without non-linearity
#
# Now the other side. `LinearAutoencoder` is two matrices with biases: pixels →
# code → pixels. Nobody tells it about covariances. It gets images, the squared
# error and Adam, nothing else. The loop is the usual one; chapter 05 takes it
# apart.

# %%
from ae_lib.models import LinearAutoencoder
from ae_lib.recipe import one_cycle


def train_linear(x, latent_dim=16, steps=1_100, lr=0.01, seed=0):
    torch.manual_seed(seed)
    model = LinearAutoencoder(latent_dim, x.shape[1:])
    adam = torch.optim.Adam(model.parameters(), lr)
    for step in range(steps):
        adam.param_groups[0]["lr"] = lr * one_cycle(step / steps)
        batch = x[torch.randint(len(x), (128,))]  # (128, 3, 32, 32)
        loss = (model(batch) - batch).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return model.requires_grad_(False)


# %% [markdown]
# We give it 16 numbers and *centred* images, the mean subtracted. **Guess:**
# will its error be above PCA's, below, or equal? Two matrices of 16 × 3,072
# numbers each, found by 1,100 small steps from a random start, against an
# exact solution.

# %%
linear = train_linear(x - mean)
linear_error = mse(x, linear(x - mean) + mean)
pca_error = mse(x, pca[16](x))
print(f"linear autoencoder {linear_error:.5f}   PCA {pca_error:.5f}")

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "a linear autoencoder comes within 3 % of PCA's training error",
    linear_error / pca_error,
    "<",
    1.03,
)
claim("and never below it", linear_error / pca_error, ">", 0.9999)

# %% [markdown]
# Equal, from above. This is a theorem. Among all linear encoders and
# decoders PCA is optimal (Eckart and Young, 1936), and the loss of a linear
# autoencoder has no other local minimum to be caught in: every other
# stationary point is a saddle (Baldi and Hornik, 1989). It is the rare case
# where you know what training must find, so it is also a good test for a
# training loop.
#
# ## The same subspace?
#
# Both methods paint with 16 pictures: the rows of `components`, and the
# columns of the decoder's matrix. Do these span the same 16 dimensions?
# Orthonormalise the second set to $Q$; the singular values of
# $U_{16} Q$ are the cosines of the *principal angles* between the two
# subspaces. All angles 0° would mean: the same.


# %%
def basis(model):
    return torch.linalg.qr(model.decoder[0].weight)[0]  # (3072, 16)


cosines = torch.linalg.svdvals(components[:16] @ basis(linear))  # (16,)
angles = torch.rad2deg(torch.acos(cosines.clamp(max=1)))
print("angles in degrees:", [round(a, 1) for a in angles.tolist()])
print("variances 14 to 19:", [round(v, 2) for v in variances[13:19].tolist()])

# %% [markdown]
# Nearly all angles are a few degrees or less. The last may be larger, and with
# another seed it can reach tens of degrees. That is no failure of the
# training. Look at the variances: components 16 and 17 differ by little, so
# swapping one for the other costs little, and the loss hardly insists. A
# direction is only as certain as its gap to the next.
#
# So ask component by component: which share of it lies inside the
# autoencoder's subspace? **Predict the curve** from 1 to 32. The second line
# is the same training on images whose mean was *not* subtracted.

# %%
uncentred = train_linear(x)
inside = {
    name: (components[:32] @ basis(model)).square().sum(dim=1)  # (32,)
    for name, model in {
        "centred images": linear,
        "images as they are": uncentred,
    }.items()
}
plots.line_with_spread(
    range(1, 33),
    inside,
    "component of PCA",
    "share inside the subspace",
    source=images.source,
)

# %% [markdown]
# Centred, the curve is a step: the first components are inside completely,
# those far beyond 16 not at all. Uncentred, the same number of steps has found
# the strongest directions and misses some of the weaker ones.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "PCA's first 8 directions lie in the linear autoencoder's subspace",
    inside["centred images"][:8].min(),
    ">",
    0.95,
)
claim(
    "directions 25 to 32 do not", inside["centred images"][24:].max(), "<", 0.1
)
excess = mse(x, uncentred(x)) - pca_error
claim(
    "without centring the same training ends five times as far above PCA",
    excess / (linear_error - pca_error),
    ">",
    5,
)

# %% [markdown]
# ### Why centring matters
#
# The uncentred network *could* do as well: it has biases. The decoder's bias
# can become the mean $\mu$, and the encoder's bias can become $-W\mu$, which
# subtracts it. But it must learn this first. Seen from the origin the cloud of
# images lies far away in one direction, and that direction dominates every
# gradient. Compare the sizes.

# %%
print(f"squared length of the mean image  {mean.square().sum():7.1f}")
print(f"largest variance                  {variances[0]:7.1f}")
print(f"16th variance                     {variances[15]:7.1f}")

# %% [markdown]
# The mean is hundreds of times larger than the variance along the sixteenth
# direction, which the training is supposed to find. And if there were no
# biases at all? Exercise 5 asks what that costs.
#
# ## Other axes
#
# The subspace agrees. Does the *code*? Encode the training images with both,
# and correlate each number of the code with each other. What do you expect for
# PCA? And for the autoencoder?

# %%
import matplotlib.pyplot as plt

codes = {
    "PCA": pca[16].encode(x),
    "linear autoencoder": linear.encode(x - mean),
}
figure, panels = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
figure.supxlabel(images.source, x=0.99, ha="right", fontsize=8)
scale = plt.cm.ScalarMappable(plt.Normalize(-1, 1), "PuOr")
figure.colorbar(scale, ax=panels, label="correlation")
for axes, (name, z) in zip(panels, codes.items()):
    axes.imshow(torch.corrcoef(z.T), cmap="PuOr", vmin=-1, vmax=1)
    axes.set(title=name, xlabel="number of the code")

# %% [markdown]
# PCA's code is uncorrelated by construction, and ordered: number 1 carries the
# most. The autoencoder's numbers are mixtures, correlated with each other, in
# no order. Nothing in the loss asks for more. Take any invertible matrix $M$,
# encode to $zM$, decode from $zM$ with $M^{-1}$ first: same image, same loss,
# other code.

# %%
random = torch.Generator().manual_seed(0)
M = torch.randn(16, 16, generator=random)
mixed = pca[16].encode(x_val) @ M  # (1000, 16), another code
x_hat = pca[16].decode(mixed @ torch.linalg.inv(M))
change = (x_hat - pca[16](x_val)).abs().max().item()


def largest_correlation(z):
    return (torch.corrcoef(z.T) - torch.eye(z.shape[1])).abs().max()


# %%
# NBVAL_CHECK_OUTPUT
claim(
    "a code mixed by any invertible matrix gives the same images",
    change,
    "<",
    1e-3,
)
claim(
    "numbers of PCA's code are uncorrelated",
    largest_correlation(codes["PCA"]),
    "<",
    0.01,
)
claim(
    "some numbers of the autoencoder's code are correlated",
    largest_correlation(codes["linear autoencoder"]),
    ">",
    0.1,
)

# %% [markdown]
# This holds for the networks of this course too, whose code has a plain matrix
# on both sides. Remember it when someone explains what "the third number of
# the code" means. Of an autoencoder trained on the reconstruction alone,
# single numbers have no meaning that the training defines; the space they span
# together has. Chapter 06 returns to it.
#
# ## Encoder, bottleneck, decoder
#
# You now have all three parts of an autoencoder in hand, in their simplest
# form. The convolutional network replaces the two outer ones.
#
# | part | PCA | our network | its job |
# |---|---|---|---|
# | encoder | subtract the mean, 3,072 × k matrix | two convolutions, then a matrix | choose what to keep |
# | bottleneck | k numbers | `latent_dim` numbers | limit how much is kept |
# | decoder | k × 3,072 matrix, add the mean | a matrix, then two convolutions back | draw the image that is right on average |
#
# What can bent maps gain? PCA's reconstructions fill a flat sheet of $k$
# dimensions. Images need not lie near a flat one. A decoder that bends may
# follow them more closely with the same $k$. And since a non-linear network
# can act almost linearly, it should be able to do at least as well as PCA.
#
# Both sizes get a short training, the larger one fewer steps, so read each
# against its own PCA and not against the other. **Guess:** who leads with 32
# numbers, and who with 200?

# %%
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

results = {}
settings = {32: (train, 5, 32), 200: (train[:7_000], 3, 64)}
for k, (seen, epochs, batch_size) in settings.items():
    torch.manual_seed(0)
    network = ConvAutoencoder(latent_dim=k)
    fit(network, seen, epochs=epochs, batch_size=batch_size, verbose=False)
    results[f"PCA, {k} numbers"] = pca[k](x_val)
    results[f"network, {k} numbers"] = reconstruct(network, x_val)

error = {name: mse(x_val, x_hat) for name, x_hat in results.items()}
for name, value in error.items():
    print(f"{name:22} MSE {value:.5f}   {psnr(value):.2f} dB")

# %% [markdown]
# At 32 the network leads, narrowly. At 200 it is far behind. Compare the rows
# by eye. Where the errors differ little, do the images look alike?

# %%
plots.compare(x_val, results, n=8, source=images.source)

# %% [markdown]
# At 32 both are blurred, and the difference is hard to see. At 200 PCA is
# visibly sharper. So "deep beats linear" is not a law. That a network *can*
# represent a solution does not mean that a short training *finds* it. PCA
# gets its solution from one exact computation; the network has to search, and
# PCA with 200 numbers is a strong rival. Chapter 05 gives the search more
# images and more time: enough to pass it.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "with 32 numbers and a short training the network beats PCA on new images",
    error["network, 32 numbers"] / error["PCA, 32 numbers"],
    "<",
    1,
)
claim(
    "with 200 numbers, 7,000 images and 3 epochs PCA is far ahead",
    error["network, 200 numbers"] / error["PCA, 200 numbers"],
    ">",
    1.2,
)

# %% [markdown]
# ## Is that compression?
#
# "3,072 numbers become 200: compressed fifteenfold." You will read it often.
# But files are measured in bytes. A pixel value is one byte; a number of the
# code, as PyTorch keeps it, is four. What is the factor really? And what does
# it cost to store each number of the code in one byte, too, as one of 256
# steps between its smallest and largest value?


# %%
def rounded(z, bits):
    low, high = z.min(dim=0).values, z.max(dim=0).values
    step = (high - low) / (2**bits - 1)
    return ((z - low) / step).round() * step + low


z = pca[200].encode(x_val)
float_db = psnr(mse(x_val, pca[200].decode(z)))
byte_db = psnr(mse(x_val, pca[200].decode(rounded(z, 8))))
print(f"float32  800 bytes, factor {3072 / 800:4.1f}   {float_db:.2f} dB")
print(f"8 bits   200 bytes, factor {3072 / 200:4.1f}   {byte_db:.2f} dB")

# %% [markdown]
# The factor is 3.8, not 15. It becomes 15 once the code is rounded, and the
# rounding turns out to be almost free. So the popular sentence was right by
# luck. How many *numbers* a code has says little; how many *bits* it needs
# says it all. A short code can carry much in its digits, a long one little.
# (And the decoder has to be stored as well: here 200 components and the mean.)

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "storing the code in bytes instead of float32 costs under 0.1 dB",
    float_db - byte_db,
    "<",
    0.1,
)

# %% [markdown]
# ## What is important?
#
# "The bottleneck forces the network to learn the most important features."
# Important to whom? Let us plant a feature whose importance to *you* is beyond
# doubt. A scanner marks parts that failed inspection with one white pixel, the
# others with a black one. One bit, the only one you need, in the strongest
# contrast there is. We toss a coin for each image.


# %%
def mark(x, bit):
    x = x.clone()
    x[:, :, 2, 2] = bit[:, None].float()  # (N, 3): white or black
    return x


coin = torch.rand(3_000, generator=random) < 0.5
failed, failed_val = coin[:2_000], coin[2_000:]
marked, marked_val = mark(x[:2_000], failed), mark(x_val, failed_val)
plots.samples(marked_val, n=8, source=images.source)

# %% [markdown]
# You can read the bit, third pixel from the left in the third row; a black one
# on a dark image takes a second look. Now fit PCA to the marked images and try
# to read the bit in its *reconstruction*.
#
# You can predict what happens. The mark's variance is 0.25 in each of three
# channels, 0.75 in all. PCA takes directions in the order of their variance.
# How many come before 0.75?

# %%
before = int((variances > 0.75).sum())
marked_pca = PCA.fit(marked, 128)
ks = [1, 2, 4, 8, 16, 24, 32, 48, 64, 128]
read = {}
for k in ks:
    x_hat = marked_pca.truncate(k)(marked_val)  # (1000, 3, 32, 32)
    guess = x_hat[:, :, 2, 2].mean(dim=1) > 0.5
    read[k] = (guess == failed_val).float().mean().item()
figure = plots.line_with_spread(
    ks,
    {"bit read correctly": list(read.values())},
    "numbers in the code, k",
    "share of images",
    xlog=True,
    source=images.source,
)
figure.axes[0].axvline(before, color="grey", linestyle=":")
figure.axes[0].set_title(f"dotted: {before} directions have more variance")
figure

# %% [markdown]
# A coin toss on the left, certainty on the right, and the jump where the
# eigenvalues said it would be. With 8 numbers the one feature that mattered is
# gone, while gradients of brightness are kept. To the squared error it was
# worth 0.75 / 3,072 = 0.00024, and other directions were worth more.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "8 components lose the bit: reading it is close to tossing a coin",
    read[8],
    "<",
    0.65,
)
claim("64 components keep it", read[64], ">", 0.95)

# %% [markdown]
# PCA has no notion of importance. Nor has the bottleneck: it only says *how
# much* can be kept. *What* is kept is decided by the loss, and the squared
# error pays for variance, pixel by pixel. If you want something else kept, you
# must say so in the loss or in the data (exercise 6). What is small, sharp or
# rare goes first: eyes, letters, cracks.
#
# ## What we saw
#
# The mean image's error is the variance per pixel, the unit of all errors
# here. PCA's error is the sum of the variances it leaves out, so the spectrum
# tells what any number of components will achieve; its components are waves,
# which fixed cosines nearly replace. A linear autoencoder ends within 3 % of
# PCA, in the same subspace where the spectrum defines one, with an arbitrarily
# mixed code. A convolutional network overtakes PCA at 32 numbers after a short
# training and is far behind at 200. Numbers are not bits, and "important"
# means what the loss pays for: one white pixel was lost at 8 components.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **PCA without a covariance.** Write `by_svd(x, k)`: what PCA with $k$
#    components makes of the images it was fitted on, by `torch.linalg.svd`.
#    (The matrix of 3,072 × 3,072 never comes up.)


# %% tags=["exercise"]
# Exercise 03.1
def by_svd(x, k):
    """Return the reconstructions (N, C, H, W) of x (N, C, H, W).

    They are PCA's with k components, fitted on these same images.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("03.1", by_svd)

# %% [markdown]
# 2. **How far apart?** Write `largest_angle(A, B)`: the largest principal
#    angle in degrees between the subspaces that the columns of two matrices
#    span. Nobody has made the columns orthonormal for you.


# %% tags=["exercise"]
# Exercise 03.2
def largest_angle(A, B):
    """Return the largest principal angle in degrees, a number.

    A and B are (D, k), with D >= k; their columns span the subspaces.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("03.2", largest_angle)

# %%
exercises.progress("03")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Fewer bits.** Store the 200 numbers of PCA's code with 7, 6, 5, … 2 bits
#    each. You have succeeded when you can name the fewest bits that cost less
#    than 0.5 dB, and the factor of compression they give.
# 4. **Eight numbers.** Train the linear autoencoder with `latent_dim=8` for
#    1,600 steps. How far is its error from PCA's, and how large is its largest
#    principal angle? If they seem to disagree, find in the spectrum which pair
#    of components is to blame. You have succeeded when you can say which $k$
#    near 8 should give small angles only.
# 5. **Through the origin.** Do PCA *without* subtracting the mean. Prove, then
#    check, that with $k$ numbers it is never better than PCA with $k$ and
#    never worse than PCA with $k - 1$ (on the training images).
# 6. **Make it matter.** Change the loss so that 8 components keep the bit, and
#    measure what the other pixels pay for it. You have succeeded when the bit
#    is read in 95 % of new images. Where would you stop?
#
# Solutions:
# [solutions/03_pca_to_autoencoders.ipynb](solutions/03_pca_to_autoencoders.ipynb).
#
# ## Further reading
#
# - J. Shlens, *A tutorial on principal component analysis*,
#   [arXiv:1404.1100](https://arxiv.org/abs/1404.1100), 2014. PCA from scratch,
#   with the reasons for each step.
# - P. Baldi and K. Hornik, *Neural networks and principal component analysis:
#   learning from examples without local minima*, Neural Networks 2, 1989. The
#   theorem on linear autoencoders.
# - H. Bourlard and Y. Kamp, *Auto-association by multilayer perceptrons and
#   singular value decomposition*, Biological Cybernetics 59, 1988. The same
#   insight a year earlier, and what a non-linear hidden layer does not add.
# - D. Kunin, J. Bloom, A. Goeva and C. Seed, *Loss landscapes of regularized
#   linear autoencoders*, ICML, 2019. Weight decay makes the linear autoencoder
#   find the principal directions themselves and not only their span.
# - A. Torralba and A. Oliva, *Statistics of natural image categories*,
#   Network: Computation in Neural Systems 14, 2003. Spectra and principal
#   components of photographs, and what they reveal about a scene.
# - N. Ahmed, T. Natarajan and K. Rao, *Discrete cosine transform*, IEEE
#   Transactions on Computers C-23, 1974. Three pages: cosines as a cheap
#   stand-in for PCA. JPEG followed.
