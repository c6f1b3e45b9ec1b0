# %% [markdown]
# # 13 · A method
#
# The program on this page has five faults. Repair any one of them, and its
# answers are still worse than the mean image. Repair four in the order of this
# page, and they still are. How do you find faults when a right repair brings
# little reward or none?
#
# **You will be able to**
#
# - follow a chart from a bad result to its causes, cheapest question first;
# - give each repair a test of its own, smaller than the whole run;
# - check an implementation: ranges, loss, batches, weights, rate;
# - say when to stop looking for faults and to train.
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
# ## The chart
#
# Read it from the top. The cheap questions come first, and each leans only on
# those above it: a rate cannot be judged while half of the weights stand
# still. A "no" goes right, and then back to the same question. **Look for**
# the first question that you usually skip.

# %%
STAGES = {
    "before any training": [
        ("Are mean image and PCA measured?", "Measure both first."),
        ("Can outputs reach the data's range?", "Rescale; other activation."),
        ("Is the loss lowest for a perfect copy?", "Mend loss or targets."),
        ("Is PCA with as many numbers enough?", "Make the code longer."),
        ("Does an epoch visit every image?", "Count images; mend the loop."),
    ],
    "one step": [("Does every weight move?", "Give all to the optimizer.")],
    "16 images": [
        ("Are they learned by heart?", "Try other rates; see the signal.")
    ],
    "the run": [
        ("Does the validation error fall?", "Rises: more images, or stop.")
    ],
}
plots.flow_chart(STAGES, "Train longer; one change at a time.")

# %% [markdown]
# Five of the eight cost no training at all. Before the first stands a rule
# that is no question: start simple. Strip the program of schedule,
# augmentation and extra loss terms until it is the plainest one that ought to
# work. The same questions on a page to print, with room for your numbers:
# [checklist.md](checklist.md).
#
# ## The patient
#
# A plain autoencoder for digits, put together from several tutorials. Each
# name in `NAMES` is a fault, and `repaired` lists those that have been mended.

# %%
from torch import nn
import torch.nn.functional as F

images = data.load("mnist", limit=1_400)
train, validation = data.hold_out(images, 300)
NAMES = ("range", "code", "batches", "register", "rate")


# %%
class Net(nn.Module):
    def __init__(self, latent_dim, register):
        super().__init__()
        down = [nn.Conv2d(1, 16, 4, 4), nn.ReLU()]  # (B, 16, 7, 7)
        down += [nn.Flatten(), nn.Linear(784, latent_dim)]
        self.encoder = nn.Sequential(*down)
        up = [nn.Linear(latent_dim, 784), nn.ReLU()]
        up += [nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 1, 4, 4)]
        self.layers = [*up, nn.Sigmoid()]
        if register:
            self.decoder = nn.Sequential(*self.layers)

    def forward(self, x):
        h = self.encoder(x)  # (B, latent_dim)
        for layer in self.layers:
            h = layer(h)
        return h  # (B, 1, 28, 28)


# %% [markdown]
# And the program around it. You see the faults here because you wrote none of
# them; in your own program you would not.


# %%
def prepare(images, repaired):
    x = images.unit()  # (N, 1, 28, 28)
    return x if "range" in repaired else 2 * x - 1  # "always use [-1, 1]"


def start(repaired, seed=0):
    torch.manual_seed(seed)
    net = Net(32 if "code" in repaired else 2, "register" in repaired)
    lr = 0.005 if "rate" in repaired else 0.3
    return net, torch.optim.Adam(net.parameters(), lr=lr)


def epoch_slices(n, repaired, size=50):
    if "batches" in repaired:
        return [slice(j, j + size) for j in range(0, n, size)]
    return [slice(j, j + size) for j in range(n // size)]


# %%
from functools import cache


def step(net, optimizer, x):
    loss = F.mse_loss(net(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def relative(x_hat, x, mean):
    return (F.mse_loss(x_hat, x) / F.mse_loss(mean.expand_as(x), x)).item()


@cache  # the page asks for some runs twice
def run(repaired=(), seed=0, epochs=12):
    net, optimizer = start(repaired, seed)
    x, held = prepare(train, repaired), prepare(validation, repaired)
    for _ in range(epochs):
        for rows in epoch_slices(len(x), repaired):
            step(net, optimizer, x[rows])
    x_hat = net(held).detach()
    return relative(x_hat, held, x.mean(0)), x_hat


# %% [markdown]
# Errors on this page are given as multiples of the mean image's, on
# validation images: 1 is an answer that ignores its input, 0 is perfect, and
# 1 minus the number is R². First what impatience does: train for twice as
# long, or repair one thing and look. **Guess** which repair gets below 1.

# %%
alone = {"as it came": run()[0], "twice as long": run(epochs=24)[0]}
alone |= {f"{name} alone": run((name,))[0] for name in NAMES}
for name, value in alone.items():
    print(f"{name:<16} {value:5.2f} times the mean image's error")

# %%
# NBVAL_CHECK_OUTPUT
longer = alone["twice as long"] / alone["as it came"]
claim("twice the epochs gain next to nothing", longer, ">", 0.85)
claim("no single repair reaches the mean image", min(alone.values()), ">", 2)

# %% [markdown]
# Two of the repairs halve the error, three hardly show, and none comes near
# the mean image. Whoever tries one thing, sees a bad result and puts it back
# will never arrive: the faults that remain hide what it was worth. So do not
# ask the final result. Ask the questions of the chart, whose answers do not
# wait for the rest.
#
# ## 1. Baselines
#
# The mean image is our unit. PCA says what a linear code of some length can
# do.

# %%
from ae_lib.baselines import PCA

x_train, x_val = train.unit(), validation.unit()
mean = x_train.mean(0)
pca = PCA.fit(train, 32)
reach = {k: relative(pca.truncate(k)(x_val), x_val, mean) for k in (2, 32)}
for k, value in reach.items():
    print(f"PCA with {k:2} numbers: {value:.2f}")

# %% [markdown]
# ## 2. Data and outputs
#
# Print the range of what goes in and of what comes out. Print, not only draw:
# a picture clips at black and white, and would show nothing odd. Then clip a
# perfect copy to what the sigmoid can say. **Guess** its error: could a
# network with this output beat the mean image?

# %%
repaired = ()
x = prepare(train, repaired)
out = start(repaired)[0](x[:100]).detach()
for name, v in {"data": x, "outputs": out}.items():
    print(f"{name:<8} {v.min():5.2f} to {v.max():.2f}")
floor = relative(x.clamp(0, 1), x, x.mean(0))

# %%
# NBVAL_CHECK_OUTPUT
claim("no output of a sigmoid gets near the mean image", floor, ">", 2)
repaired += ("range",)
x = prepare(train, repaired)
floor = relative(x.clamp(0, 1), x, x.mean(0))
claim("repaired, a perfect copy is possible", floor, "~", 0, tol=1e-6)

# %% [markdown]
# ## 3. A perfect copy
#
# Hand the loss a perfect copy, and then something slightly worse. The first
# number must be the lowest there is. Here nothing is wrong, and that is an
# answer too: write it down and go on.

# %%
# NBVAL_CHECK_OUTPUT
perfect = F.mse_loss(x, x)
claim("a perfect copy costs nothing", perfect, "~", 0, tol=0)
claim("a slightly darker one costs more", F.mse_loss(0.9 * x, x), ">", perfect)

# %% [markdown]
# ## 4. The code
#
# How many numbers does the code have, and what does PCA do with as many? A
# code of 2 is the fashion in tutorials, because it can be drawn as a map.

# %%
# NBVAL_CHECK_OUTPUT
claim("PCA with 2 numbers leaves more than half", reach[2], ">", 0.5)
repaired += ("code",)
claim("PCA with 32 leaves far less", reach[32], "<", 0.4)

# %% [markdown]
# A network can beat PCA, but not by magic: if 32 linear numbers are good
# enough for the purpose, 32 of a network's can be.
#
# ## 5. One epoch
#
# Count the different images that an epoch hands out. **Guess** the share.


# %%
def visited(repaired):
    slices = epoch_slices(len(train), repaired)
    rows = [range(len(train))[s] for s in slices]
    return len({i for batch in rows for i in batch}) / len(train)


# %%
# NBVAL_CHECK_OUTPUT
claim("share of the images that are seen", visited(repaired), "<", 0.1)
repaired += ("batches",)
claim("repaired, all are", visited(repaired), "~", 1, tol=0)

# %% [markdown]
# The slices moved on by one image, not by one batch. All batches were full,
# and their number was right.
#
# ## 6. One step
#
# Take a single step and ask each weight that the forward pass uses whether it
# moved *at all*. **Guess** the share of those that did not.


# %%
def still(repaired):
    net, optimizer = start(repaired)
    used = [p for m in (net.encoder, *net.layers) for p in m.parameters()]
    before = [p.detach().clone() for p in used]
    step(net, optimizer, prepare(train, repaired)[:50])
    same = [p.numel() for a, p in zip(before, used) if torch.equal(a, p)]
    return sum(same) / sum(p.numel() for p in used)


# %%
# NBVAL_CHECK_OUTPUT
claim("share of the weights that stand still", still(repaired), ">", 0.3)
repaired += ("register",)
claim("repaired, none does", still(repaired), "~", 0, tol=0)

# %% [markdown]
# The layers of the decoder stood in a plain list. `parameters()` does not look
# into lists, so the optimizer never had them. `nn.ModuleList` or
# `nn.Sequential` would have told it. Now, and not before, the rate can be
# judged.
#
# ## 7. Sixteen by heart
#
# Three hundred steps on sixteen images, at the program's rate and at two
# smaller ones, three seeds each. **Guess** which rate learns them best.


# %%
def by_heart(lr, seed):
    torch.manual_seed(seed)
    net, x = Net(32, register=True), x_train[:16]
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for _ in range(300):
        step(net, optimizer, x)
    return relative(net(x), x, x.mean(0))


heart = {lr: [by_heart(lr, s) for s in range(3)] for lr in (0.3, 0.03, 0.005)}
for lr, values in heart.items():
    print(f"rate {lr:<6}", " ".join(f"{v:5.2f}" for v in values))

# %%
# NBVAL_CHECK_OUTPUT
claim("at its own rate it learns nothing by heart", min(heart[0.3]), ">", 1)
claim("at a small one it does", max(heart[0.005]), "<", 0.45)
x = x_train[:16]
black = relative(torch.zeros_like(x), x, x.mean(0))
claim("0.3 scores as black does", max(heart[0.3]) / black, "~", 1, tol=0.1)
repaired += ("rate",)

# %% [markdown]
# At 0.3 the error is that of a picture almost wholly black. Probably the first
# steps throw the weights so far that most sigmoids stick at 0, for every
# input, where their gradient vanishes. That can be looked at, and will be.
#
# ## 8. The run
#
# Only now does a run of the whole program say something. First the road we
# came, three seeds at each station, each repair added to those before. **Look
# for** the stations at which the result rewards the repair.

# %%
road = {"as it came": ()}
road |= {f"+ {name}": NAMES[: k + 1] for k, name in enumerate(NAMES)}
scores = {k: [run(v, s)[0] for s in range(3)] for k, v in road.items()}
figure = plots.bars(
    scores, "error, mean image = 1", log=True, source=images.source
)
figure.axes[0].axhline(1, color="0.35", linestyle=":")
figure

# %% [markdown]
# Dots are seeds, the dotted line is the mean image. Repairing the code, then
# the batches, shows nothing at all. After four right repairs every run is
# still above the line, and the fifth takes the rest at once. Had you kept only
# what beats the mean image, you would have thrown four of them away.


# %%
# NBVAL_CHECK_OUTPUT
*early, final = scores.values()
change = sum(scores["+ batches"]) / sum(scores["+ range"])
claim("code and batches repaired: no reward", change, "~", 1, tol=0.25)
claim("four repairs: worse than the mean image", min(map(min, early)), ">", 1)
claim("five: far better than the mean image", max(final), "<", 0.6)
more = run(NAMES, epochs=24)[0] / run(NAMES)[0]
claim("and now twice the epochs do help", more, "<", 0.9)

# %% [markdown]
# The same advice, "train longer", was worthless at the top of the page and is
# right here. The pictures below, brought back to the range of the images, show
# the first eight validation images. **Look for** a row in which anything of
# the input comes through.

# %%
rows = {"as it came": (run()[1] + 1) / 2}
rows["four repairs"] = run(NAMES[:4])[1]
rows |= {"all five": run(NAMES)[1], "twice as long": run(NAMES, epochs=24)[1]}
rows["PCA-32"] = pca(x_val).clamp(0, 1)
rows = {name: x_hat[:8] for name, x_hat in rows.items()}
plots.compare(x_val[:8], rows, source=images.source)

# %% [markdown]
# As it came, it draws one hard pattern for all digits: nobody trained its
# decoder, and a rate of 0.3 drove the codes to extremes. With four repairs,
# one almost black picture for all. Then come digits. From here on there is no
# fault of the five to look for, only work: PCA with as many numbers is still
# ahead, until the epochs are doubled; after that come more images, mixed
# batches, a better network. Then changes are small, and the rule of chapter 05
# applies: one at a time, and a gain counts when it exceeds the spread among
# seeds.
#
# ## The run, page by page
#
# The last error says *that* a run failed. A page for every epoch says where.
# `Logbook` looks at 200 validation images: what is made of them, which numbers
# their codes hold, and of each layer two things. The *signal ratio* is the
# deviation across images over the root mean square, 0 when every image gives
# the same. A unit (in maps: a channel) that does so is *dead*.

# %%
from ae_lib.logbook import Logbook


def logbook(repaired, epochs=12):
    net, optimizer = start(repaired)
    x, seen = prepare(train, repaired), x_val[:200]
    pca_32 = F.mse_loss(pca(seen), seen).item()
    book = Logbook(validation, baselines={"PCA-32": pca_32})
    for _ in range(epochs):
        for rows in epoch_slices(len(x), repaired):
            step(net, optimizer, x[rows])
        book.note(net)
    return book


books = {"four repairs": logbook(NAMES[:4]), "all five": logbook(NAMES)}

# %% [markdown]
# First the program that draws black, with its rate of 0.3. **Guess** in which
# layer the images get lost: in the code?

# %%
plots.run_pages(books["four repairs"], source=images.source)

# %% [markdown]
# Not there. The numbers of the code are in the thousands, but they differ from
# image to image, and so does all that follows, up to the last layer but one.
# In the sigmoid the differences end, after two epochs at the latest: it gives
# the same for every image. The guess of section 7 was right.
#
# Now with the fifth repair. **Before you look:** how strong is the signal of
# the last layer after one epoch?

# %%
plots.run_pages(books["all five"], source=images.source)

# %% [markdown]
# It begins nearly as badly. After one epoch all answers are alike, and most
# units of the decoder's ReLU are dead. But nothing is stuck: the signal grows
# from page to page, and most of the dead units wake up. A layer that is half
# dead early in a run is a sign to keep an eye on, and no verdict.


# %%
# NBVAL_CHECK_OUTPUT
stuck, healthy = (book.pages[-1].layers for book in books.values())
early = books["all five"].pages[0].layers[-1].signal
grown = healthy[-1].signal / early
claim("four repairs: no signal comes out", stuck[-1].signal, "<", 0.01)
claim("though it reaches the last sigmoid", stuck[-2].signal, ">", 0.03)
claim("all five: the signal of the output grows", grown, ">", 3, unit="times")

# %% [markdown]
# Turn all pages, with the mouse or the arrow keys. **Watch** when the dead
# units wake up, and what the error does in these epochs.

# %%
from ae_lib.explore import explore_runs

explore_runs(books)

# %% [markdown]
# The error falls below that of the mean image while they wake up. For a
# program of your own, the lines with `book` in them are all you need.
#
# ## Does the doctor go the same way?
#
# `doctor.examine` asks most of these questions by itself. Three states of the
# program: as it came, with all repairs but the rate, and repaired.

# %%
from ae_lib import doctor

reports = {}
for name, state in {"as it came": 0, "four repairs": 4, "all five": 5}.items():
    net, optimizer = start(NAMES[:state])
    x = prepare(train, NAMES[:state])
    batches = [x[rows] for rows in epoch_slices(len(x), NAMES[:state])]
    options = {
        "optimizer": optimizer,
        "budget_seconds": pick(quick=4, full=20),
    }
    reports[name] = doctor.examine(net, batches, **options)
    print(f"{name}:", ", ".join(reports[name].faults) or "no fault found")


# %%
# NBVAL_CHECK_OUTPUT
def named(report):
    return {f.code for f in report.findings + report.suppressed}


plain = {"output.range", "data.order", "wiring.unoptimised"}
found = len(plain & named(reports["as it came"]))
claim("faults that need no training, named at once", found, "~", 3, tol=0)
errors = sum(f.severity == "error" for f in reports["all five"].findings)
claim("errors reported of the repaired program", errors, "~", 0, tol=0)

# %% [markdown]
# It, too, works from the top down. Faults that show without training come
# first; what they would hide waits for the next examination. So repair, and
# examine again. One fault is no claim here: beside the rate of 0.3 the run
# stored here says "no fault found", of a program that draws black. It judges
# the rate by a few steps within its time, and in our trials it named this one
# sometimes and sometimes not. The test with sixteen images never failed. No
# fault found is no proof of health.
#
# ## What we saw
#
# [No single repair](#The-patient) brought the result near the mean image, and not
# even [four](#8.-The-run) did. Each showed at once in a question of its own: the range
# in [data and outputs](#2.-Data-and-outputs), the length of the code in
# [PCA's error](#4.-The-code), the batches in [a count](#5.-One-epoch), the
# forgotten weights in [one step](#6.-One-step), the rate on [sixteen
# images](#7.-Sixteen-by-heart). The order is the method: cheap questions
# first, each leaning only on those before it.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **Right cause or look-alike?** A decoder that the optimizer does not have,
#    and a rate that is far too small or too large: three programs that do not
#    learn. Write `verdict(net, optimizer, x)` for networks of the class `Net`
#    above, which names the cause from the weights before and after a single
#    step, without looking at the rate. Some of the eight programs of the check
#    are healthy, and some have two faults: name the one to be mended first.


# %% tags=["exercise"]
# Exercise 13.1
import torch.nn.functional as F


def verdict(net, optimizer, x):
    """Return why a network of the class Net does not learn.

    One of "wiring.unoptimised", "step.too-small", "step.too-large", "none".
    The forward pass uses net.encoder and the list net.layers.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("13.1", verdict)

# %% [markdown]
# 2. **A quiet fault.** Someone draws batches of inputs and of targets with two
#    loaders. Weights, range, code and rate are in order, and the network draws
#    the mean image. Name the `cause` in one of the doctor's words. Write
#    `measure(pairs)`, which gets the batches of an epoch as a list: a number
#    that is far off here, and neither in a healthy epoch nor in that of a
#    denoiser, whose inputs are not its targets either. And `repair` it.


# %%
from torch.utils.data import DataLoader


def pairs(x, size):
    """Yield (input, target) for one epoch, in random order."""
    inputs = DataLoader(x, size, shuffle=True)
    targets = DataLoader(x, size, shuffle=True)
    yield from zip(inputs, targets, strict=True)


# %% [markdown]
# No line of it raises an error, and every shape is right.


# %% tags=["exercise"]
# Exercise 13.2
import torch.nn.functional as F
from torch.utils.data import DataLoader


class Diagnosis:
    """The program `pairs`: its cause, what shows it, and what mends it."""

    def cause(self):
        """Name the cause, in one of the doctor's words."""
        ...  # your code here

    def measure(self, pairs):
        """Return a number that is far off in this program alone."""
        ...  # your code here

    def repair(self, x, size):
        """Yield (input, target) for one epoch, in random order."""
        ...  # your code here


# %%
from ae_lib import exercises

exercises.check("13.2", Diagnosis)

# %%
exercises.progress("13")

# %% [markdown]
# The third has no check below it: you are the judge.
#
# 3. **Leave one out.** Is each of the five a fault, or would four repairs have
#    done? Repair all but one, five times. You have succeeded when you can name
#    the fault that hides best: without its repair the program looks like a
#    small success.
#
# Solutions: [solutions/13_method.ipynb](solutions/13_method.ipynb).
#
# ## Further reading
#
# - A. Karpathy, [A recipe for training neural
#   networks](https://karpathy.github.io/2019/04/25/recipe/), 2019. The habits
#   behind this chart.
# - D. Agans, *Debugging: the nine indispensable rules*, AMACOM 2002. "Quit
#   thinking and look", and "change one thing at a time".
# - A. Zeller, *Why programs fail*, Morgan Kaufmann 2009. Debugging as a series
#   of experiments.
