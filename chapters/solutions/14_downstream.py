# %% [markdown]
# # 14 · Features for downstream models: solutions
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
# A smaller data set than in the chapter does for the last three.

# %%
from ae_lib.features import extract, few, linear_probe, train_classifier
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

train = data.load("cifar10", limit=pick(quick=2_500, full=50_000))
test = data.load("cifar10", "test", limit=pick(quick=1_000, full=10_000))
seeds = (0, 1)


def new_network(seed):
    torch.manual_seed(seed)
    return ConvAutoencoder(latent_dim=64)


# %%
def learn(model, images, epochs, seed):
    fit(
        model, images, epochs=epochs, batch_size=50, seed=seed, verbose=False
    )  # fmt: skip


def average(values):
    return sum(values) / len(values)


# %% [markdown]
# The usual network: 1,000 images, three times over, which are 60 steps.

# %%
usual = [new_network(seed) for seed in seeds]
for seed, model in zip(seeds, usual):
    learn(model, train[:1_000], 3, seed)
codes = [(extract(m.encode, train), extract(m.encode, test)) for m in usual]

# %% [markdown]
# ## Exercise 1
#
# Both sets go by the numbers of the training codes. The test images are not
# asked, not even for their mean: the reader has learned on the training scale.
# A unit that never moves is divided by infinity.


# %% tags=["exercise"]
# Exercise 14.1
def standardised(f, f_test):
    """Return both on the scale where f has mean 0 and deviation 1.

    f is (N, K), f_test (M, K). A unit that is always the same in f is 0.
    """
    # --- solution
    mean, std = f.mean(dim=0), f.std(dim=0)  # (K,)
    std = torch.where(std > 0, std, torch.inf)
    return (f - mean) / std, (f_test - mean) / std
    # --- end


# %%
from ae_lib import exercises

exercises.check("14.1", standardised)

# %% [markdown]
# ## Exercise 2
#
# Distances first, then the labels at the places of the nearest, and of these
# the one that occurs most.


# %% tags=["exercise"]
# Exercise 14.2
def ask_neighbours(f, labels, f_test, k):
    """Return the class of each test image, (M,), by vote of its k nearest.

    f is (N, K) with the labels (N,), whole numbers; f_test is (M, K).
    """
    # --- solution
    distances = torch.cdist(f_test, f)  # (M, N)
    nearest = distances.topk(k, largest=False).indices  # (M, k)
    return labels[nearest].mode(dim=1).values  # (M,)
    # --- end


# %%
from ae_lib import exercises

exercises.check("14.2", ask_neighbours)

# %% [markdown]
# ## Exercise 3
#
# After the turn each new number is a mixture of all the old ones, and then
# some mixtures are made large and some small. Scaling makes the *mixtures*
# equally large, which is another code than the one before.
#
# The remedy is *whitening*: turn to the principal axes of the labelled codes,
# and divide each by its deviation. With $C = V \Lambda V^\top$ the covariance,
# $z \mapsto (z - \mu) V \Lambda^{-1/2}$. Whatever invertible matrix came
# before, the result is the same but for a turn, and a turn keeps distances.

# %%
from sklearn.neighbors import KNeighborsClassifier

random = torch.Generator().manual_seed(0)
turn = torch.linalg.qr(torch.randn(64, 64, generator=random)).Q
change = (turn * 10 ** torch.linspace(-2, 2, 64)).double()  # (64, 64)


def scaled(f, f_test):
    mean, std = f.mean(dim=0), f.std(dim=0)
    return (f - mean) / std, (f_test - mean) / std


def whitened(f, f_test):
    variance, axes = torch.linalg.eigh(torch.cov(f.T))
    matrix = axes / variance.sqrt()  # (64, 64)
    return (f - f.mean(dim=0)) @ matrix, (f_test - f.mean(dim=0)) @ matrix


# %% [markdown]
# `vote` keeps every answer, because two votes can name equally many images and
# yet not the same ones.


# %%
def vote(prepare, change=None):
    """Return the answers of each seed's vote, (2, N_test)."""
    answers = []
    for seed, (f, f_test) in zip(seeds, codes):
        rows = few(train.labels, 100, seed)
        f, f_test = f[rows].double(), f_test.double()  # (1000, 64)
        if change is not None:
            f, f_test = f @ change, f_test @ change
        f, f_test = prepare(f, f_test)
        reader = KNeighborsClassifier(10).fit(f, train.labels[rows])
        answers.append(torch.from_numpy(reader.predict(f_test)))
    return torch.stack(answers)


# %%
votes = {
    "code": vote(lambda *pair: pair),
    "scaled": vote(scaled),
    "whitened": vote(whitened),
    "turned and stretched": vote(lambda *pair: pair, change),
    "the same, scaled": vote(scaled, change),
    "the same, whitened": vote(whitened, change),
}
shares = {
    name: (answers == test.labels).double().mean(dim=1).tolist()
    for name, answers in votes.items()
}

# %% [markdown]
# Compare the second bar with the fifth, and the third with the last.

# %%
plots.bars(shares, "share of test images named correctly", source=test.source)

# %% [markdown]
# Scaling brings the number back, more or less: the mixtures make a code that
# is about as good. It does not bring the *votes* back. Whitening does, up to a
# tie or two among neighbours.

# %%
# NBVAL_CHECK_OUTPUT
apart = (votes["scaled"] != votes["the same, scaled"]).double().mean()
claim("scaled: the two votes disagree on many images", apart, ">", 0.15)
apart = (votes["whitened"] != votes["the same, whitened"]).double().mean()
claim("whitened: they agree", apart, "<", 0.01)

# %% [markdown]
# Its price: directions in which the code hardly moves count as much as the
# others. On photographs the vote gets worse by that; on the stand-in, with its
# loud random colours, it gets better.
#
# ## Exercise 4
#
# Dropout as the very first layer sets a share of the input to zero while the
# network trains, and enlarges the rest; the target stays whole. That is a
# denoising autoencoder in one line. 100 images for 30 epochs are 60 steps.

# %%
from torch import nn


def by_heart(seed, share):
    model = new_network(seed)
    model.encoder.stack.insert(0, nn.Dropout(share))
    learn(model, train[:100], 30, seed)
    return model


narrow = {
    share: [by_heart(seed, share) for seed in seeds] for share in (0.0, 0.5)
}

# %% [markdown]
# Three numbers for each network: the error on its own images, the error on
# test images, and what the probe reads in the code with all our labels.


# %%
def three_numbers(model, own):
    f, f_test = extract(model.encode, train), extract(model.encode, test)
    return (
        mse(own, reconstruct(model, own)),
        mse(test, reconstruct(model, test)),
        linear_probe(f, train.labels, f_test, test.labels),
    )


names = {0.0: "100 images", 0.5: "100, half of each hidden"}
rows = {
    names[share]: [three_numbers(m, train[:100]) for m in models]
    for share, models in narrow.items()
}
rows["1,000 images"] = [three_numbers(m, train[:1_000]) for m in usual]

# %%
print(f"{'':25} own MSE   test MSE   probe")
for name, values in rows.items():
    own, other, share = map(average, zip(*values))
    print(f"{name:25}  {own:.4f}     {other:.4f}   {share:.1%}")

# %%
# NBVAL_CHECK_OUTPUT
own, other, share = map(average, zip(*rows["100 images"]))
own_2, other_2, share_2 = map(average, zip(*rows[names[0.5]]))
own_3, other_3, share_3 = map(average, zip(*rows["1,000 images"]))
claim("100 images: the gap in error is wide", other / own, ">", 1.4)
claim("half hidden: it is narrower", other_2 / own_2, "<", other / own)
claim("but the test error is no lower", other_2 / other, ">", 1.1)
claim("1,000 images: the gap is all but closed", other_3 / own_3, "<", 1.2)
claim("hiding does not mend the features", share_2 - share, "<", 0.02)
claim("nor do more images, by much", share_3 - share, "<", 0.05)

# %% [markdown]
# The gap between the first two columns warns of overfitting, and hiding half
# of the input closes it: from the wrong side. The error on the network's own
# images has risen towards that on the others, which has risen too. In sixty
# steps the network has a harder task and does it worse. More images lower the
# test error, as they should. The probe does not reward either cure, because
# the network that had learned by heart was no worse to begin with. (Noise has
# its uses; chapter 15 is about them.)
#
# ## Exercise 5
#
# Both networks are the encoder, the bottleneck and a linear layer on top;
# `train_classifier` moves everything. The copy keeps the autoencoder as it is.

# %%
from copy import deepcopy


def fine_tuned(model, rows, seed):
    torch.manual_seed(seed)
    model = deepcopy(model)
    network = nn.Sequential(model.encoder, model.bottleneck, nn.Linear(64, 10))
    train_classifier(network, train[rows], epochs=15, seed=seed)
    answers = extract(network, test).argmax(dim=1)
    return (answers == test.labels).float().mean().item()


# %%
draws = [few(train.labels, 50, seed) for seed in seeds]
starts = {
    "frozen code, probe": [
        linear_probe(f[rows], train.labels[rows], g, test.labels)
        for rows, (f, g) in zip(draws, codes)
    ],
    "warm start": [
        fine_tuned(usual[s], rows, s) for s, rows in zip(seeds, draws)
    ],
    "from random weights": [
        fine_tuned(new_network(s), rows, s) for s, rows in zip(seeds, draws)
    ],
}

# %% [markdown]
# Two draws, two networks. Compare the second bar with the third.

# %%
plots.bars(starts, "share of test images named correctly", source=test.source)

# %% [markdown]
# Both are ahead of the frozen code, so most of the gain comes from training
# with the labels all the way down. Whether it helps to begin warm, the lines
# of spread cannot say: they hold the luck of the draws, which both starts
# share. So subtract draw by draw:

# %%
ahead = zip(starts["warm start"], starts["from random weights"])
print("warm minus cold:", *(f"{w - c:+.3f}" for w, c in ahead))

# %% [markdown]
# A point at most, from two pairs: too few to tell it from nothing.

# %%
# NBVAL_CHECK_OUTPUT
frozen, warm, cold = map(average, starts.values())
claim("warm or cold: nearly the same", abs(warm - cold), "<", 0.06)
claim(
    "a cold start is no worse than the frozen code", cold - frozen, ">", -0.02
)
