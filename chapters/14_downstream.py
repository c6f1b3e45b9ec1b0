# %% [markdown]
# # 14 · Features for downstream models
#
# You have thousands of photographs and labels for a hundred of them. Train an
# autoencoder on all the photographs, so the promise goes, and give its codes
# to a classifier instead of the pixels: sixty-four numbers that "capture the
# essential features". How many more images will it name correctly than with
# sixty-four numbers of PCA? And than a network that has only the labels?
#
# **You will be able to**
#
# - test a code as features, with few labels and many, against rivals that cost
#   nothing;
# - say which readers care about the scale of a code, and cure them;
# - find out whether an encoder suffers from being trained on other images;
# - say what a low reconstruction error promises about features, and what not;
# - work through the usual list of cures, knowing what each of them gave here.
#
# **Cost:** about 70 s on 2 CPU cores.

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
# ## Four rivals
#
# The training images serve twice. The encoders see some of them *without*
# labels; the classifiers see some of them *with* labels. Test images are only
# counted. Whatever a classifier has to choose, it chooses on its own labelled
# images.

# %%
train = data.load("cifar10", limit=pick(quick=6_000, full=50_000))
test = data.load("cifar10", "test", limit=pick(quick=2_000, full=10_000))
unlabelled = train[: pick(quick=2_000, full=50_000)]
seeds = (0, 1, 2)
print(train, test, sep="\n")

# %% [markdown]
# The autoencoder of chapter 04 with 64 numbers, three times, each from other
# first weights. Beside it the same network *untrained*: its weights are those
# it was drawn with. Only its batch normalisation has seen images, so that its
# numbers have a sensible size.

# %%
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit
from torch.optim.swa_utils import update_bn


def new_network(seed, latent_dim=64):
    torch.manual_seed(seed)
    return ConvAutoencoder(latent_dim)


# %%
def untrained_network(seed, images, latent_dim=64):
    model = new_network(seed, latent_dim)
    update_bn(images.unit().split(500), model)  # means and variances only
    return model.eval()


# %%
def learn(model, images, epochs, seed):
    fit(
        model, images, epochs=epochs, batch_size=50, seed=seed, verbose=False
    )  # fmt: skip


# %% [markdown]
# Training goes through the images twice. We keep a copy of what each network
# was after the first time: it will be asked later on.

# %%
from copy import deepcopy

untrained = [untrained_network(seed, unlabelled) for seed in seeds]
trained = [new_network(seed) for seed in seeds]
early = []
for seed, model in zip(seeds, trained):
    learn(model, unlabelled, 1, seed)
    early.append(deepcopy(model))
    learn(model, unlabelled, 1, seed)

# %% [markdown]
# PCA with 64 numbers is the sceptic's method: one line, no training, the best
# linear code there is. The pixels themselves are the sceptic's other question.
# Every rival becomes a table of numbers, a row for each image. (We fit PCA
# with 256 numbers and keep 64 here; the rest is for later.)

# %%
from ae_lib.baselines import PCA
from ae_lib.features import extract
from torch import nn

largest = PCA.fit(unlabelled, 256)
pca = largest.truncate(64)
encoders = {
    "pixels, 3,072": [nn.Flatten()],
    "PCA, 64": [pca.encode],
    "untrained, 64": [model.encode for model in untrained],
    "autoencoder, 64": [model.encode for model in trained],
}

# %%
features = {
    name: [(extract(e, train), extract(e, test)) for e in group]
    for name, group in encoders.items()
}  # (N, D), (N_test, D)

# %% [markdown]
# ## Few labels
#
# Ten, fifty or a hundred images of each class get their label. A small draw
# is part of the larger one, and there are three draws; run number 1 has draw 1
# and network 1. So the spread below holds both kinds of luck, that of the
# images and that of the first weights.


# %%
def few(labels, n, seed):
    """Return the rows of n images of each class, drawn by seed."""
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=random)
    rows = [order[labels[order] == c][:n] for c in labels.unique()]
    return torch.cat(rows)


# %%
per_class = (10, 50, 100)
draws = [[few(train.labels, n, seed) for n in per_class] for seed in seeds]

# %% [markdown]
# The reader is the linear probe of chapter 01, which chooses its penalty on a
# fifth of the labelled images. It standardises its features; to PCA's numbers
# that means to *whiten* them, so that the last weighs as much as the first.
# What that is worth comes later.

# %%
from ae_lib.features import linear_probe


def probe(f, rows, f_test):
    return linear_probe(f[rows], train.labels[rows], f_test, test.labels)


# %%
named = {}
for name, pairs in features.items():
    pairs = pairs * (len(seeds) // len(pairs))  # pixels and PCA have no seed
    named[name] = [
        [probe(f, rows, f_test) for rows in draw]
        for draw, (f, f_test) in zip(draws, pairs)
    ]

# %% [markdown]
# And a competitor who uses only the labelled images, but all the way down:
# `SmallVGG` of chapter 01, trained with the labels. Its training is made of
# about 8,000 looks at an image: eighty at each, if there are a hundred. It
# gets no other help, no augmentation for one.

# %%
from ae_lib.features import SmallVGG, train_classifier


def supervised(rows, seed, looks=8_000):
    torch.manual_seed(seed)
    network = SmallVGG()
    epochs = round(looks / len(rows))
    train_classifier(network, train[rows], epochs=epochs, seed=seed)
    answers = extract(network, test).argmax(dim=1)
    return (answers == test.labels).float().mean().item()


# %%
named["with labels only"] = [
    [supervised(rows, seed) for rows in draw]
    for seed, draw in zip(seeds[:2], draws)
]

# %% [markdown]
# **Guess before you look:** who leads with ten labels per class, and who with
# a hundred? How many points (hundredths of the test images) lie between the
# autoencoder and PCA?

# %%
plots.line_with_spread(
    per_class,
    named,
    "labelled images of each class",
    "share of test images named correctly",
    xlog=True,
    source=test.source,
)

# %% [markdown]
# Who has only the labels is ahead of all that was learned without them, from
# fifty labels on by a wide margin. The other four lie close together, and
# their order is not the same for photographs and for the drawn shapes of the
# stand-in. With a hundred labels the autoencoder is within a few points of
# PCA, of the pixels, and of the network that has learned nothing. With ten,
# on photographs, it leads whitened PCA by some points; look at the width of
# the bands, too: there a draw is worth several points.
#
# (The classes of the stand-in are outlines in random colours. Nothing that was
# made for pixels finds them; blind guessing names a tenth.)
#
# And with many labels? Five hundred of each class are most of the images that
# the quick budget has, so that draws would hardly differ: one draw, and the
# seeds of the networks.

# %%
many = few(train.labels, 500, 0)
plenty = {
    name: [probe(f, many, f_test) for f, f_test in pairs]
    for name, pairs in features.items()
}
plenty["with labels only"] = [
    supervised(many, seed, looks=10_000) for seed in seeds[:2]
]

# %% [markdown]
# **Guess:** who leads now, and by how much?

# %%
plots.bars(plenty, "share of test images named correctly", source=test.source)

# %% [markdown]
# The network that was told what to look for leaves all of them behind, after
# seeing each image just twice. Labels are worth more than features.

# %%
scores = {name: torch.tensor(runs) for name, runs in named.items()}  # (3, 3)
mean = {name: runs.mean(dim=0) for name, runs in scores.items()}  # (3,)
pixels, linear, blank, learned, told = scores

# %%
# NBVAL_CHECK_OUTPUT
rivals = {"PCA": linear, "the pixels": pixels, "an untrained one": blank}
for name, rival in rivals.items():
    lead = (mean[learned] - mean[rival])[2]
    claim(f"100 labels: at most some points above {name}", lead, "<", 0.09)
lead = (mean[told] - mean[learned])[1:].min()
claim("50 and 100 labels: using them beats the codes", lead, ">", 0.02)
lead = min(plenty[told]) - max(max(plenty[name]) for name in features)
claim("500 labels: it beats each code and the pixels", lead, ">", 0.05)

# %% [markdown]
# So much for the headline. The usual advice has answers ready: train more,
# scale the codes, change the classifier, look at your data, do not overfit.
# Each is made into an experiment below.
#
# ## More images
#
# Two thousand images, twice over: is the autoencoder just badly trained? As a
# reconstructor it is.

# %%
from ae_lib.metrics import mse, reconstruct

some = test[:500]
for name, model in (("PCA", pca), ("autoencoder", trained[0])):
    print(f"{name:12} test MSE {mse(some, reconstruct(model, some)):.4f}")

# %% [markdown]
# So here is a record of the same network after two epochs on *all* 50,000
# training images of CIFAR-10, its code read with as few labels and judged on
# 10,000 test images. **Guess:** does it overtake PCA in error? In names?

# %%
from ae_lib import results

record = results.load("features_cifar10_64")
print(results.provenance_line(record))
print(f"{'':12} test MSE" + "".join(f"{n:>8}" for n in (10, 50, 100, 500)))
for run in record["data"]["runs"]:
    cells = [f"{share:8.1%}" for share in run["shares"].values()]
    print(f"{run['model']:12} {run['mse']:.5f} ", *cells, sep="")

# %% [markdown]
# Twenty-five times as many images bring the error below that of PCA. The
# shares stay where they were for 2,000 photographs: ahead of PCA with ten
# labels, level with it for a hundred and more. So it is not that the training
# was too short. (Where the figures above show the stand-in, their shares are
# another matter; the record is of photographs.)

# %%
# NBVAL_CHECK_OUTPUT
kept = {(r["model"], r["seed"]): r for r in record["data"]["runs"]}
ratios, leads = [], []
for seed in record["provenance"]["seeds"]:
    ours, theirs = kept["autoencoder", seed], kept["PCA", seed]
    ratios.append(ours["mse"] / theirs["mse"])
    leads += [ours["shares"][n] - theirs["shares"][n] for n in ("100", "500")]
claim("all images: a lower error than PCA", max(ratios), "<", 1)
claim("100 and 500 labels: few points from PCA", max(leads), "<", 0.04)

# %% [markdown]
# ## Scale
#
# "Remember to scale the features." A code has no scale of its own. Multiply
# each of its numbers by a factor and let the decoder divide by it: the
# reconstruction is the same. Here the factors run from 1/128 to 128; they are
# powers of two, so that nothing is rounded.

# %%
factors = 2.0 ** torch.linspace(-7, 7, 64).round()
stretched = deepcopy(trained[0])
with torch.no_grad():
    stretched.bottleneck.weight.mul_(factors[:, None])  # (64, 4096)
    stretched.bottleneck.bias.mul_(factors)
    stretched.decoder.stack[0].weight.div_(factors)  # (4096, 64)
    x = test[:500].unit()
    drift = (stretched(x) - trained[0](x)).abs().max().item()
print(f"largest change of a pixel: {drift:g}")

# %% [markdown]
# So the loss cannot tell the two codes apart, and nothing in training asks for
# the tidy one. Their readers can. Four of them, all on a hundred labels per
# class: the vote of the ten nearest neighbours, a support vector machine
# (SVM), the vote after PCA has cut the code to 16 numbers, and our probe.

# %%
from sklearn.decomposition import PCA as Cut
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

# %%
readers = {
    "neighbours": KNeighborsClassifier(10),
    "SVM": SVC(C=3),  # a Gaussian kernel, as wide as the codes need
    "after PCA-16": make_pipeline(Cut(16), KNeighborsClassifier(10)),
}


# %%
def read(reader, f, rows, f_test):
    reader.fit(f[rows].numpy(), train.labels[rows].numpy())
    return reader.score(f_test.numpy(), test.labels.numpy())


# %% [markdown]
# Scaling means: subtract the mean and divide by the deviation of the *labelled
# training images*. Test images are scaled by these numbers too, never by their
# own. The codes come in four states.


# %%
def standardised(f, rows, f_test):
    mean, std = f[rows].mean(dim=0), f[rows].std(dim=0)
    return (f - mean) / std, (f_test - mean) / std


# %%
hundred = [draw[2] for draw in draws]
states = {}
for name in ("PCA, 64", "autoencoder, 64"):
    pairs = features[name] * (len(seeds) // len(features[name]))
    long = [(f * factors, g * factors) for f, g in pairs]
    for kind, some in (("", pairs), ("stretched ", long)):
        states[kind + name] = some
        states[kind + name + ", scaled"] = [
            standardised(f, r, g) for r, (f, g) in zip(hundred, some)
        ]

# %%
by_reader = {
    reader: {
        state: [
            read(readers[reader], f, rows, g)
            for rows, (f, g) in zip(hundred, pairs)
        ]
        for state, pairs in states.items()
    }
    for reader in readers
}

# %% [markdown]
# The probe is a function of ours, and joins them on the same draws.

# %%
by_reader["linear probe"] = {
    state: [probe(f, rows, g) for rows, (f, g) in zip(hundred, pairs)]
    for state, pairs in states.items()
}

# %% [markdown]
# The means of the three runs, in per cent. **Guess:** which rows change when
# the code is stretched? Does scaling help a code that nobody has stretched?


# %%
def average(values):
    return sum(values) / len(values)


# %%
print(" " * 33 + "  ".join(f"{name:>12}" for name in by_reader))
for state in states:
    cells = [f"{average(t[state]):12.1%}" for t in by_reader.values()]
    print(f"{state:33}" + "  ".join(cells))

# %% [markdown]
# Now the vote of the neighbours once more, with its spread: the autoencoder's
# code in its four states, then PCA's as it is and scaled. **Look** at the last
# two before you believe that scaling is always safe.

# %%
vote = by_reader["neighbours"]
order = ["autoencoder, 64", "autoencoder, 64, scaled"]
order += [f"stretched {name}" for name in order]
order += ["PCA, 64", "PCA, 64, scaled"]
plots.bars(
    {name: vote[name] for name in order},
    "share of test images named correctly",
    source=test.source,
)

# %% [markdown]
# Stretching hurts whoever measures distance, and scaling brings all of it
# back: for a stretched code the advice is right. With the code as training
# left it, the vote hardly changes: its numbers have similar sizes anyway. For
# PCA scaling is no courtesy but a decision: it makes the small components as
# large as the large ones. On photographs the vote loses by that (and by most
# after PCA-16, for among components of equal size the cut keeps any sixteen),
# on the stand-in it gains; so try both, and choose on held-back labels. The
# linear probe, which scales by itself, does not notice any of it.

# %%
# NBVAL_CHECK_OUTPUT
name = "autoencoder, 64"
claim("the reconstruction does not see the stretching", drift, "<", 1e-6)
back = [
    abs(a - b)
    for t in by_reader.values()
    for a, b in zip(t[f"{name}, scaled"], t[f"stretched {name}, scaled"])
]
claim("scaling undoes it, reader by reader", max(back), "<", 0.01)
hurt = average(by_reader["SVM"][name])
hurt -= average(by_reader["SVM"][f"stretched {name}"])
claim("unscaled, stretching costs the SVM points", hurt, ">", 0.015)
same = abs(average(vote[f"{name}, scaled"]) - average(vote[name]))
claim("unstretched, scaling moves the vote by few points", same, "<", 0.04)
moved = abs(average(vote["PCA, 64, scaled"]) - average(vote["PCA, 64"]))
claim("PCA's vote it moves by more", moved, ">", 0.015)
probes = by_reader["linear probe"]
seen = abs(average(probes[f"stretched {name}"]) - average(probes[name]))
claim("the linear probe does not see it", seen, "<", 0.01)

# %% [markdown]
# ## Another reader
#
# "The problem may lie with the downstream model." Then a reader that bends
# should find what a linear one misses. But give the same reader to PCA before
# you thank the autoencoder. And try another place: the code is the narrowest
# point of the network, and before it lie 4,096 numbers, here averaged from
# 8×8 places to 4×4.


# %%
def maps(model):
    def encode(x):
        wide = model.encoder(x).view(-1, 64, 8, 8)  # (B, 64, 8, 8)
        return nn.functional.avg_pool2d(wide, 2)  # (B, 64, 4, 4)

    return encode


places = {
    "maps, trained": [maps(model) for model in trained],
    "maps, untrained": [maps(model) for model in untrained],
}

# %%
at_maps = {
    place: [
        linear_probe(
            extract(encode, train[rows]),
            train.labels[rows],
            extract(encode, test),
            test.labels,
        )  # of (1000, 1024) and (N_test, 1024)
        for rows, encode in zip(hundred, group)
    ]
    for place, group in places.items()
}

# %% [markdown]
# All with a hundred labels per class; the SVM reads both codes as they are.
# **Guess** the order of the seven.

# %%
svm = by_reader["SVM"]
better = {
    "pixels, linear": scores[pixels][:, 2].tolist(),
    "code, linear": probes[name],
    "code, SVM": svm[name],
    "PCA, SVM": svm["PCA, 64"],
    **at_maps,
    told: scores[told][:, 2].tolist(),
}
plots.bars(better, "share of test images named correctly", source=test.source)

# %% [markdown]
# The bending reader finds more, and it finds as much in PCA's numbers: credit
# to the reader. The maps in front of the bottleneck are read better than the
# code, by the same linear probe: *do not read at the narrowest point* is the
# first cure worth having. (The count of numbers is not the reason: the pixels
# are three times as many.) But the maps of the untrained network do it too, on
# photographs better than the trained ones, which are level with an SVM on
# PCA: credit to convolution, and not to training. And look at the single dots:
# where runs lie far apart, a page with one seed could have told you either
# story.

# %%
# NBVAL_CHECK_OUTPUT
rival = average(better["code, SVM"]) - average(better["PCA, SVM"])
claim("given the same SVM, the code leads PCA by little", rival, "<", 0.05)
bends = average(better["code, SVM"]) - average(better["code, linear"])
claim("the bending reader finds more in the code", bends, ">", 0.01)
taught, untaught = map(average, at_maps.values())
for thing in ("code", "pixels"):
    lead = untaught - average(better[f"{thing}, linear"])
    claim(f"untrained maps are read better than the {thing}", lead, ">", 0.03)
claim("training adds little to the maps", taught - untaught, "<", 0.08)

# %% [markdown]
# ## Other images
#
# "Make sure the autoencoder saw data like yours." Let the task be to tell the
# last five classes apart, with 200 labels for each, and train encoders on 800
# images of three kinds: those classes, the *other* five, handwritten digits.

# %%
two_hundred = few(train.labels, 200, 0)
task = train[two_hundred[train.labels[two_hundred] >= 5]]  # 1,000 images
task_test = test[test.labels >= 5]
digits = data.load("mnist", limit=800)
framed = nn.functional.pad(digits.pixels, (2, 2, 2, 2))  # (800, 1, 32, 32)

# %%
kinds = {
    "the same classes": train[train.labels >= 5][:800].pixels,
    "the other classes": train[train.labels < 5][:800].pixels,
    "digits": framed.expand(-1, 3, -1, -1).contiguous(),
}

# %% [markdown]
# Each encoder is judged twice on the task's images: by its reconstructions, of
# 500 test images, and by what a linear probe reads in its code.


# %%
def judge(model, images, unseen):
    """Return the error on unseen images, and the share named correctly."""
    f, g = extract(model.encode, images), extract(model.encode, unseen)
    share = linear_probe(f, images.labels, g, unseen.labels)
    return mse(unseen[:500], reconstruct(model, unseen[:500])), share


# %%
judged = {}
for kind, pixels in kinds.items():
    models = [new_network(seed) for seed in seeds[:2]]
    for seed, model in zip(seeds, models):
        learn(model, pixels, 2, seed)
    judged[kind] = [judge(model, task, task_test) for model in models]
floor = average([judge(model, task, task_test)[1] for model in untrained[:2]])

# %%
from ae_lib.plots.style import PALETTE, picture, styled


@styled
def two_judges(groups, source, level=None):
    axes = picture(7.5, 4, source).add_subplot(xscale="log")
    axes.set(xlabel="test MSE", ylabel="share named correctly")
    for colour, (name, runs) in zip(PALETTE, groups.items()):
        for label, run in zip([name] + [None] * len(runs), runs):
            axes.plot(*zip(*run), "o-", color=colour, lw=1, label=label)
    if level is not None:
        axes.axhline(level, color="0.5", linestyle=":", label="untrained")
    limits = axes.get_xlim()
    ticks = (0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)
    axes.set_xticks(ticks, ticks)
    axes.set_xlim(limits)
    axes.minorticks_off()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return axes.figure


# %% [markdown]
# Two judges: the error grows to the right, the share upwards. The untrained
# network has no decoder worth the name, so it is only a dotted line. Blind
# guessing names a fifth. **Guess:** how far does "digits" fall?

# %%
points = {kind: [[pair] for pair in pairs] for kind, pairs in judged.items()}
two_judges(points, test.source, floor)

# %% [markdown]
# The judges disagree. Half of the classes are as good a school as the other
# half, to both of them. Trained on digits the network reconstructs several
# times worse, and its code is worth about what the untrained network's is
# worth. "Representative data" is good advice for reconstructions. For features
# like these there is less to lose: what training on the right images adds to
# random weights is some points on photographs, and nothing on the stand-in.

# %%
# NBVAL_CHECK_OUTPUT
error = {k: average([e for e, _ in runs]) for k, runs in judged.items()}
share = {k: average([s for _, s in runs]) for k, runs in judged.items()}
same, other, digit = kinds
claim(
    "digits: the error more than doubles", error[digit] / error[same], ">", 2
)
claim(
    "the other classes cost few points", share[same] - share[other], "<", 0.04
)
gain = share[digit] - floor
claim("trained on digits: hardly better than untrained", gain, "<", 0.05)

# %% [markdown]
# ## Does a lower error mean better features?
#
# "Is the reconstruction loss low? If not, the codes will not be meaningful."
# This is testable. Codes of three sizes (two networks of 64, one each of 8 and
# 256), each network looked at three times: before its training, after one
# epoch and after two. All are read with the same hundred labels per class.


# %%
def stages(seed, latent_dim):
    """Return the three judgements of one network."""
    model = untrained_network(seed, unlabelled, latent_dim)
    looks = [judge(model, labelled, test)]
    for _ in range(2):
        learn(model, unlabelled, 1, seed)
        looks.append(judge(model, labelled, test))
    return looks


# %%
labelled = train[hundred[0]]  # 1,000 images
ours = list(zip(untrained, early, trained))[:2]
runs = {
    "8": [stages(0, 8)],
    "64": [[judge(m, labelled, test) for m in models] for models in ours],
    "256": [stages(0, 256)],
}

# %% [markdown]
# PCA with as many numbers is drawn too, from 8 on the right to 256 on the
# left. **Guess** where the lowest point of the error lies, and whether it is
# the highest in names. And in which direction does a network move in its
# second epoch?

# %%
lengths = [int(size) for size in runs]
by_pca = [judge(largest.truncate(k), labelled, test) for k in lengths]
groups = {f"{size} numbers": group for size, group in runs.items()}
two_judges(groups | {"PCA": [by_pca]}, test.source)

# %% [markdown]
# Read each network's line from right to left, as training goes. The first
# epoch lowers the error a long way, and on photographs the features gain a few
# points by it. The second lowers the error again, by a good part, and the
# features stay where they are. The lowest error of all has PCA with 256
# numbers. Whitened by the probe, it names fewer images than the network at the
# far right with as many, which has learned nothing and reconstructs nothing.


# %%
def correlation(pairs):
    error, share = torch.tensor(pairs).T
    return torch.corrcoef(torch.stack([error.log(), share]))[0, 1].item()


# %%
points = [pair for group in runs.values() for run in group for pair in run]
print("correlation of the logarithm of the error with the share:")
print(f"all networks {correlation(points):.2f}")
print(f"with PCA's three points added {correlation(points + by_pca):.2f}")
for size, group in runs.items():
    along = [f"{correlation(run):.2f}" for run in group]
    print(f"{size:>4} numbers, along the training of each:", *along)

# %% [markdown]
# A correlation of -1 would mean: the lower the error, the better the features.
# Along a training it may come near to that, and three points in which only the
# first step counts are enough for it. Do not trust a correlation whose points
# you have not seen.

# %%
# NBVAL_CHECK_OUTPUT
tracks = [run for group in runs.values() for run in group]
fell = average([once[0] / twice[0] for _, once, twice in tracks])
rose = average([twice[1] - once[1] for _, once, twice in tracks])
claim("the second epoch lowers the error by a fifth", fell, ">", 1.25)
claim("and the features gain less than 3 points", rose, "<", 0.03)
start, best = runs["256"][0][0], by_pca[-1]
claim("PCA-256: a tenth of the untrained error", best[0] / start[0], "<", 0.1)
claim("and worse features", best[1] - start[1], "<", 0)

# %% [markdown]
# So a low error is not the promise, and a high one not the reason. "The model
# attends to irrelevant details", it is said then; but the loss has asked for
# them. It counts pixels: a number that says where the sky ends moves many of
# them, one that tells a cat from a dog moves few.
#
# ## Learned by heart
#
# "The autoencoder may have overfitted." Make it so: 100 images, forty times
# over, which are as many steps as 2,000 images give in two epochs. **Guess**
# what happens to the error on test images, and what to the features.

# %%
narrow = [new_network(seed) for seed in seeds[:2]]
for seed, model in zip(seeds, narrow):
    learn(model, unlabelled[:100], 40, seed)

# %%
own = [mse(unlabelled[:100], reconstruct(m, unlabelled[:100])) for m in narrow]
usual = [
    mse(unlabelled[:500], reconstruct(m, unlabelled[:500]))
    for m, _ in zip(trained, narrow)
]
heart = [judge(model, labelled, test) for model in narrow]
last = [run[-1] for run in runs["64"]]

# %%
print("images   error on its own   on test images   named correctly")
for kind, mine, looks in (("100", own, heart), ("2,000", usual, last)):
    error, share = map(average, zip(*looks))
    print(f"{kind:7}  {average(mine):16.4f}  {error:15.4f}  {share:16.1%}")

# %% [markdown]
# Overfitting is real, and easy to see: on test images the error is a multiple
# of that on the network's own. More images cure it. But nothing is gained by
# the cure for features, since nothing was lost. What a hundred images teach
# about pixels is as good a start for naming things as what 2,000 teach.

# %%
# NBVAL_CHECK_OUTPUT
gap = [judgement[0] / e for judgement, e in zip(heart, own)]
claim("100 images: the test error is a multiple", min(gap), ">", 1.4)
cured = [judgement[0] / e for judgement, e in zip(last, usual)]
claim("2,000 images: it is nearly the same", max(cured), "<", 1.25)
lost = average([b[1] - a[1] for a, b in zip(heart, last)])
claim("the features have lost few points or none", lost, "<", 0.04)

# %% [markdown]
# ## The list of cures, with what they gave
#
# | the advice | the experiment | here |
# |---|---|---|
# | train until the error is low | [three looks at one training](#Does-a-lower-error-mean-better-features?) | the error goes on falling, the features soon stop gaining |
# | another size of code | the same, three sizes | 8 are too few; at 256 the untrained network does nearly as well |
# | more images | [a record with all of them](#More-images) | an error below PCA's, names as before |
# | scale the features | [stretched, then scaled](#Scale) | cures a stretched code completely; an even one hardly changes |
# | another downstream model | [an SVM](#Another-reader) | helps, and helps PCA as much |
# | another place to read | [maps before the bottleneck](#Another-reader) | helps more, trained or not |
# | representative data | [three kinds of images](#Other-images) | decides over the error, much less over the features |
# | do not overfit the reconstruction | [100 images by heart](#Learned-by-heart) | the error suffers, the features do not |
# | train with the labels, all the way down | [the supervised network](#Few-labels) | the one cure that changes the picture |
#
# ## What we saw
#
# An autoencoder's code is a summary of the pixels, and [as
# features](#Few-labels) it is worth about as much as PCA's summary of the same
# length. With ten labels per class, the hundred of our question, it was some
# points ahead on photographs, here and in the record; from a hundred per class
# on, level. That is no accident of one classifier. The loss asks for pixels;
# what moves many pixels fills the code, and the class of a photograph moves
# few. The common advice is right about [scale](#Scale), for readers that
# measure distance. It is right about reconstructions, but not about features,
# where it speaks of [the error](#Does-a-lower-error-mean-better-features?), of
# [the data](#Other-images) and of [overfitting](#Learned-by-heart).
#
# What to do if your features do not help: [read before the
# bottleneck](#Another-reader), try a reader that bends, scale for it. If you
# have labels, even a few, [train with them](#Few-labels); the labels of other
# people help too, in the features of a network that was trained with them, as
# in chapter 01. And compare with PCA and with the untrained network before you
# believe in features.
#
# What this page does not show: networks a hundred times larger, trained for
# days with a loss that hides parts of the image (masked autoencoders). Those
# do learn features, once they are trained further on labels.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **Nothing of the test images.** Write `standardised(f, f_test)`: the codes
#    of training and test images, on the scale on which each unit of the
#    *training* codes has mean 0 and deviation 1. A unit that never moves in
#    training is to be 0 in both: with a ReLU on the code there are such units.


# %% tags=["exercise"]
# Exercise 14.1
def standardised(f, f_test):
    """Return both on the scale where f has mean 0 and deviation 1.

    f is (N, K), f_test (M, K). A unit that is always the same in f is 0.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("14.1", standardised)

# %% [markdown]
# 2. **Ask the neighbours.** Write `ask_neighbours(f, labels, f_test, k)`
#    without a library: each test image gets the class that most of its $k$
#    nearest codes have. Which of two classes wins with equally many votes is
#    up to you.


# %% tags=["exercise"]
# Exercise 14.2
def ask_neighbours(f, labels, f_test, k):
    """Return the class of each test image, (M,), by vote of its k nearest.

    f is (N, K) with the labels (N,), whole numbers; f_test is (M, K).
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("14.2", ask_neighbours)

# %%
exercises.progress("14")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Turned and stretched.** Multiply the codes by a random orthogonal matrix
#    and *then* stretch them. The decoder could undo that too. Does scaling
#    still bring the vote of the neighbours back? Find a linear map, computed
#    from the labelled codes alone, that makes the vote independent of any such
#    turning and stretching. You have succeeded when the vote is the same for
#    both codes, and can say what it costs.
# 4. **The advised cure.** Overfitting is treated with noise, they say. Put
#    `nn.Dropout(0.5)` in front of the encoder's first layer, so that half of
#    the numbers of each input are hidden while the network trains, and train
#    on 100 images for 30 epochs, with and without it. Compare the error on the
#    network's own images, on test images, and the probe. You have succeeded
#    when you can say which of the three numbers the cure mends, if any.
# 5. **A warm start.** Put a linear layer on the autoencoder's encoder and
#    train *everything* with 50 labels per class. Compare with the same network
#    from random weights, at equal epochs, over several draws. Is that a better
#    use of the autoencoder than its frozen code? You have succeeded when you
#    can give the difference, draw by draw.
#
# Solutions: [solutions/14_downstream.ipynb](solutions/14_downstream.ipynb).
#
# ## Further reading
#
# - A. Coates, H. Lee, A. Y. Ng, [An analysis of single-layer networks in
#   unsupervised feature
#   learning](https://proceedings.mlr.press/v15/coates11a.html), AISTATS 2011.
#   Patches, whitening and k-means on CIFAR-10: a simple baseline that beat
#   deep ones.
# - R. Balestriero, Y. LeCun, [Learning by reconstruction produces
#   uninformative features for perception](https://arxiv.org/abs/2402.11337),
#   ICML 2024. Why: what moves pixels and what names things lie in different
#   directions.
# - D. Erhan et al., [Why does unsupervised pre-training help deep
#   learning?](https://jmlr.org/papers/v11/erhan10a.html), JMLR 2010. The case
#   in favour, from the days when it did.
# - A. Oliver et al., [Realistic evaluation of deep semi-supervised learning
#   algorithms](https://arxiv.org/abs/1804.09170), NeurIPS 2018. How to compare
#   with few labels, and how small validation sets deceive.
# - G. Alain, Y. Bengio, [Understanding intermediate layers using linear
#   classifier probes](https://arxiv.org/abs/1610.01644), 2016.
# - K. He et al., [Masked autoencoders are scalable vision
#   learners](https://arxiv.org/abs/2111.06377), CVPR 2022. Look at the
#   distance between their linear probe and their fine-tuning.
