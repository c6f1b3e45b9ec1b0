# %% [markdown]
# # 11 · When reconstructions disappoint
#
# A network returns every image nearly perfectly: a hundredth of the variance,
# or less, is missing. Then you show it white noise, which nobody has taught
# it, and much of that comes back as well. Has it learned anything about
# images? And what would you change: the loss, the code, the length of the
# training? People answer such questions from habit. Here they are measured.
#
# **You will be able to**
#
# - tell a network that copies from one that has learned, with noise;
# - say whether blur comes from the loss, the code, or the training;
# - measure what happens to an object and to its background apart;
# - find out which cures of overfitting work, and how well;
# - read a loss against the best and the worst that its program can reach.
#
# **Cost:** about 80 s on 2 CPU cores.

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
# ## Before any trouble
#
# Each trouble on this page is made on purpose, on few images and with small
# networks, so that a run takes a second or two. It is seen, then diagnosed by
# hand, then by the course's doctor, `ae_lib.doctor`, then treated. The measure
# is $R^2$, the share of the variance that comes back: 0 for the mean image, 1
# for a perfect copy. Starting points are run from one to three seeds and
# remedies from one: what differs no more than the seeds do is no result, and
# remedies that lie close together are not put in order.

# %%
import torch.nn.functional as F
from torch import nn
from ae_lib.metrics import mse, r_squared, reconstruct
from ae_lib.recipe import one_cycle

images = data.load("cifar10", limit=736)
train_images, held = data.hold_out(images, 256)
x, x_val = train_images.unit(), held.unit()  # (480 and 256, 3, 32, 32)


def r2(model, x):
    base = mse(x, x.mean(0).expand_as(x))  # the mean of these images
    return r_squared(mse(x, reconstruct(model, x)), base)


# %% [markdown]
# One training loop serves the whole page. Its options are the remedies to be
# tried: another loss, a penalty, noise on the input, weights for the pixels,
# weight decay. `watch` is called after each epoch.


# %%
def train(model, x, epochs=6, *, loss=F.mse_loss, penalty=None, noise=0.0,
          weights=None, decay=0.0, watch=None, seed=0):  # fmt: skip
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(
        model.parameters(), weight_decay=decay, fused=True
    )
    steps, done = epochs * -(-len(x) // 16), 0
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(x), generator=random).split(16):
            optimizer.param_groups[0]["lr"] = 1e-2 * one_cycle(done / steps)
            seen = target = x[rows]  # (16, C, H, W)
            if noise:
                grain = torch.randn(target.shape, generator=random)
                seen = target + noise * grain
            x_hat = model(seen)
            value = loss(x_hat, target)
            if weights is not None:
                value = (weights[rows] * (x_hat - target) ** 2).mean()
            if penalty is not None:
                value = value + penalty(model, target)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            done += 1
        if watch is not None:
            watch(model.eval())
    return model.eval()


# %% [markdown]
# (The learning rate goes up and down again in one cycle, as in chapter 05,
# with a peak of 0.01.) Two lines more: the seeds, and a mean over them. And
# the doctor, whose first finding is the one that it holds for the cause.

# %%
from ae_lib import doctor

SEEDS = range(pick(quick=3, full=5))


def mean(values):
    return sum(values) / len(values)


# %%
def ask(model, x, size=50, **more):
    report = doctor.examine(model, x.split(size), budget_seconds=4, **more)
    print(report.findings[0] if report.faults else "no fault found")
    return report


def check_named(report, code):
    claim(f"the doctor names {code}", report.faults.count(code), ">", 0)


# %% [markdown]
# ## A score too good
#
# If a code has more numbers than the image, a network can copy its input and
# learn nothing else. Build the worst case: 3×3 convolutions, no stride, 16
# numbers for each pixel of three. We use the middle 16×16 pixels of each
# image, to save time. Beside it stands a twin with a narrow waist, 192
# numbers for 768.


# %%
class Copier(nn.Module):
    """Two convolutions, and a code of `channels` numbers at each place."""

    def __init__(self, channels=16, kernel=3, stride=1):
        super().__init__()
        form = (kernel, stride, (kernel - stride) // 2)
        self.encoder = nn.Conv2d(3, channels, *form)
        self.decoder = nn.ConvTranspose2d(channels, 3, *form)
        nn.init.constant_(self.decoder.bias, 0.5)  # begin at middle grey

    def encode(self, x):
        return F.relu(self.encoder(x))

    def forward(self, x):
        return self.decoder(self.encode(x))


# %%
def wide(seed=0):
    torch.manual_seed(seed)
    return Copier()  # (B, 3, 16, 16) -> (B, 16, 16, 16): 4096 numbers


def waist(seed=0):
    torch.manual_seed(seed)
    return Copier(12, kernel=8, stride=4)  # -> (B, 12, 4, 4): 192 numbers


# %% [markdown]
# How would you notice that a network copies? Its error will not tell; an
# excellent network has a small one, too. The test is a disturbance that has
# nothing to do with images. Add a little white noise $\epsilon$, and see which
# share of it arrives at the other end:
#
# $$\frac{\langle f(x + \epsilon) - f(x - \epsilon),\; \epsilon\rangle}
# {2\,\langle \epsilon, \epsilon\rangle}.$$
#
# A perfect copy passes on 1. PCA with $k$ of $d$ components passes on $k/d$.


# %%
@torch.no_grad()
def passed_on(model, x, size=0.05):
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    moved = model(x + size * noise) - model(x - size * noise)
    return ((moved * noise).sum() / (2 * size * noise.square().sum())).item()


# %%
crop, crop_val = (t[:, :, 8:24, 8:24] for t in (x, x_val))  # (N, 3, 16, 16)
EPOCHS = pick(quick=24, full=240)


def recorder(log):
    return lambda model: log.append(passed_on(model, crop_val))


copied, networks = {}, {}
for name, build, seeds in ("wide", wide, SEEDS), ("waist", waist, [0]):
    logs = [[] for _ in seeds]
    networks[name] = [
        train(build(i), crop, EPOCHS, watch=recorder(logs[i]), seed=i)
        for i in seeds
    ]
    copied[name] = logs

# %% [markdown]
# **Guess:** the wide network could copy from the first epoch. Does it? Draw
# the curve in your head before you look.

# %%
plots.line_with_spread(
    range(1, EPOCHS + 1), copied, "epoch", "share of noise passed on",
    source=images.source,
)  # fmt: skip

# %% [markdown]
# Most of the copying is learned in the first third, and it grows to the end.
# Smooth structure carries nearly all the variance of images; fine structure,
# where most of the noise lives, comes later. After few epochs the same network
# looks innocent: stopping early is a constraint, too. The waist stays below
# 192/768 = 0.25, what a PCA of its size would pass on.
#
# Now the test that needs no formula: white noise images, as inputs.

# %%
random = torch.Generator().manual_seed(2)
white = torch.rand(64, 3, 16, 16, generator=random)
found = {}
for name, models in networks.items():
    found[name] = [(r2(m, crop_val), r2(m, white)) for m in models]
    for a, b in found[name]:
        print(f"{name:6} R² of images {a:.4f}, of white noise {b:.2f}")
pictures = {name: reconstruct(m[0], white) for name, m in networks.items()}

# %% [markdown]
# **Look for** the grain: in which row could you match each picture with its
# input?

# %%
plots.compare(white, pictures, source="white noise")

# %% [markdown]
# The wide network returns noise it has never seen, in colour; the narrow one
# turns it into something smooth. An excellent score on images *and* a good
# part of pure noise: that is well on the way to a copy.

# %%
# NBVAL_CHECK_OUTPUT
on_images, on_noise = zip(*found["wide"])
claim("the wide networks' R² on images is nearly 1", min(on_images), ">", 0.97)
claim("a good part of pure noise comes back, too", min(on_noise), ">", 0.3)
claim("the waist returns hardly any", found["waist"][0][1], "<", 0.15)
claim("and stays below PCA of its size", max(copied["waist"][0]), "<", 0.25)
late = min(log[-1] / log[3] for log in copied["wide"])
claim("copying grows to the end", late, ">", 1.2)

# %% [markdown]
# What does the doctor say? It is given the network and its batches, and
# nothing else.

# %%
report = ask(networks["wide"][0], crop)

# %%
# NBVAL_CHECK_OUTPUT
check_named(report, "code.identity")

# %% [markdown]
# ## Cures for copying
#
# The usual list: make the code smaller, or keep a wide code and add weight
# decay, an L1 penalty on the weights or on the code, or train on noisy inputs
# with clean targets (*denoising*). All of them are said to prevent a copy. Do
# they? A cure must also be judged by its price, so three numbers are taken:
# the share of the images' variance that is lost, the noise passed on, and the
# share lost when the *input* carries noise of deviation 0.1.


# %%
def weights_l1(model, x):
    return 1e-3 * sum(p.abs().sum() for p in model.parameters())


def code_l1(model, x):
    return 0.1 * model.encode(x).abs().mean()


cures = {
    "weight decay": [{"decay": 1e-3}, {"decay": 1e-2}],
    "L1 on weights": [{"penalty": weights_l1}],
    "L1 on code": [{"penalty": code_l1}],
    "denoising": [{"noise": 0.05}, {"noise": 0.1}],
}

# %% [markdown]
# Two rivals that have learned nothing keep us honest: a faded copy, which
# passes on less of everything, and a fixed 3×3 blur.


# %%
def faded(x):
    return 0.5 + 0.8 * (x - 0.5)


def blur(x):
    line = torch.tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(x, 4 * [1], "replicate"), kernel, groups=3)


# %%
@torch.no_grad()
def three_numbers(model):
    x, random = crop_val, torch.Generator().manual_seed(3)
    spread = (x - x.mean(0)).square().mean()
    noisy = x + 0.1 * torch.randn(x.shape, generator=random)
    lost = [(model(t) - x).square().mean() / spread for t in (x, noisy)]
    return lost[0].item(), passed_on(model, x), lost[1].item()


rivals = {"faded copy": [faded], "3×3 blur": [blur]}
rivals |= {"no cure": networks["wide"], "smaller code": networks["waist"]}
scores = {name: [*map(three_numbers, them)] for name, them in rivals.items()}
for name, settings in cures.items():
    runs = [train(wide(), crop, EPOCHS, **option) for option in settings]
    scores[name] = [three_numbers(model) for model in runs]

# %%
from ae_lib.plots.style import PALETTE, picture, styled


@styled
def trade(scores, source):
    """Draw what each cure costs (to the right) and what it prevents."""
    figure = picture(9, 3.6, source)
    panels = figure.subplots(1, 2)
    texts = "share of noise passed on", "lost with noisy input"
    for axes, column, text in zip(panels, (1, 2), texts):
        for i, (name, rows) in enumerate(list(scores.items())[::-1]):
            style = {"marker": "os^Dv<>P"[i], "color": PALETTE[i]}
            style["linestyle"] = "-" if name in cures else ""
            lost = [row[0] for row in rows if row[0] > 0]
            axes.plot(lost, [r[column] for r in rows], label=name, **style)
        axes.set(xscale="log", xlabel="share of variance lost", ylabel=text)
        axes.minorticks_off()
        axes.set_xticks(marks := [0.005, 0.01, 0.02, 0.05], map(str, marks))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


# %% [markdown]
# **Guess:** on the left, whose points lie lowest for their price? On the
# right, who brings the image back best from noise, and does anyone beat the
# fixed blur?

# %%
trade(scores, images.source)

# %% [markdown]
# On the left a weight decay of 0.001 does about what noise of 0.05 does, for
# about the same price. (Both press on whatever varies little, and that is the
# fine structure.) Ten times the decay matches the stronger noise, and loses
# far more of the image. On the right denoising reaches lower than anything
# else, below the blur, too: it has learned to tell images from noise. The L1
# penalties, one strength each, take a higher price and leave most of the
# copying.

# %%
# NBVAL_CHECK_OUTPUT
lost, passed, noisy = (
    {name: [row[i] for row in rows] for name, rows in scores.items()}
    for i in range(3)
)
plain, fair = min(passed["no cure"]), passed["denoising"][1]
claim("denoising halves it, or nearly", fair / plain, "<", 0.65)
weaker = passed["weight decay"][0]
claim("decay of 0.001 removes part of it, too", weaker / plain, "<", 0.9)
dearer = lost["weight decay"][1] / lost["denoising"][1]
claim(
    "ten times the decay costs more than the stronger noise", dearer, ">", 1.2
)
best = min(noisy["denoising"])
ratio = best / min(noisy["weight decay"])
claim("denoising beats all weight decay on noisy input", ratio, "<", 0.95)
claim("and the fixed blur", best / noisy["3×3 blur"][0], "<", 0.97)
for name in "L1 on weights", "L1 on code":
    claim(f"{name} leaves most of it", passed[name][0] / plain, ">", 0.6)
price = lost["smaller code"][0] / max(lost["no cure"])
claim("the smaller code loses more of the image", price, ">", 2)

# %% [markdown]
# So which cure changes what is learned? Denoising about halves the copying and
# brings noisy images back best. Weight decay helps, and pays more for as much.
# The smaller code passes on the least, and restores noisy images worse than
# the fixed blur. L1 is no remedy at these strengths. The cured network, before
# the doctor:

# %%
cured = runs[-1]  # trained with noise of 0.1
report = ask(cured, crop)

# %%
# NBVAL_CHECK_OUTPUT
before = report.faults.count("code.identity")
after = passed_on(cured, crop_val)
claim("the doctor no longer speaks of a copy", before, "<", 1)
claim("half of the noise is left, or little more", after / plain, "<", 0.65)

# %% [markdown]
# ## Blur
#
# The commonest complaint. Here is chapter 04's network at half its width, with
# a code of 32 numbers, and trained briefly, as in many a first attempt.


# %%
class Small(nn.Module):
    """Halve the image twice, squeeze it through `latent_dim`, draw it."""

    def __init__(self, latent_dim=32, width=16, dropout=0.0, last=nn.Sigmoid):
        super().__init__()
        w, grid = width, (2 * width, 8, 8)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, w, 4, 2, 1), nn.BatchNorm2d(w), nn.GELU(),
            nn.Conv2d(w, 2 * w, 4, 2, 1), nn.BatchNorm2d(2 * w), nn.GELU(),
            nn.Flatten(), nn.Linear(128 * w, latent_dim),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(latent_dim, 128 * w),
            nn.Unflatten(1, grid), nn.BatchNorm2d(2 * w), nn.GELU(),
            nn.ConvTranspose2d(2 * w, w, 4, 2, 1), nn.BatchNorm2d(w),
            nn.GELU(), nn.ConvTranspose2d(w, 3, 4, 2, 1), last(),
        )  # fmt: skip

    def forward(self, x):
        return self.decoder(self.encoder(x))


def small(latent_dim=32, width=16, seed=0, **options):
    torch.manual_seed(seed)
    return Small(latent_dim, width, **options)


# %% [markdown]
# Blur is missing fine detail, so measure by fineness. The Fourier transform
# splits an image into waves; ring $r$ holds those with $r$ cycles per image.
# For each ring, or band of rings, two numbers: the *power* of the
# reconstruction as a share of the image's, and the *agreement*, the
# correlation of the two sets of waves. Power alone can be had by drawing
# anything fine; agreement cannot.


# %%
def rings(x):
    """Tell the ring, 0 to 16 cycles and more, of each wave of (H, W)."""
    cycles = torch.fft.fftfreq(x.shape[-1]) * x.shape[-1]
    return torch.hypot(cycles[:, None], cycles).round().clamp(max=16).long()


def by_ring(x, x_hat):
    """Sum power of x, power of x_hat and their product in each ring."""
    a, b = torch.fft.fft2(x), torch.fft.fft2(x_hat)
    parts = a.abs() ** 2, b.abs() ** 2, (a.conj() * b).real
    where = rings(x).flatten()
    return [
        torch.zeros(17).index_add(0, where, part.mean((0, 1)).flatten())
        for part in parts
    ]


def detail(x, x_hat, band=slice(7, 17)):
    """Give power and agreement of the waves in a band of rings."""
    own, drawn, both = (part[band].sum() for part in by_ring(x, x_hat))
    return (drawn / own).item(), (both / (own * drawn).sqrt()).item()


# %% [markdown]
# **Guess** for the network, and for PCA with 32 components: at how many cycles
# per image is half of the power gone?

# %%
from ae_lib.baselines import PCA

pca = PCA.fit(x, 128)
soft = [train(small(seed=s), x, seed=s) for s in SEEDS]
outputs = {"start": [reconstruct(model, x_val) for model in soft]}
outputs |= {f"PCA-{k}": [pca.truncate(k)(x_val)] for k in (32, 128)}
kept = {}
for name, runs in outputs.items():
    sums = [by_ring(x_val, x_hat) for x_hat in runs]
    kept[name] = [(drawn / own)[1:].tolist() for own, drawn, _ in sums]
plots.line_with_spread(
    range(1, 17), kept, "cycles per image", "power kept", source=images.source
)  # fmt: skip

# %% [markdown]
# Two or three cycles: what is finer than a quarter of the image is mostly
# gone. PCA with 32 components blurs, too, and it has no training that could
# have been too short; it keeps more than the network, though, up to the finest
# waves. It minimises the squared error as well, so it cannot acquit the loss.
# (PCA's curve does not go to zero on the right: its components were fitted to
# few images and carry their grain along. Power is not agreement.)
#
# The doctor's table has both: the network's code of 32, and PCA with 32. PCA
# is ahead. It names no fault: without a history of losses or an optimizer it
# does not tell a short training from a long one, so read the table yourself.

# %%
report = doctor.examine(soft[0], x.split(50), budget_seconds=4)
for name, row in report.baselines.items():
    print(f"{name:28} {row['error']:.4f}")
print("faults:", report.faults or "none")

# %%
# NBVAL_CHECK_OUTPUT
table = report.baselines
ratio = table["this model (MSE)"]["error"]
ratio /= table["PCA-32, held out (MSE)"]["error"]
claim("PCA with as many components is not behind", ratio, ">", 0.9)
power = max(detail(x_val, x_hat)[0] for x_hat in outputs["start"])
claim("under a third of the fine waves' power is left", power, "<", 0.33)
power, _ = detail(x_val, outputs["PCA-32"][0])
claim("PCA with 32 keeps under a third, too", power, "<", 0.33)

# %% [markdown]
# A brief training and a short code are choices. Which of them to change is
# your decision, and now a measurement.
#
# ## Whose fault is the blur?
#
# Suspects: the squared error (take the absolute error instead; or structural
# similarity; or compare *features* instead of pixels), a network too thin, a
# code too small, a training too short. First the two losses that need a line
# or two. SSIM compares means, variances and covariance in small windows.


# %%
def ssim_loss(x_hat, x):
    """Mix 1 - SSIM, of 5×5 windows, with the absolute error."""

    def pool(t):
        return F.avg_pool2d(t, 5, 1)

    a, b = pool(x), pool(x_hat)
    va, vb = pool(x * x) - a * a, pool(x_hat * x_hat) - b * b
    both = pool(x * x_hat) - a * b
    light = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    structure = (2 * both + 9e-4) / (va + vb + 9e-4)
    return 0.5 * (1 - (light * structure).mean()) + F.l1_loss(x_hat, x)


# %% [markdown]
# For the *perceptual* loss we take the small classifier of chapter 01, trained
# on the same images, and compare what its first two stages say of image and
# reconstruction; each stage, and the pixels, in units of its own variance.

# %%
from ae_lib.features import SmallVGG, train_classifier

torch.manual_seed(0)
judge = SmallVGG()
train_classifier(judge, train_images, epochs=4)
judge.requires_grad_(False)


def views(t):
    first = judge.stages[0][:3](t)  # (B, 16, 32, 32)
    second = judge.stages[1][:3](judge.stages[0][3](first))  # (B, 32, 16, 16)
    return t, first, second


units = [view.var(0).mean() for view in views(x)]


def perceptual_loss(x_hat, x):
    pairs = zip((0.5, 1, 1), views(x_hat), views(x), units)
    return sum(w * F.mse_loss(a, b) / unit for w, a, b, unit in pairs)


# %% [markdown]
# One change at a time, from the same start. The longer training has three
# times the epochs.

# %%
LONG = {"epochs": 18}
trials = {  # name: latent_dim, width, how to train, seeds
    "L1": (32, 16, {"loss": F.l1_loss}, [0]),
    "SSIM": (32, 16, {"loss": ssim_loss}, [0]),
    "perceptual": (32, 16, {"loss": perceptual_loss}, [0]),
    "twice as wide": (32, 32, {}, [0]),
    "code 128": (128, 16, {}, [0]),
    "3× training": (32, 16, LONG, [0]),
    "both": (128, 16, LONG, [0]),
}
for name, (k, width, options, seeds) in trials.items():
    models = [small(k, width, seed=i) for i in seeds]
    models = [train(m, x, **options, seed=i) for m, i in zip(models, seeds)]
    outputs[name] = [reconstruct(model, x_val) for model in models]

# %% [markdown]
# One more rival needs no training: the first network's output, sharpened with
# a filter that adds twice its difference from a smoothed copy. *Fine* are the
# waves from 7 cycles per image on, *middle* those with 3 to 6.

# %%
first = outputs["start"][0]
smooth = F.avg_pool2d(F.pad(first, 4 * [1], "replicate"), 3, 1)
outputs["sharpened"] = [first + 2 * (first - smooth)]
print("               n   MSE     agreement: middle, fine   fine power")
middle, agrees, power = {}, {}, {}
for name, runs in outputs.items():
    middle[name] = [detail(x_val, o, slice(3, 7))[1] for o in runs]
    power[name], agrees[name] = zip(*(detail(x_val, o) for o in runs))
    error = mean([mse(x_val, o) for o in runs])
    row = mean(middle[name]), mean(agrees[name]), mean(power[name])
    print("{:14} {}   {:.4f}             {:.2f}    {:.2f}   {:.2f}".format(
        name, len(runs), error, *row))  # fmt: skip

# %% [markdown]
# **Look for** the rows that are sharper than the first, and ask of each
# whether the sharpness is the image's own.

# %%
rows = "start", "L1", "SSIM", "perceptual", "both", "sharpened"
plots.compare(x_val, {name: outputs[name][0] for name in rows}, 6,
              source=images.source)  # fmt: skip

# %% [markdown]
# With a code as short and a training as short as this, L1 brings nothing back,
# and SSIM little. (What they do where code and training suffice is another
# experiment.) The perceptual loss adds fine power and no agreement: it draws
# texture, and not the one that was there. The sharpening filter does the same,
# cruder. What does restore the middle waves is a longer code and longer
# training *together*; of the two alone, training brings more. PCA with 128
# components is still ahead: the code has room for more than these networks
# have learned to put there. The finest waves come back in none of the runs.

# %%
# NBVAL_CHECK_OUTPUT
start = mean(middle["start"])
gain = {name: mean(middle[name]) - start for name in trials}
both, spread = gain["both"], max(middle["start"]) - min(middle["start"])
claim("code and training together restore detail", both, ">", 0.1)
claim("far above each start", both, ">", 1.5 * spread)
claim("and more than the code alone", gain["code 128"] / both, "<", 0.8)
claim("or the training alone", gain["3× training"] / both, "<", 0.8)
claim("L1 brings less than a third of it", gain["L1"] / both, "<", 0.33)
claim("SSIM less than half", gain["SSIM"] / both, "<", 0.5)
wide_gain = gain["twice as wide"] / both
claim("a wider network less than half", wide_gain, "<", 0.5)
for name in "perceptual", "sharpened":
    more = power[name][0] / power["start"][0]
    claim(f"{name}: more fine power", more, ">", 1.1)
    less = agrees[name][0] - agrees["start"][0]
    claim(f"{name}: no more agreement there", less, "<", 0.01)
ahead = middle["PCA-128"][0] - max(middle["both"])
claim("PCA with 128 components is still ahead", ahead, ">", 0.05)
finest = max(agrees["both"])
claim("even the best network agrees little on fine waves", finest, "<", 0.6)

# %% [markdown]
# (All of this is for short runs and a small network. A perceptual loss that
# has millions of labelled photographs behind it draws better textures than
# ours. The test remains the same: power *and* agreement.)
#
# ## Object and background
#
# An autoencoder, it is said, may draw a perfect background and miss the thing
# that matters. Chapter 06 tested that, and found no bias against objects
# beyond their outlines. But its code was long. The stand-in images know their
# masks, so we can make the code short and watch.

# %%
shapes = data.load("shapes", limit=736)
drawn, drawn_held = data.hold_out(shapes, 256)
s, s_val = drawn.unit(), drawn_held.unit()
on, on_val = (d.masks[:, None].float() for d in (drawn, drawn_held))


def parts(x_hat):
    """Give R² on the object and on the background."""
    squares = (x_hat - s_val).square(), (s_val - s.mean(0)).square()
    left = [[(q * m).sum() for q in squares] for m in (on_val, 1 - on_val)]
    return [(1 - a / b).item() for a, b in left]


# %% [markdown]
# PCA first. **Guess:** at 4 components, whose $R^2$ is larger, the object's
# or the background's? And at 128?

# %%
shapes_pca = PCA.fit(s, 128)
sizes = [2, 4, 8, 16, 32, 64, 128]
curves = [parts(shapes_pca.truncate(k)(s_val)) for k in sizes]
values = dict(zip(("object", "background"), zip(*curves)))
plots.line_with_spread(sizes, values, "components of PCA", "R²", xlog=True,
                       source=shapes.source)  # fmt: skip

# %% [markdown]
# With few components the background comes first: it is large, and its light
# and dark is what varies together over most pixels. The object catches up as
# the code grows. On these drawn images a neglected object is a sign of a
# *short* code. Now a network with a code of 32, and four proposals: weight the
# object's pixels four times (which needs masks), a longer code, denoising, and
# the absolute error, which minds outliers less.


# %%
weights = 1 + 3 * on
weights = weights / weights.mean()
proposals = {  # latent_dim, how to train, seeds
    "start": (32, {}, [0, 1]),
    "weighted": (32, {"weights": weights}, [0]),
    "code 128": (128, {}, [0]),
    "denoising": (32, {"noise": 0.2}, [0]),
    "L1": (32, {"loss": F.l1_loss}, [0]),
}
region, drawings = {}, {}
for name, (k, how, seeds) in proposals.items():
    runs = [train(small(k, seed=i), s, seed=i, **how) for i in seeds]
    back = [reconstruct(model, s_val) for model in runs]
    drawings[name], region[name] = back[0], list(zip(*map(parts, back)))
    print("{:10} R² object {:.2f}, background {:.2f}".format(
        name, *map(mean, region[name])))  # fmt: skip

# %% [markdown]
# **Look at the objects only:** which row would you choose, and which row has
# lost most of them?

# %%
rows = "start", "weighted", "code 128", "denoising", "L1"
plots.compare(s_val, {name: drawings[name] for name in rows}, 6,
              source=shapes.source)  # fmt: skip

# %% [markdown]
# Weights move attention from the background to the object: the code is not
# larger, it is spent elsewhere. A longer code helps the object with nothing
# taken away. Denoising, often proposed, does not help it here, and L1 serves
# it worse than the background. Look closer: in so short a training both have
# not learned colour, and coloured objects pay for it. Whether they catch up is
# not measured here.

# %%
# NBVAL_CHECK_OUTPUT
few, middling, many = curves[1], curves[4], curves[-1]
start = region["start"]
change = {
    name: [mean(values) - mean(base) for values, base in zip(both, start)]
    for name, both in region.items()
}
claim("PCA-4: the background is ahead", few[1] - few[0], ">", 0.03)
claim("PCA-128: it is not", many[1] - many[0], "<", 0.02)
claim("from 32 to 128 PCA's object gains", many[0] - middling[0], ">", 0.03)
longer = min(change["code 128"])
claim("a longer code takes nothing away", longer, ">", -0.03)
claim("weights help the object", change["weighted"][0], ">", 0.02)
claim("at the background's cost", change["weighted"][1], "<", -0.02)
claim("denoising does not help it", change["denoising"][0], "<", 0.02)
away = change["L1"][0] - change["L1"][1]
claim("L1 does not help the object", change["L1"][0], "<", 0.01)
claim("it turns from the object to the background", away, "<", -0.01)

# %% [markdown]
# The doctor cannot help here. That you care for the object is not in the
# program; no measurement of the program can find it.
#
# ## Learned by heart
#
# 32 training images and many epochs. **Guess** who reconstructs *new* images
# better: the network, or PCA fitted to the same 32?

# %%
few, test = x[:32], x_val[:128]
log = {"train_loss": [], "val_loss": []}


def watch(model):
    for part, name in ((few, "train_loss"), (test, "val_loss")):
        log[name].append(mse(part, reconstruct(model, part)))


rival = mse(test, PCA.fit(few, 31)(test))
hearted = train(small(64, 8), few, 100, watch=watch)
lines = {"32 images": log}
plots.curves(lines, baselines={"PCA-31": rival}, source=images.source)

# %% [markdown]
# The two curves part, and PCA, which cannot do much with 32 images either, is
# far ahead on new ones. The doctor gets the training images, the new images,
# and the history.

# %%
report = ask(hearted, few, 16, eval_batches=test.split(64), history=log)

# %%
# NBVAL_CHECK_OUTPUT
check_named(report, "fit.overfit")
by_heart = log["val_loss"][-1]
ratio = by_heart / log["train_loss"][-1]
claim("new images have over twice the error", ratio, ">", 2)
claim("PCA of the same images is better", rival / by_heart, "<", 0.9)

# %% [markdown]
# The cures that are named for it, each from the same start; four times the
# images get about as many steps. **Put them in order.**

# %%
heart = {
    "weight decay": (small(64, 8), few, {"decay": 1e-3}),
    "dropout 0.5": (small(64, 8, dropout=0.5), few, {}),
    "denoising, 0.3": (small(64, 8), few, {"noise": 0.3}),
    "smaller code": (small(16, 8), few, {}),
    "4× images": (small(64, 8), x[:128], {"epochs": 25}),
}
new_error = {"as it was": [log["val_loss"][-1]]}
new_error |= {"stop in time": [min(log["val_loss"])], "PCA-31": [rival]}
for name, (model, seen_images, options) in heart.items():
    model = train(model, seen_images, **({"epochs": 100} | options))
    new_error[name] = [mse(test, reconstruct(model, test))]
plots.bars(new_error, "MSE of new images", source=images.source)

# %% [markdown]
# Every regulariser stays above PCA on the same images, and four times the
# images beat them all. (One strength of each and one seed; and *stop in time*
# is judged by the images that chose the time, which flatters it.) The smaller
# code, often recommended, brings nothing.

# %%
# NBVAL_CHECK_OUTPUT
error = {name: values[0] for name, values in new_error.items()}
named = "weight decay", "dropout 0.5", "denoising, 0.3", "stop in time"
best = min(error[name] for name in named)
claim("more images beat them all", error["4× images"] / best, "<", 0.9)
claim("and PCA beats them, too", error["PCA-31"] / best, "<", 1)
worse = error["smaller code"] / error["as it was"]
claim("a smaller code brings nothing", worse, ">", 0.9)

# %% [markdown]
# ## A range that it cannot reach
#
# Images scaled to $[-1, 1]$, and a network that ends in a sigmoid. Before any
# training you can compute the best it will ever reach: clip the *targets* to
# $[0, 1]$. **Guess** that $R^2$.

# %%
y, y_val = 2 * x - 1, 2 * x_val - 1


def share(x_hat, y=y_val):
    return (1 - (x_hat - y).square().mean() / y.var(0).mean()).item()


bound = share(y_val.clamp(0, 1))
ends = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
ranged = {name: train(small(last=end), y) for name, end in ends.items()}
with torch.no_grad():
    stuck, tanh = (share(model(y_val)) for model in ranged.values())
print(f"bound {bound:.2f}, sigmoid {stuck:.2f}, tanh {tanh:.2f}")

# %% [markdown]
# The doctor computes the bound, too, on the training images, and proposes
# tanh.

# %%
report = ask(ranged["sigmoid"], y)

# %%
# NBVAL_CHECK_OUTPUT
check_named(report, "output.range")
claim("no sigmoid network can pass the bound", stuck, "<", bound)
claim("and the bound is low", bound, "<", 0.7)
claim("with tanh it is passed", tanh - bound, ">", 0)
scaled = min(r2(model, x_val) for model in soft)
claim("so it is with images in [0, 1] and the sigmoid", scaled - bound, ">", 0)

# %% [markdown]
# ## Numbers read without their floor
#
# "My loss stays at 0.56 and does not go down." With binary cross-entropy on
# grey values that may be excellent: a perfect reconstruction does not have
# the loss 0 but the entropy of its pixels. **Guess:** a network is trained
# with this loss; which share of its final loss could any training still
# remove?

# %%
bce = F.binary_cross_entropy
crossed = train(small(128), x, loss=bce)
with torch.no_grad():
    floor, now = bce(x_val, x_val), bce(crossed(x_val), x_val)
    blank = bce(x.mean(0).expand_as(x_val), x_val)
print(f"floor {floor:.4f}, network {now:.4f}, mean image {blank:.4f}")
report = ask(crossed, x, loss=bce)

# %%
# NBVAL_CHECK_OUTPUT
claim("over 90 % of the loss is its floor", floor / now, ">", 0.9)
way = (blank - now) / (blank - floor)
claim("from the mean image over half of the way is done", way, ">", 0.5)
alarms = [f.code for f in report.findings if f.severity == "error"]
claim("the doctor raises no error", len(alarms), "<", 1)

# %% [markdown]
# Outside $[0, 1]$ the same loss has no floor at all. Take a target of −0.5,
# and let the output before the sigmoid, $a$, go down and down. (The plain
# `binary_cross_entropy` refuses such targets; `..._with_logits` does not.)

# %%
depth = torch.tensor([-1.0, -10.0, -100.0])
target = torch.full((3,), -0.5)
loss = F.binary_cross_entropy_with_logits(depth, target, reduction="none")
print(loss)

# %%
# NBVAL_CHECK_OUTPUT
claim("the loss is negative", loss[1], "<", 0)
claim("ten times further down, ten times lower", loss[2] / loss[1], ">", 9)

# %% [markdown]
# Such a loss "improves" without end. A negative cross-entropy is never good
# news.
#
# ## Checkerboards, briefly
#
# Chapter 04 made them and found what they are: power at the fastest wave, the
# Nyquist frequency, far above that of its neighbours. **Guess:** after one
# epoch, is that peak still there with kernels of 3 and stride 2? With kernels
# of 4, which the stride divides, as the usual advice has it? And if the
# decoder enlarges first and convolves then?


# %%
def peak(x):
    """Compare the power of the fastest waves with their neighbours'."""
    wave = torch.fft.fft2(x - x.mean((2, 3), keepdim=True))
    power = wave.abs().square().mean((0, 1))  # (32, 32), Nyquist at 16
    fastest = power[16, 0] + power[0, 16]
    return (fastest / (power[13:16, 0] + power[0, 13:16]).mean()).item()


def kernel_3(a, b):
    return nn.ConvTranspose2d(a, b, 3, 2, padding=1, output_padding=1)


def kernel_4(a, b):
    return nn.ConvTranspose2d(a, b, 4, 2, padding=1)


def resize(a, b):
    return nn.Sequential(nn.Upsample(None, 2), nn.Conv2d(a, b, 3, padding=1))


# %%
ways = {"kernel 3": kernel_3, "kernel 4": kernel_4, "resize": resize}
peaks = {"images": [peak(x_val)]} | {name: [] for name in ways}
for name, way in ways.items():
    for seed in SEEDS:
        model = small(seed=seed)
        model.decoder[5], model.decoder[8] = way(32, 16), way(16, 3)
        train(model, x, 1, seed=seed)
        peaks[name].append(peak(reconstruct(model, x_val)))
    faults = doctor.examine(model, x.split(50), budget_seconds=0).faults
    print(f"{name}: doctor {faults or 'silent'}")
for name, runs in peaks.items():
    print(f"{name:9}", *(f"{value:5.1f}" for value in runs))

# %%
# NBVAL_CHECK_OUTPUT
drawn = mean(peaks["kernel 3"])
ratio = drawn / peaks["images"][0]
claim("kernels of 3: a peak above that of the images", ratio, ">", 1.5)
ratio = mean(peaks["kernel 4"]) / peaks["images"][0]
claim("kernels of 4: as well", ratio, ">", 1.2)
ratio = mean(peaks["resize"]) / drawn
claim("enlarge, then convolve: it is gone, or nearly", ratio, "<", 0.7)

# %% [markdown]
# A row is a network, a number a seed; 1 is no peak. The seeds differ by more
# than the kernels do: an even kernel is no cure so early in training, and
# enlarging first is one. The doctor weighs such a pattern against the grain
# that the images have themselves, and speaks when it is far above it; of the
# last seed with kernels of 4 it may say nothing. What the pattern looks like,
# and what it becomes in training, is chapter 04's story.
#
# ## A table to keep
#
# | what you see | measure | if so, it is | what helped here |
# |---|---|---|---|
# | tiny error, wide code | noise passed on | a copy | smaller code, denoising |
# | blur, and PCA with as many numbers is sharper | the baselines | the training, first | longer training *and* a longer code |
# | blur, and PCA of that size has it, too | the baselines | the code's length | a longer code |
# | sharp, but wrong | agreement beside power | the loss or a filter | squared error again |
# | object gone | $R^2$ by mask | a short code | weights, longer code |
# | new images bad | PCA of the same images | too few images | more images |
# | error stuck | clip the targets | the last activation | another range |
# | loss far above 0 | its floor, and the mean image's loss | perhaps nothing | reading it between the two |
#
# ## Three patients
#
# Now you. Three programs, each with a complaint. Each returns a number, its
# *sickness*, which is high. One of its arguments mends it; the others are for
# those who guess. **Read, measure, commit; then** try a change:
# `verdict(sickness_a, width=16)`, for example. A change is accepted when it
# takes a third of the sickness away.


# %%
from functools import cache  # no patient is trained twice the same way


def patient_a(latent_dim=128, width=8, epochs=6, loss=F.mse_loss, inner=1):
    """Complaint: soft pictures, although the code is long."""
    model = small(latent_dim, width)
    wide, full = model.decoder[1].in_features, model.decoder[1].out_features
    model.decoder[1] = nn.Sequential(
        nn.Linear(wide, inner), nn.Linear(inner, full)
    )
    return train(model, x, epochs, loss=loss)


@cache
def sickness_a(**change):
    """Share of the variance of new images that is lost."""
    return 1 - r2(patient_a(**change), x_val)


# %%
def patient_b(decay=0.0, dropout=0.0, epochs=3, latent_dim=64, mean=0.5):
    """Complaint: good on training images, far off on new ones."""
    model = train(small(latent_dim, dropout=dropout), x, epochs, decay=decay)
    return model, (x_val - mean) / 0.5 if mean else x_val


@cache
def sickness_b(**change):
    """Error on new images, less that on training images."""
    model, new = patient_b(**change)
    with torch.no_grad():
        return (F.mse_loss(model(new), new) - F.mse_loss(model(x), x)).item()


# %% [markdown]
# The third is a network of its own. Its pictures are the best on this page,
# and a code of any length will do, its owner says.


# %%
class Patient(Small):
    def __init__(self, latent_dim, window):
        super().__init__(latent_dim, last=nn.Identity)
        self.window, self.blend = window, nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x):
        drawn, seen = super().forward(x), x if self.window else 0 * x
        return torch.sigmoid(self.blend(torch.cat([drawn, seen], 1)))


def patient_c(latent_dim=16, decay=0.0, noise=0.0, epochs=3, window=True):
    """Complaint: splendid pictures, and a code that is good for nothing."""
    torch.manual_seed(0)
    model = Patient(latent_dim, window)
    return train(model, x, epochs, decay=decay, noise=noise)


@cache
def sickness_c(**change):
    """R² that remains when each image is given another image's code."""
    model = patient_c(**change)
    if share(model(x_val), x_val) < 0.1:
        return 1.0  # a network that draws nothing is not cured
    codes = model.encoder(x_val).roll(1, 0).detach()
    model.encoder.forward = lambda x: codes
    return max(0.0, share(model(x_val), x_val))


# %% [markdown]
# What they complain of, in numbers, before anything is changed:

# %%
for sickness in (sickness_a, sickness_b, sickness_c):
    print(f"{sickness.__name__} = {sickness():.2f}: {sickness.__doc__}")


# %% [markdown]
# And the judge of your changes:


# %%
def verdict(sickness, **change):
    """Accept a change that takes a third of a patient's sickness away."""
    before, after = sickness(), sickness(**change)
    print("accepted" if after < before / 1.5 else "rejected", change)
    return after / before


# %% [markdown]
# ## What we saw
#
# A wide code [copies](#A-score-too-good), the more the longer it trains, and
# noise finds the copy out. Of the [cures](#Cures-for-copying) denoising
# changed what was learned, weight decay did as much at a higher price, and L1
# did less. Against [blur](#Whose-fault-is-the-blur?) another loss did not help
# here: neither L1 nor SSIM brought detail back, a perceptual loss drew detail
# that was not there, and code and training had to grow together. A drawn
# [object](#Object-and-background) suffers from a short code, and is helped by
# weights; denoising and L1 failed in so short a training. Few images are
# [learned by heart](#Learned-by-heart), and no regulariser made up for those
# that were missing. And a loss means something between the best and the worst
# that its program [can reach](#A-range-that-it-cannot-reach), not beside 0.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **A long code, and soft pictures.** The code below has 64 numbers, and its
#    pictures look like those of eight. Trained too briefly? The wrong loss?
#    Name the `cause` in one of the doctor's words, write a `measure(model, x)`
#    that is far off in this program, and neither in a sound one nor in a sound
#    one that was stopped early, and `repair` it: R² must rise. The check
#    trains it on images of its own.


# %%
def dull(seed=0):
    """Return an autoencoder for (B, 3, 16, 16) with a code of 64 numbers."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=4), nn.GELU(),  # (B, 16, 4, 4)
        nn.Flatten(), nn.Linear(256, 64),  # (B, 64), the code
        nn.Linear(64, 8), nn.Unflatten(1, (8, 1, 1)),  # (B, 8, 1, 1)
        nn.ConvTranspose2d(8, 24, 4), nn.GELU(),  # (B, 24, 4, 4)
        nn.ConvTranspose2d(24, 3, 4, stride=4),  # (B, 3, 16, 16)
    )  # fmt: skip


# %% tags=["exercise"]
# Exercise 11.1
from torch import nn

from ae_lib.metrics import effective_rank


class Diagnosis:
    """The program `dull`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        ...  # your code here

    def measure(self, model, x):
        """Return a number that is far off in this program alone."""
        ...  # your code here

    def repair(self, model):
        """Return a model that can be trained as this one was."""
        ...  # your code here


# %%
from ae_lib import exercises

exercises.check("11.1", Diagnosis)

# %% [markdown]
# 2. **Two gaps.** Good on the training images, bad on new ones: learned by
#    heart, or are the new images of another kind? Write `diagnose(model, x,
#    new)`. The check brings seven programs, some of them without a gap, and a
#    look at the range is not always enough.


# %% tags=["exercise"]
# Exercise 11.2
import torch.nn.functional as F

from ae_lib.baselines import PCA


def diagnose(model, x, new):
    """Return why a network is worse on new images than on its training images.

    x (N, 3, 16, 16) are the training images, new (M, 3, 16, 16) the others.
    One of "fit.overfit", "data.shift", "none".
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("11.2", diagnose)

# %%
exercises.progress("11")

# %% [markdown]
# The others are the three patients; their `verdict` is the judge.
#
# 3. **Soft pictures, again.** `patient_a` has 128 numbers in its code and the
#    sharpness of far fewer. Suspects: the code, the width, the loss, the
#    length of the training, the decoder. Compare it with PCA, count the
#    directions that are left behind the code, then commit. You have succeeded
#    when `verdict(sickness_a, ...)` accepts your change, and rejects
#    another suspect.
# 4. **Good at home, bad abroad.** `patient_b` looks overfitted. Give the new
#    images to something that cannot overfit so, and look at their range. You
#    have succeeded when `verdict(sickness_b, ...)` accepts your change,
#    rejects weight decay, and you can say which measurement told the two
#    apart.
# 5. **Splendid pictures.** Does `patient_c` copy? Exchange the codes of the
#    images before you decide. You have succeeded when `verdict(sickness_c,
#    ...)` accepts your change, and rejects a smaller code.
#
# Solutions:
# [solutions/11_reconstructions.ipynb](solutions/11_reconstructions.ipynb).
#
# ## Further reading
#
# - P. Vincent and others, [Stacked denoising
#   autoencoders](https://www.jmlr.org/papers/v11/vincent10a.html), JMLR 2010.
#   Denoising against weight decay, with pictures of what each learns.
# - H. Zhao and others, [Loss functions for image restoration with neural
#   networks](https://arxiv.org/abs/1511.08861), 2017. L1, SSIM and their mixture.
# - J. Johnson, A. Alahi, L. Fei-Fei, [Perceptual losses for real-time style
#   transfer and super-resolution](https://arxiv.org/abs/1603.08155), ECCV 2016.
# - N. Rahaman and others, [On the spectral bias of neural
#   networks](https://arxiv.org/abs/1806.08734), ICML 2019. Of functions, what
#   varies slowly over their inputs is learned first. Our waves lie within an
#   image: a relative, and no proof.
# - Y. Blau, T. Michaeli, [The perception-distortion
#   tradeoff](https://arxiv.org/abs/1711.06077), CVPR 2018. Sharper or closer:
#   beyond a point you cannot have both.
