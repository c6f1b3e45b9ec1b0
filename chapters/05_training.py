# %% [markdown]
# # 05 · Training and validation
#
# A network that has learned nothing answers every image with the same grey.
# How many images must pass through it before it begins to draw: a hundred,
# ten thousand, a million? Write your guess down; this chapter counts.
#
# **You will be able to**
#
# - test a new network on eight images before you spend an hour on it;
# - write a training loop and explain each of its lines;
# - read a loss curve against baselines, and tell progress from noise;
# - judge a change of recipe by several seeds, and see overfitting;
# - stop a run and go on to the very same curve.
#
# **Cost:** about 90 s on 2 CPU cores.

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
# ## Three sets of images
#
# *Training* images move the weights. *Validation* images, cut from the
# training split, are for your decisions: which learning rate, how many epochs.
# The *test* images stay shut until the end of this page. An image that has
# helped you to choose is no longer a fair judge of the choice.

# %%
images = data.load("cifar10", limit=pick(quick=2_560, full=50_000))
credit = images.source
held = pick(quick=512, full=5_000)
train, validation = data.hold_out(images, held)
print(train, validation, sep="\n")

# %% [markdown]
# An error means nothing alone. Two competitors set the scale: the mean image,
# which does not look at its input, and PCA (chapter 03), the best that any
# linear code can do. Both are fitted on the training images and measured on
# the validation images, as the network will be.

# %%
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse, psnr, reconstruct

x_val = validation.unit()  # (N, 3, 32, 32)
pca = PCA.fit(train, latent_dim=200)
errors = {"mean image": mse(x_val, MeanImage.fit(train)(x_val))}
errors["PCA-10"] = mse(x_val, pca.truncate(10)(x_val))
errors["PCA-200"] = mse(x_val, pca(x_val))
for name, error in errors.items():
    print(f"{name:<10}  MSE {error:.4f}  {psnr(error):.1f} dB")

# %% [markdown]
# ## One batch first
#
# Before a long run comes a short one: show the network the same eight images
# a hundred times. It has 1.7 million weights and must be able to learn eight
# images by heart. If it cannot, something is broken: the range of the data,
# the last activation, the loss, weights that the optimizer was never given.
# You learn that in seconds.
#
# The five lines in the loop are all of training. The rest of this chapter is
# bookkeeping around them.

# %%
import torch.nn.functional as F
from ae_lib.models import ConvAutoencoder


def new_model(seed=0):
    torch.manual_seed(seed)
    return ConvAutoencoder(latent_dim=200)


# %%
model = new_model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x = train[:8].unit()  # (8, 3, 32, 32)
losses = []
for _ in range(100):
    x_hat = model(x)  # (8, 3, 32, 32)
    loss = F.mse_loss(x_hat, x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %% [markdown]
# The eight images have a mean image too, and its error is the one to beat.
# `add_lines` draws such baselines into a figure, here and later.


# %%
def add_lines(figure, errors):
    axes = figure.axes[0]
    at = {"transform": axes.get_yaxis_transform(), "ha": "right"}
    for name, error in errors.items():
        axes.axhline(error, color="0.35", linestyle=":")
        axes.text(0.99, error, name, va="bottom", color="0.35", **at)
    return figure


# %% [markdown]
# **Guess:** after 100 steps, is the loss 2, 10 or 50 times smaller than the
# error of the mean of the eight?

# %%
mean_of_eight = mse(x, MeanImage.fit(x)(x))
values = {"eight images": losses}
figure = plots.line_with_spread(
    range(1, 101), values, "step", "MSE", ylog=True, source=credit
)
add_lines(figure, {"mean of the eight": mean_of_eight})

# %% [markdown]
# The line falls through the baseline within ten steps or so and goes on
# falling. A healthy first batch does; a curve that goes flat is a symptom.

# %%
# NBVAL_CHECK_OUTPUT
ratio = mean_of_eight / losses[-1]
claim("eight images are learned by heart", ratio, ">", 15, unit="times")

# %% [markdown]
# Know what this test does not see. It says nothing about images that the
# network was not shown, and nothing about the code that measures: a validation
# loop can be wrong while eight images are learned by heart. Exercise 3
# plants three bugs and asks which of them the test finds.
#
# ## The loop, in three parts
#
# First a single step. It is the five lines of above, and the `Adam` optimizer
# that moves the weights, put into a class so that it can grow.


# %%
class Step:
    """Move the weights once for each batch of images."""

    def __init__(
        self, model, train, validation, lr=1e-3, batch_size=64, seed=0
    ):
        self.model, self.train, self.validation = model, train, validation
        self.batch_size, self.seed = batch_size, seed
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.batch_loss, self.train_loss, self.val_loss = [], [], []

    def step(self, x):
        loss = F.mse_loss(self.model(x), x)
        self.optimizer.zero_grad()  # or gradients of old batches add up
        loss.backward()
        self.optimizer.step()
        self.batch_loss.append(loss.item())
        return loss.item()


# %% [markdown]
# Then one epoch: every training image once, in a new order, and afterwards
# every validation image without moving a weight. `train()` and `eval()`
# switch batch normalisation between the statistics of the batch and those it
# has collected. The last batch may be smaller, so each loss is weighted by
# the number of its images.


# %%
class Epoch(Step):
    """Show all training images once; measure all validation images."""

    def batches(self, epoch):
        pixels, size = self.train.pixels, self.batch_size
        return data.batches(pixels, size, seed=self.seed, epoch=epoch)

    def train_epoch(self, epoch):
        self.model.train()
        total = 0.0
        for pixels in self.batches(epoch):  # (64, 3, 32, 32) uint8
            total += self.step(data.to_unit(pixels)) * len(pixels)
        return total / len(self.train)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        total = 0.0
        for pixels in self.validation.pixels.split(500):
            x = data.to_unit(pixels)
            total += F.mse_loss(self.model(x), x).item() * len(x)
        return total / len(self.validation)


# %% [markdown]
# Last, several epochs. One number for training and one for validation each
# time: that is the whole record.


# %%
class Trainer(Epoch):
    """Train for some epochs and keep the losses."""

    def fit(self, epochs):
        for epoch in range(epochs):
            self.train_loss.append(self.train_epoch(epoch))
            self.val_loss.append(self.validate())


# %% [markdown]
# ## When does it begin to draw?
#
# Tutorials say that by the end of the first epoch the decoder starts to
# reconstruct. You can look closer. `Watched` is a `Trainer` that also measures
# the validation images after 1, 2, 3, 4, 6, 8, … batches, more and more
# rarely, and keeps what it made of the first eight.

# %%
EPOCHS = 8
steps_per_epoch = -(-len(train) // 64)  # rounded up
WATCH = {round(2 ** (k / 2)) for k in range(40)} | {EPOCHS * steps_per_epoch}


# %%
class Watched(Trainer):
    """Look at the validation images after some of the batches."""

    def step(self, x):
        value, done = super().step(x), len(self.batch_loss)
        if done in WATCH:
            x_hat = reconstruct(self.model, validation)
            self.error[done] = mse(validation, x_hat)
            self.pictures[done] = x_hat[:8].clone()
        return value


# %%
import time

run = Watched(new_model(), train, validation)
run.error, run.pictures = {}, {}
start = time.perf_counter()
run.fit(EPOCHS)
rate = EPOCHS * len(train) / (time.perf_counter() - start)
for pair in zip(run.train_loss, run.val_loss):
    print("training {:.4f}  validation {:.4f}".format(*pair))
print(f"{rate:.0f} images/s, with {len(run.error)} looks")

# %% [markdown]
# Your guess from the top of the page, in batches of 64 images: **where does
# the line cross the mean image, and where PCA with 10 components?** Both axes
# are logarithmic.

# %%
steps = sorted(run.error)
values = {"validation": [run.error[s] for s in steps]}
figure = plots.line_with_spread(
    steps, values, "batches of 64", "MSE", xlog=True, ylog=True, source=credit
)
add_lines(figure, errors)

# %% [markdown]
# For the first few batches nothing shows: the network is still worse than the
# mean image. Then the error falls along an almost straight line.


# %%
# NBVAL_CHECK_OUTPUT
def first_below(name):
    return next(s for s in steps if run.error[s] < errors[name])


mean_at, pca_at = first_below("mean image"), first_below("PCA-10")
claim("32 batches are enough to beat the mean image", mean_at, "<=", 32)
claim("128 are enough to beat PCA with 10 components", pca_at, "<=", 128)

# %% [markdown]
# An epoch of all 50,000 training images has 782 such batches. "By the end of
# the first epoch" is true, and late: the mean image is beaten within the first
# twentieth of it, PCA-10 within the first sixth.
#
# Here are the same eight validation images along the way. **Look for** what
# comes first: brightness, colour, place, or outline?

# %%
shown = [2, 11, 32, 91, steps[-1]]
pictures = {f"after {s} batches": run.pictures[s] for s in shown}
plots.compare(x_val[:8], pictures, source=credit)

# %% [markdown]
# After two batches all eight answers are alike. Large areas of light and dark
# come first, then colour, then edges: roughly the order in which PCA sorts its
# components, from large variance to small. What is missing at the end is fine
# detail.
#
# ## What a curve says, and what it does not
#
# Now epoch by epoch. **Before you look:** which is higher in the first epoch,
# the training loss or the validation loss? And how far is the last epoch from
# PCA with 200 components?

# %%
losses = {"train_loss": run.train_loss, "val_loss": run.val_loss}
plots.curves({"Adam": losses}, baselines=errors, source=credit)

# %% [markdown]
# In the first epoch the training loss is *higher*. No miracle: it is the mean
# over an epoch in which the network was getting better; the validation loss is
# measured at its end. The gap to PCA-200 is wide. This is a short run on few
# images; a longer one stands further down.

# %%
k = 1
while mse(x_val, pca.truncate(k)(x_val)) > run.val_loss[-1]:
    k += 1
gain = 1 - run.val_loss[-1] / run.val_loss[-2]
print(f"after {EPOCHS} epochs: about as good as PCA with {k} components")
print(f"the last epoch lowered the validation loss by {gain:.0%}")

# %% [markdown]
# Many programs print the loss of the *last batch* after each epoch, because it
# is at hand. It is the loss of 64 images, and some images are harder than
# others. **Guess:** next to the progress from one epoch to the next, is the
# scatter among batches smaller, alike, or larger?

# %%
batch_loss = torch.tensor(run.batch_loss)  # (steps,)
at = torch.arange(len(batch_loss)) / steps_per_epoch + 0.5  # in epochs
last = batch_loss[steps_per_epoch - 1 :: steps_per_epoch]  # (EPOCHS,)
epochs, means = range(1, EPOCHS + 1), {"mean of the epoch": run.train_loss}
figure = plots.line_with_spread(
    epochs, means, "epoch", "training MSE", ylog=True, source=credit
)
axes, ends = figure.axes[0], [epoch + 0.5 for epoch in epochs]
axes.plot(at, batch_loss, ".", color="0.7", zorder=0, label="each batch")
axes.plot(ends, last, "s-", color="#D55E00", label="last batch of the epoch")
axes.legend()
figure

# %% [markdown]
# Each grey dot is a batch. The line of the means passes through the middle of
# the cloud; the other line picks one dot of each epoch, at its end. Late in
# training it may well rise while the network improves. Report whole epochs.

# %%
# NBVAL_CHECK_OUTPUT
final_epoch = batch_loss[-steps_per_epoch:]
scatter = final_epoch.max() - final_epoch.min()
progress = run.train_loss[-2] - run.train_loss[-1]
first = run.train_loss[0] / run.val_loss[0]
ratio = scatter / progress
claim("batches of one epoch differ by more than its progress", ratio, ">", 1)
claim("in epoch 1 the training loss is above validation", first, ">", 1.1)

# %% [markdown]
# ## The same loop, with seat belts
#
# From here on we use `ae_lib.training.fit`. It is your loop, with what a page
# has no room for: other optimizers and schedules, a GPU if there is one, the
# number format bfloat16 where it is faster, checkpoints. Check that it is
# the same: compare the curves.

# %%
from ae_lib.recipe import constant
from ae_lib.training import fit


def adam(lr):
    return lambda model: torch.optim.Adam(model.parameters(), lr=lr)


# %%
page = Trainer(new_model(), train[:512], validation)
page.fit(epochs=2)
common = {"validation": validation, "epochs": 2, "batch_size": 64}
common |= {"verbose": False, "watch": 0}  # print nothing, keep no images
exact = {"device": "cpu", "precision": "float32"}  # as on this page
plain = {"optimizer": adam(1e-3), "schedule": constant}
library = fit(new_model(), train[:512], **plain, **common, **exact)


# %%
# NBVAL_CHECK_OUTPUT
def apart(page, library):
    ours = torch.tensor(page.train_loss + page.val_loss)
    theirs = torch.tensor(library.train_loss + library.val_loss)
    return ((ours - theirs).abs() / theirs).max()  # relative


difference = apart(page, library)
claim("this page's loop and fit give the same curves", difference, "<", 0.01)

# %% [markdown]
# How fast is `fit` on your machine? One epoch, on the fastest device it finds.

# %%
timed = fit(new_model(), train, **plain, **(common | {"epochs": 1}))
rate = timed.images_per_second[0]
minutes = 3 * 50_000 / rate / 60
print(f"{rate:.0f} images/s: 3 epochs of 50,000 in {minutes:.1f} min")

# %% [markdown]
# ## Which learning rate?
#
# The *range test* (Smith 2017) asks one short run: raise the rate at every
# step, from far too small to far too large, and watch the loss. Two rules of
# thumb read the answer: take the rate where the loss falls most steeply, or
# take a tenth of the rate where it is lowest. **Guess** whether they agree.

# %%
few = train[:1_536]  # 24 batches
sweep = Step(new_model(), few, validation)
rates = torch.logspace(-5, 0, 48).tolist()
stream = [p for e in (0, 1) for p in data.batches(few.pixels, 64, epoch=e)]
for rate, pixels in zip(rates, stream):
    sweep.optimizer.param_groups[0]["lr"] = rate
    sweep.step(data.to_unit(pixels))

# %%
window = torch.tensor(sweep.batch_loss).unfold(0, 5, 1)  # (44, 5)
smooth, middle = window.mean(dim=1), rates[2:-2]
fall = smooth[:-9] - smooth[9:]  # nine steps are nearly a factor of 10
steepest = middle[fall.argmax() + 4]
tenth = middle[smooth.argmin()] / 10
print(f"steepest fall at {steepest:.1g}, a tenth of the lowest {tenth:.1g}")

# %% [markdown]
# The grey dots in the figure are single batches, the line a mean over five.
# **Look at the right end:** where does the loss explode?

# %%
values = {"mean of 5 batches": smooth}
figure = plots.line_with_spread(
    middle, values, "learning rate", "training MSE", xlog=True, source=credit
)
figure.axes[0].plot(rates, sweep.batch_loss, ".", color="0.7", zorder=0)
figure

# %% [markdown]
# Not before the rate is a hundred times the usual 0.001 or more. Adam scales
# each step, and batch normalisation forgives large weights, so the lowest
# point lies at an absurd rate. The two rules disagree by a large factor, and
# the usual 0.001 lies between them. Real runs, further down, put the bolder
# rule to the test.
#
# ## A schedule
#
# The rate need not stay the same. *One-cycle* (after Smith 2018) raises it
# over the first quarter of a run and lowers it to zero by the end: big steps
# while the network is far from its goal, small ones to settle. In a loop it is
# one line before the step.


# %%
def one_cycle(progress):
    """Return the factor on the learning rate; progress is from 0 to 1."""
    return progress / 0.25 if progress < 0.25 else (1 - progress) / 0.75


# %%
class Scheduled(Trainer):
    """Set the learning rate before each step."""

    def fit(self, epochs):
        self.peak = self.optimizer.param_groups[0]["lr"]
        self.steps = epochs * -(-len(self.train) // self.batch_size)
        super().fit(epochs)

    def step(self, x):
        factor = one_cycle(len(self.batch_loss) / self.steps)
        self.optimizer.param_groups[0]["lr"] = self.peak * factor
        return super().step(x)


# %% [markdown]
# `fit` takes such a function as `schedule`. Again it should make no difference
# who runs the loop.

# %%
page = Scheduled(new_model(), train[:256], validation, lr=3e-3)
page.fit(epochs=2)
cycled = {"optimizer": adam(3e-3), "schedule": one_cycle}
library = fit(new_model(), train[:256], **cycled, **common, **exact)

# %%
# NBVAL_CHECK_OUTPUT
difference = apart(page, library)
claim("with a schedule they give the same curves, too", difference, "<", 0.01)

# %% [markdown]
# ## Another optimizer
#
# Adam treats a matrix as a heap of numbers. *Muon* (Jordan 2024) treats it as
# a matrix $G = U S V^\top$: it takes the momentum of the gradient and steps
# along $U V^\top$, so that every direction moves by the same amount. Nearly
# all weights of our network sit in the two matrices beside the bottleneck. The
# recipe of the course gives those to Muon and all others to Adam.

# %%
from ae_lib.recipe import muon_and_adam

for optimizer in muon_and_adam(new_model()):
    name, group = type(optimizer).__name__, optimizer.param_groups[0]
    weights = sum(p.numel() for p in group["params"])
    print(f"{name}: {weights:>9,} weights, learning rate {group['lr']}")

# %% [markdown]
# ## Better, or lucky?
#
# Five recipes, 48 steps each but for the last, and each with several *seeds*:
# other first weights, another order of the images. The second differs from the
# first in the rate alone. The third adds the schedule, at the higher peak that
# its advocates recommend. The fourth differs from the third in the matrices
# alone: they go to Muon. The last is the first once more, with twice the
# steps: about what Muon's extra work costs in time on two CPU cores.
#
# The rule: a difference counts when it is larger than the spread among seeds.
# **Put the five in order before you run the cell.**

# %%
PLAIN, TENTH = "Adam 0.001", f"Adam {tenth:.2g}, a tenth of the lowest"
CYCLE, MUON = "Adam 0.003, one-cycle", "Muon and Adam, one-cycle"
TWICE = "Adam 0.001, twice the steps"
recipes = {
    PLAIN: plain,
    TENTH: plain | {"optimizer": adam(tenth)},
    CYCLE: cycled,
    MUON: cycled | {"optimizer": muon_and_adam},
    TWICE: plain | {"epochs": 4},
}

# %%
runs = {name: [] for name in recipes}
for name, recipe in recipes.items():
    for seed in range(pick(quick=3, full=5)):
        options = common | recipe | {"seed": seed}
        runs[name].append(fit(new_model(seed), few, **options))
final = {name: [h.val_loss[-1] for h in hs] for name, hs in runs.items()}

# %% [markdown]
# Each black dot is a run, each bar the mean over seeds. Compare the gaps
# between bars with the scatter of dots inside one.

# %%
plots.bars(final, "validation MSE after the run", source=credit)

# %% [markdown]
# The rate that "a tenth of the lowest" named loses to 0.001. One-cycle loses,
# too, on so short a run. Muon wins clearly against its partner, and at equal
# steps against plain Adam. But give plain Adam twice the steps, and most or
# all of Muon's lead is gone. What Muon buys in a long run must be measured in
# a long run, further down.


# %%
# NBVAL_CHECK_OUTPUT
def mean(name):
    return torch.tensor(final[name]).mean()


tenth_cost, cycle_cost = mean(TENTH) / mean(PLAIN), mean(CYCLE) / mean(PLAIN)
spread = max(max(final[n]) - min(final[n]) for n in (CYCLE, MUON))
gain = (mean(CYCLE) - mean(MUON)) / spread
claim("a tenth of the lowest is worse than 0.001", tenth_cost, ">", 1.05)
claim("on 48 steps one-cycle does not help Adam", cycle_cost, ">", 1)
claim("Muon's gain exceeds the spread", gain, ">", 1, unit="spreads")
back = (mean(PLAIN) - mean(TWICE)) / (mean(PLAIN) - mean(MUON))
claim("twice the steps of Adam bring half of it, or more", back, ">", 0.5)

# %% [markdown]
# A gain at equal *steps* is not yet a gain in *time*: Muon makes a matrix
# nearly orthogonal at each step, and that is work.

# %%
for name in (CYCLE, MUON):
    spent = sum(sum(h.seconds) for h in runs[name]) / len(runs[name])
    print(f"{name:<25} {1000 * spent / 48:4.0f} ms a step")
print(f"gain at equal steps: {1 - mean(MUON) / mean(CYCLE):.0%} of the error")

# %% [markdown]
# The extra work does not depend on the size of the batch. With the usual 128
# images it is spread over twice as many as here.
#
# ## Does shuffling matter?
#
# "Shuffle the data" is on every checklist. Three orders that stay the same in
# every epoch: mixed once; sorted by class, as folders are read; sorted from
# dark to bright. **Guess** which of them hurts, and by how much, compared with
# a new order for each epoch.


# %%
class Unshuffled(Trainer):
    """Show the images in the order in which they are stored."""

    def batches(self, epoch):
        return data.batches(self.train.pixels, self.batch_size, shuffle=False)


# %%
light = few.pixels.float().mean(dim=(1, 2, 3))  # (1536,)
orders = {"mixed once": few}
orders["sorted by class"] = few[few.labels.argsort(stable=True)]
orders["dark to bright"] = few[light.argsort()]
cost = {}
for name, ordered in orders.items():
    trainer = Unshuffled(new_model(), ordered, validation)
    trainer.fit(epochs=2)
    cost[name] = trainer.val_loss[-1] / mean(PLAIN)
    print(f"{name:<16} {cost[name]:.2f} times the error of new orders")

# %%
# NBVAL_CHECK_OUTPUT
mixed, by_light = cost["mixed once"], cost["dark to bright"]
claim("one fixed random order is nearly as good", mixed, "<", 1.3)
claim("an order from dark to bright is much worse", by_light, ">", 1.35)

# %% [markdown]
# What matters here, within two epochs, is the mixing and not the reshuffling.
# In a sorted order the last batches are all alike, and the weights follow
# them. How much it costs depends on what the images are sorted by. Classes of
# photographs differ a little in brightness and colour; the classes of the
# stand-in hardly do.
#
# ## Too few images
#
# "If the losses are still decreasing, train longer." Try it with 128 training
# images and the validation set as before. **Predict** both curves: does the
# training loss stop falling? Does the validation loss?

# %%
from tempfile import TemporaryDirectory

folder = TemporaryDirectory()
options = plain | common | {"epochs": 80, "out": folder.name}
options["validation"] = validation[:256]  # to save time
overfit = fit(new_model(), train[:128], **options)
values = {"training": overfit.train_loss, "validation": overfit.val_loss}
figure = plots.line_with_spread(
    range(1, 81), values, "epoch", "MSE", ylog=True, source=credit
)
add_lines(figure, {name: errors[name] for name in ("mean image", "PCA-10")})

# %% [markdown]
# Training goes down and down, validation stays behind and levels off. The
# distance between the two is *overfitting*: what the network has learned about
# these 128 images and not about images. The training loss alone would
# never tell you. The first run of this page, with more images, has almost no
# gap.


# %%
# NBVAL_CHECK_OUTPUT
def gap(history):
    return history.val_loss[-1] / history.train_loss[-1]


train_fall = 1 - overfit.train_loss[79] / overfit.train_loss[59]
val_fall = 1 - overfit.val_loss[79] / overfit.val_loss[59]
few_gap, all_gap = gap(overfit), gap(run)
claim("on 128 images validation is far above training", few_gap, ">", 2.5)
claim("with all images it is not", all_gap, "<", 1.4)
claim("from epoch 60 to 80 training still falls", train_fall, ">", 0.12)
claim("and validation gains little or nothing", val_fall, "<", 0.1)

# %% [markdown]
# So the advice needs one word more: while the *validation* loss is still
# falling, train longer. More images help more.
#
# ## Checkpoints
#
# With `out`, a folder, `fit` saves its state after every epoch: `last.pt`, to
# go on from, and `best.pt`, the state with the lowest validation loss so far.
# Each is written beside the old one and then moved over it, so that a power
# cut leaves a whole file.

# %%
from pathlib import Path
from ae_lib.checkpoints import load_checkpoint

for name in ("last.pt", "best.pt"):
    saved = load_checkpoint(Path(folder.name) / name)["history"]["val_loss"]
    print(f"{name}: epoch {len(saved)}, validation {saved[-1]:.5f}")
folder.cleanup()

# %% [markdown]
# On a curve as flat as this one "best" is decided by noise. Do not read much
# into the number of its epoch.
#
# Now pull the plug. The function below is the usual loss, but in the twelfth
# batch it presses Ctrl-C, or the stop button of the notebook, for you. Four
# epochs of eight batches were asked for. **What will the history hold, and
# what after `resume=True`?**

# %%
import itertools, signal


def loss_with_interruption(batch):
    count = itertools.count(1)

    def loss(x_hat, x):
        if next(count) == batch:
            signal.raise_signal(signal.SIGINT)
        return F.mse_loss(x_hat, x)

    return loss


# %%
small, options = train[:256], {"epochs": 4, "batch_size": 32}
options |= {"optimizer": adam(1e-3), "device": "cpu", "verbose": False}
whole = fit(new_model(), small, **options)
with TemporaryDirectory() as out:
    options["out"] = out
    part = fit(new_model(), small, loss=loss_with_interruption(12), **options)
    resumed = fit(new_model(seed=9), small, resume=True, **options)
for name, h in {"whole": whole, "part": part, "resumed": resumed}.items():
    print(f"{name:<8}", *(f"{loss:.5f}" for loss in h.train_loss))

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "interrupted in its second epoch, it has one", part.epochs, "~", 1, tol=0
)
curves = torch.tensor([whole.train_loss, resumed.train_loss])  # (2, 4)
difference = (curves[0] - curves[1]).abs().max()
claim("resumed, it ends with the uninterrupted curve", difference, "<", 1e-6)

# %% [markdown]
# The new model started from other weights (`seed=9`) and still arrived at the
# same curve: nothing of it was used. To go on to the *same* curve, weights are
# not enough. The checkpoint also holds the optimizers' memory, the number of
# the batch, the random numbers, and the losses so far.
#
# ## The long run
#
# What do more images and more steps buy? The course keeps records of longer
# runs: all 50,000 training images, 200 numbers in the code, measured on the
# 10,000 test images after everything had been decided. "Ours" is the network
# of chapter 04, trained with Muon and one-cycle, with Adam in Muon's place,
# and four times as long. "Tutorials" is a network as it is commonly published,
# with its Adam at 0.001.

# %%
from ae_lib import results

names = ("train_cifar10_200", "longer_cifar10_200")
records = [results.load(name) for name in names]
pca_200 = records[0]["data"]["pca_200_mse"]
recorded = {}
for r in [run for record in records for run in record["data"]["runs"]]:
    who = "tutorials" if "Article" in r["model"] else "ours"
    name = f"{who}, {r['recipe'].split()[0]}, {r['epochs']} epochs"
    recorded.setdefault(name, []).append(r["mse"] / pca_200)
for name, ratios in recorded.items():
    error = pca_200 * sum(ratios) / len(ratios)
    print(
        f"{name:<25} MSE {error:.5f}, {psnr(error):.1f} dB, n = {len(ratios)}"
    )
print(f"{'PCA-200':<25} MSE {pca_200:.5f}, {psnr(pca_200):.1f} dB")
print(*map(results.provenance_line, records), sep="\n")

# %% [markdown]
# **Guess:** which of the four comes below the line of PCA with 200 components?
# The figure gives each error as a multiple of PCA's. Dots are seeds.

# %%
source = records[0]["provenance"]["source"] + ", recorded"
figure = plots.bars(recorded, "test MSE, PCA-200 = 1", source=source)
add_lines(figure, {"PCA-200": 1})

# %% [markdown]
# The tutorials' network ends far above. Ours, after three epochs, is close and
# does not pass: its seeds differ by less than what is missing. With Adam on
# all its weights it stays further behind, though its epochs took a quarter
# less time: over a whole data set Muon does pay, at equal epochs at least. And
# with four times the epochs our network passes PCA. That is what it takes:
# patience.

# %%
# NBVAL_CHECK_OUTPUT
tutorials, ours, with_adam, longer = recorded.values()
ratio = max(ours) / min(tutorials)
claim("recorded: ours ends below half of the tutorials'", ratio, "<", 0.5)
claim("after 3 epochs it does not pass PCA-200", min(ours), ">", 1)
behind = min(with_adam) / max(ours)
claim("with Adam alone it is further behind", behind, ">", 1.1)
claim("after 12 epochs it has passed PCA-200", max(longer), "<", 1)

# %% [markdown]
# ## From symptom to test
#
# Before the last step, the curves of this page once more. What you see has
# more than one possible cause; the test tells them apart.
#
# | you see | it may be | the test that tells |
# |---|---|---|
# | flat from the first step, high | broken plumbing, or a hopeless rate | [eight images](#One-batch-first): not learned either? Look at range, activation, optimizer |
# | flat at the mean image's error | the output ignores the input | the outputs for two inputs: are they equal? |
# | NaN, or up and away | rate too high, or data unscaled | largest value of a batch; then a tenth of the rate |
# | up and down from batch to batch | some batches are harder | [means of whole epochs](#What-a-curve-says,-and-what-it-does-not) |
# | training above validation | the mean over a moving epoch | measure the training images again after the epoch, in `eval()` |
# | training falls, validation does not | [overfitting](#Too-few-images) | the same with twice the images: does the gap shrink? |
# | both still fall at the end | too few steps | twice the epochs, compared at [equal time](#Better,-or-lucky?) |
# | both level off, above PCA | rate, schedule, or patience | a lower rate at the end; then PCA with as many numbers |
# | validation far worse at once | another pipeline for validation | validate on training images: the same loss? |
#
# ## The test images, once
#
# All decisions are made. Now the test images may be seen, by the first run of
# this page. (The records above were made on test images, and chapter 04
# compared on them: fine for a lesson, not for a result of your own.)
# **Predict** their error from the validation loss.

# %%
test = data.load("cifar10", "test", limit=pick(quick=512, full=10_000))
test_error = mse(test, reconstruct(run.model, test))
print(f"validation {run.val_loss[-1]:.5f}, test {test_error:.5f}")

# %%
# NBVAL_CHECK_OUTPUT
ratio = test_error / run.val_loss[-1]
claim("the validation error foretold the test error", ratio, "~", 1, tol=0.15)

# %% [markdown]
# That is what the validation set is for. Had we tried a hundred recipes and
# kept the best, its validation error would be flattered by luck, and only the
# test images would show it.
#
# ## What we saw
#
# [One batch](#One-batch-first) learned by heart tests the plumbing in seconds.
# The network passes the mean image after a few hundred images and PCA-10 after
# a few thousand, [long before](#When-does-it-begin-to-draw?) the end of an
# epoch of 50,000. The loss of the last batch says more about the batch than
# about the network. Differences count when they exceed the [spread among
# seeds](#Better,-or-lucky?): Muon's gain at equal steps does, and at equal
# time it shows in a [long run](#The-long-run) only. Two pieces of folk wisdom
# failed: a tenth of the lowest rate, and "still falling, so train longer"
# where it is the [training loss](#Too-few-images) that falls. A good
# [checkpoint](#Checkpoints) makes an interruption invisible.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **An epoch, by heart.** Write `train_epoch(model, optimizer, x,
#    batch_size)` without looking up: all images once, in the order given, one
#    step for each batch. It returns the mean loss over all *samples*; the last
#    batch may be smaller than the others.


# %% tags=["exercise"]
# Exercise 05.1
import torch.nn.functional as F


def train_epoch(model, optimizer, x, batch_size):
    """Take one step for each batch; return the mean loss, a number.

    x is (N, C, H, W) in [0, 1]; the loss is the mean squared error.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("05.1", train_epoch)

# %% [markdown]
# 2. **A look that leaves no trace.** Write `validate(model, x, batch_size)`:
#    the mean loss over all samples in evaluation mode, without gradients.
#    Afterwards each part of the model is in the mode in which it came:
#    somebody may have frozen one of them.


# %% tags=["exercise"]
# Exercise 05.2
def validate(model, x, batch_size):
    """Return the mean squared error over x (N, C, H, W), a number."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("05.2", validate)

# %%
exercises.progress("05")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **What does one batch find?** Train on eight images for 60 steps with one
#    bug at a time: (a) the images are scaled to [−1, 1] although the network
#    ends in a sigmoid; (b) the optimizer was given the weights of another
#    model; (c) `optimizer.zero_grad()` is forgotten. Compare each final loss
#    with the error of the mean of the eight in the same range. You have
#    succeeded when you can say which bugs the test finds, and name one that it
#    can never find.
# 4. **Stop in time.** Write `Patient(Trainer)`, whose `fit` stops when the
#    validation loss has not improved for `patience` epochs and puts the best
#    weights back. Try it on 64 images in batches of 16, with up to 60 epochs
#    and a patience of 4. You have succeeded when it stops before the end and
#    `validate()` returns the minimum of `val_loss`.
# 5. **How large a batch?** Train on the same 1,024 images for one epoch with
#    batches of 16, 64 and 256. Compare at equal images, and then at equal
#    seconds. What do you recommend to somebody with two CPU cores, and what
#    would you need to measure before you recommend it for a GPU? You have
#    succeeded when your recommendation rests on two numbers.
#
# Solutions:
# [solutions/05_training.ipynb](solutions/05_training.ipynb).
#
# ## Further reading
#
# - A. Karpathy, [A recipe for training neural
#   networks](https://karpathy.github.io/2019/04/25/recipe/), 2019. Overfit one
#   batch, become one with the data: the habits of this chapter, and more.
# - L. N. Smith, [Cyclical learning rates for training neural
#   networks](https://arxiv.org/abs/1506.01186), WACV 2017. The range test;
#   look at what he tested it with (mostly plain SGD).
# - L. N. Smith, [A disciplined approach to neural network hyper-parameters:
#   part 1](https://arxiv.org/abs/1803.09820), 2018. One-cycle, and how
#   learning rate, batch size and momentum hang together.
# - D. P. Kingma, J. Ba, [Adam: a method for stochastic
#   optimization](https://arxiv.org/abs/1412.6980), ICLR 2015. The optimizer of
#   almost every tutorial.
# - K. Jordan, [Muon: an optimizer for hidden layers in neural
#   networks](https://kellerjordan.github.io/posts/muon/), 2024. Why it pays to
#   treat a matrix as a matrix.
# - X. Bouthillier et al., [Accounting for variance in machine learning
#   benchmarks](https://arxiv.org/abs/2103.03098), MLSys 2021. How much of a
#   reported gain is luck, and what to vary to find out.
