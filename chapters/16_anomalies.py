# %% [markdown]
# # 16 · Anomaly detection
#
# "Train on normal images. What is odd will be reconstructed badly, so the
# error is your alarm." It sounds right. Now show a network that has only seen
# photographs a plain grey card. There is no grey card among its training
# images. **Guess:** is its error larger or smaller than that of a photograph?
#
# **You will be able to**
#
# - score oddness by reconstruction error, by distance in the code, and by
#   both;
# - measure a score with ROC, PR, AUROC and their spread, against scores that
#   have learned nothing;
# - say beforehand for which odd images the error must fail;
# - read an error map without being fooled by it;
# - set a threshold without touching the test images, and see it drift.
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
# ## Normal images, and odd ones
#
# Normal is CIFAR-10, or its stand-in. Of the training images some are set
# aside: they will set the threshold, and nothing else. Three networks with 64
# numbers in the code differ in their seed; PCA with 64 numbers is the rival.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse_per_image, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

everything = data.load("cifar10", limit=pick(quick=3_500, full=20_000))
train, held = data.hold_out(everything, 500)
test = data.load("cifar10", "test", limit=500)
x, source = test.unit(), test.source  # (500, 3, 32, 32)
pca = PCA.fit(train[: pick(quick=1_500, full=20_000)], 64)

# %%
networks = []
for seed in range(3):
    torch.manual_seed(seed)
    networks.append(ConvAutoencoder(latent_dim=64))
    fit(networks[-1], train, epochs=3, seed=seed, verbose=False)

# %% [markdown]
# And six kinds of odd images, none of which is in the training set: flat
# cards of one colour, slow gradients between two colours, the test images out
# of focus, handwritten digits, the test images with a little noise, and with
# their pixels in another order, the same for all.

# %%
from torch.nn.functional import pad
from torchvision.transforms.functional import gaussian_blur

random = torch.Generator().manual_seed(0)
one, two = torch.rand(2, 500, 3, 1, 1, generator=random)
ramp = torch.linspace(0, 1, 32).expand(500, 3, 32, 32)
digits = data.load("mnist", "test", limit=300).unit()  # (300, 1, 28, 28)
order = torch.randperm(1024, generator=random)
noise = 0.05 * torch.randn(x.shape, generator=random)

# %%
odd = {
    "flat": one.expand(500, 3, 32, 32),
    "gradient": torch.lerp(one, two, ramp),
    "blurred": gaussian_blur(x, 9, 2.0),
    "digits": pad(digits, (2, 2, 2, 2)).expand(-1, 3, -1, -1),
    "noisy": (x + noise).clamp(0, 1),
    "shuffled": x.flatten(2)[:, :, order].view_as(x),
}
odd = {name: (255 * y).round().byte() for name, y in odd.items()}

# %% [markdown]
# A last step made all of them 8-bit, like any image from a camera. Below are
# one of each, what the first network makes of it, and the error. **Guess**
# which of the six have a smaller error than the normal image on the left.

# %%
shown = torch.stack([test.pixels[0], *(y[0] for y in odd.values())])
plots.reconstructions(
    shown, reconstruct(networks[0], shown), 7, ["normal", *odd], source=source
)

# %% [markdown]
# The card and the gradient, which the network has never seen, come back
# better than the photograph, and so does the blurred one. Only the shuffled
# image is as bad as theory wants it.
#
# ## A score, and how good it is
#
# A score gives each image one number, larger for odder. The ROC curve moves a
# threshold through all values: up, the share of odd images that raise the
# alarm; to the right, the share of normal ones that do. The area under it,
# **AUROC**, is the chance that an odd image scores above a normal one. Write
# that down as it is said.


# %%
def auroc(normal, odd):
    above = (odd[:, None] > normal).double()  # (odd, normal)
    ties = (odd[:, None] == normal).double()
    return (above + ties / 2).mean().item()


def error(model, pixels):
    return mse_per_image(pixels, reconstruct(model, pixels))  # (N,)


errors = [error(net, test) for net in networks]
by_error = {
    name: [auroc(e, error(net, y)) for net, e in zip(networks, errors)]
    for name, y in odd.items()
}

# %% [markdown]
# 0.5 is a coin. **Guess** the heights; above all, which are below 0.5. Three
# dots are three networks.

# %%
plots.bars(by_error, "AUROC of the reconstruction error", source=source)

# %% [markdown]
# The score is near perfect for shuffled pixels, and it is perfectly *wrong*
# for flat cards and gradients: nearly every photograph looks odder to it than
# every card. More training does not mend this, and no seed does; it is not
# noise.

# %%
# NBVAL_CHECK_OUTPUT
claim("shuffled pixels are found", min(by_error["shuffled"]), ">", 0.9)
for name in ("flat", "gradient", "blurred"):
    claim(f"{name}: worse than a coin", max(by_error[name]), "<", 0.4)

# %% [markdown]
# An AUROC of 0.02 is not a good score with the wrong sign. Turn the sign, and
# it finds cards and misses shuffled pixels. The sign has to be chosen before
# the odd images are known.
#
# ## Error measures complexity
#
# The reason: the error is mostly the detail that 64 numbers cannot hold. Who
# has little detail has little error, seen or not. Three scores that have
# learned nothing test that: the variance of the pixels, the bytes that the
# image needs in the lossless coding of PNG, and, barely learned, the error of
# PCA. **Guess** how far the size in bytes alone predicts the error of normal
# images (rank correlation; 1 would be the same order).

# %%
from ae_lib.anomaly import compressed_size


def rank_correlation(a, b):
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return torch.corrcoef(ranks)[0, 1].item()


scores = {
    "network": lambda y: error(networks[0], y),
    "PCA": lambda y: error(pca, y),
    "variance": lambda y: data.to_unit(y).var((2, 3)).mean(1),
    "bytes": compressed_size,
}
normal = {name: score(test.pixels) for name, score in scores.items()}
for name in ("PCA", "variance", "bytes"):
    rank = rank_correlation(normal["network"], normal[name])
    print(f"{name:9} rank correlation with the error {rank:.2f}")


# %%
def table(scores, normal):
    print(" " * 10, *(f"{name:>9}" for name in scores))
    found = {}
    for kind, y in odd.items():
        row = {k: auroc(normal[k], score(y)) for k, score in scores.items()}
        print(f"{kind:10}", *(f"{value:9.3f}" for value in row.values()))
        found[kind] = row
    return found


found = table(scores, normal)

# %% [markdown]
# The columns are the same story told four times. The network's error ranks
# our odd images as PCA's does, and nearly as the count of bytes, for which
# nobody has trained anything. Whoever reports 0.99 for one kind of odd
# image should report what the bytes get.

# %%
# NBVAL_CHECK_OUTPUT
gap = [abs(row["network"] - row["PCA"]) for row in found.values()]
claim("network and PCA: the same within", max(gap), "<", 0.2)
claim("bytes call flat cards normal, too", found["flat"]["bytes"], "<", 0.1)
rank = rank_correlation(normal["network"], normal["bytes"])
claim("bytes predict the error of normal images", rank, ">", 0.3)

# %% [markdown]
# ## Divide by what was to be expected
#
# If error measures complexity, compare it with the error that an image *of
# that complexity* should have. A line through log error against log bytes of
# the validation images gives that; what is left is the score. A second
# remedy asks no sign of anyone: an error is odd if it is unusually large *or*
# unusually mnist_test. **Guess** which kinds each remedy mends, and which it
# spoils.

# %%
import numpy as np


def logs(name, pixels):
    return scores[name](pixels).add(1e-6).log().numpy()


slope, at = np.polyfit(logs("bytes", held.pixels), logs("network", held), 1)
middle, width = logs("network", held).mean(), logs("network", held).std()
remedies = {
    "error": lambda y: torch.tensor(logs("network", y)),
    "expected": lambda y: torch.tensor(
        logs("network", y) - at - slope * logs("bytes", y)
    ),
    "two sides": lambda y: torch.tensor(
        abs(logs("network", y) - middle) / width
    ),
}

# %%
normal_remedies = {k: score(test.pixels) for k, score in remedies.items()}
mended = table(remedies, normal_remedies)

# %% [markdown]
# Dividing changes the verdicts, and is no cure. What was below a coin moves,
# and what was found before can be lost. The two-sided score finds cards *and*
# shuffled pixels, because neither has an error that photographs have; between
# the two extremes it sees less. There is no score for "odd" as such: each
# one is a guess about how odd images will differ.

# %%
# NBVAL_CHECK_OUTPUT
flat = mended["flat"]
claim("two sides: flat cards are found", flat["two sides"], ">", 0.8)
moved = abs(flat["expected"] - flat["error"])
claim("dividing moves the verdict on flat cards", moved, ">", 0.1)

# %% [markdown]
# ## The distance of the code
#
# The other classical score does not look at the picture at all: how far does
# the code lie from the codes of normal images, measured in their own
# deviations? That is the Mahalanobis distance,
# $d^2 = (z - \mu)^\top \Sigma^{-1} (z - \mu)$. "Both" adds the logarithms
# of error and distance, each in deviations of the validation images.
# **Guess:** does a flat card have an odd code?

# %%
from ae_lib.anomaly import CodeDistance


@torch.no_grad()
def encode(pixels, model=networks[0]):
    return model.encode(data.to_unit(pixels))  # (N, 64)


mu_sigma = CodeDistance.fit(encode(train.pixels[:2_000]))
pca_codes = CodeDistance.fit(pca.encode(train[:2_000].unit()))
codes = {
    "code": lambda y: mu_sigma(encode(y)),
    "PCA code": lambda y: pca_codes(pca.encode(data.to_unit(y))),
}


# %%
def standard(score, pixels):
    reference = score(held.pixels).log()
    return (score(pixels).log() - reference.mean()) / reference.std()


codes["both"] = lambda y: (
    standard(scores["network"], y) + standard(codes["code"], y)
)
normal_codes = {k: score(test.pixels) for k, score in codes.items()}
by_code = table(codes, normal_codes)

# %% [markdown]
# The code has the same blind spot: a flat card lies near the middle of all
# codes, as its few degrees of freedom excite few directions. Adding two scores
# that fail alike gives a third that fails alike. "Use both" is not wrong;
# it is no substitute for knowing what to look for.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "both: flat cards stay worse than a coin",
    by_code["flat"]["both"],
    "<",
    0.5,
)

# %% [markdown]
# ## One class held out
#
# Perhaps cards and noise are an unfair test. The usual one is: leave one class
# out of training, and find it again. For each digit in turn PCA with 32
# components is fitted to the nine others. The rival is the amount of ink (the
# variance of the pixels). **Guess:** which digit will look most *normal* to
# a method that has never seen it?


# %%
def held_out(train, test, latent_dim):
    rows, ink = {}, test.unit().flatten(1).var(1)
    for label, name in enumerate(test.classes):
        seen = train[train.labels != label]
        e = error(PCA.fit(seen[:800], latent_dim), test)
        out = test.labels == label
        rows[name] = [auroc(s[~out], s[out]) for s in (e, ink)]
    return rows


mnist = data.load("mnist")[:3_000]
mnist_test = data.load("mnist", "test")[:1_500]
rows = held_out(mnist, mnist_test, 32)
photos = held_out(train, data.load("cifar10", "test", limit=1_000), 64)

# %%
for title, found in {"digits": rows, "photographs": photos}.items():
    print(f"{title:12} error    ink")
    for name, (e, ink) in found.items():
        print(f"{name:12} {e:5.2f}  {ink:5.2f}")

# %% [markdown]
# A held-out 1 is reconstructed better than the digits that were trained on:
# two strokes of ink are easily drawn from parts of a 7. Classes of photographs
# stay near a coin on average, because a ship is made of the same edges and
# skies as an aeroplane. Both are the grey card again.

# %%
# NBVAL_CHECK_OUTPUT
photo = [e for e, _ in photos.values()]
claim("photographs, mean over held-out classes", sum(photo) / 10, "<", 0.6)
claim("a held-out 1 looks more normal than the rest", rows["1"][0], "<", 0.5)
best = max(rows, key=lambda name: rows[name][0])
claim("the most visible digit is found", rows[best][0], ">", 0.6)

# %% [markdown]
# Now a network, on the digit that PCA found best; and the two curves. Beside
# ROC stands the precision-recall curve: of the images that raise the alarm,
# how many are odd? Its coin is not 0.5 but the share of odd images. **Guess**
# where the PR curve of a good AUROC starts to fall.

# %%
from sklearn.metrics import average_precision_score

label = mnist.classes.index(best)
seen = mnist[mnist.labels != label]
torch.manual_seed(0)
digit_net = ConvAutoencoder(32, mnist.shape)
fit(digit_net, seen, epochs=3, batch_size=64, verbose=False)
out = mnist_test.labels == label
rivals = {
    "network": error(digit_net, mnist_test),
    "PCA": error(PCA.fit(seen[:800], 32), mnist_test),
    "ink": mnist_test.unit().flatten(1).var(1),
}

# %%
from ae_lib.anomaly import auroc_spread

for name, s in rivals.items():
    spread = auroc_spread(s[~out], s[out])
    low, high = spread[5], spread[-6]  # 95 % of 200 draws
    precision = average_precision_score(out.numpy(), s.numpy())
    print(f"{name:8} AUROC {auroc(s[~out], s[out]):.3f} "
          f"({low:.3f} to {high:.3f})   AP {precision:.3f}")  # fmt: skip
print(f"a coin   AUROC 0.500                    AP {out.float().mean():.3f}")

# %% [markdown]
# The spread comes from drawing the test images again with replacement, 200
# times: what other images would have given. **Look for** the difference
# between the two panels on the same scores.

# %%
from sklearn.metrics import precision_recall_curve, roc_curve
from ae_lib.plots.style import picture, styled


@styled
def two_curves(rivals, odd, source):
    figure = picture(9, 3.8, source)
    left, right = figure.subplots(1, 2)
    for name, s in rivals.items():
        false, true, _ = roc_curve(odd, s)
        left.plot(false, true, label=name)
        precision, recall, _ = precision_recall_curve(odd, s)
        right.plot(recall, precision)
    left.set(xlabel="share of normal images alarmed", ylabel="of odd ones")
    right.set(
        xlabel="share of odd images found", ylabel="alarms that are true"
    )
    left.plot([0, 1], [0, 1], ":", color="0.4", label="a coin")
    right.axhline(odd.mean(), linestyle=":", color="0.4")
    left.legend()
    return figure


two_curves(
    {k: s.numpy() for k, s in rivals.items()}, out.numpy(), mnist.source
)

# %% [markdown]
# The same scores look better on the left. With one odd image in ten, a few
# per cent of false alarms among the normal ones are as many as the true
# alarms. Where odd images are rare, report PR as well.
#
# ## Where is it odd?
#
# The map of squared errors is often shown as a heat map of the defect. To
# test that, the truth must be known: the stand-in's masks say which pixels
# belong to the object. Two defects are planted on the object, inside a disc
# of radius 4: a *foreign* patch, cut from another image, and a *wiped* one,
# where the surface has lost its texture and shading. **Guess** what the map
# shows for an image without any defect.

# %%
shapes = data.load("shapes", limit=pick(quick=3_500, full=20_000))
shown = data.load("shapes", "test", limit=300)
clean, masks = shown.unit(), shown.masks  # (300, 3, 32, 32), (300, 32, 32)
torch.manual_seed(0)
shape_net = ConvAutoencoder(latent_dim=64)
fit(shape_net, shapes, epochs=3, verbose=False)
shape_pca = PCA.fit(shapes[:1_500], 64)

# %%
centre = torch.multinomial(masks.flatten(1).float(), 1, generator=random)
cy, cx = (centre // 32)[:, :, None], (centre % 32)[:, :, None]  # (300, 1, 1)
i = torch.arange(32)
disc = (i[:, None] - cy) ** 2 + (i - cx) ** 2 <= 16  # (300, 32, 32)
defect = (disc & masks)[:, None]
colour = (clean * defect).sum((2, 3)) / defect.sum((2, 3))  # (300, 3)
defects = {
    "none": clean,
    "foreign": torch.where(defect, clean.roll(1, 0), clean),
    "wiped": torch.where(defect, colour[:, :, None, None], clean),
}


# %% [markdown]
# The sceptic's map is no network at all: the squared difference from a
# blurred copy, which is large wherever there is detail.


# %%
def maps(x):
    blurred = gaussian_blur(x, 7, 1.5)
    guesses = reconstruct(shape_net, x), shape_pca(x), blurred
    names = "network", "PCA", "blur"
    return {n: (x - g).square().mean(1) for n, g in zip(names, guesses)}


def pixel_auroc(truth, heat):
    pairs = [(h[~t], h[t]) for t, h in zip(truth, heat) if t.any()]
    return sum(auroc(*pair) for pair in pairs) / len(pairs)


heat = {kind: maps(x) for kind, x in defects.items()}

# %% [markdown]
# Three images: clean, with the foreign patch, and wiped. **Look for** the
# defect in the error row before you look for it in the input row.

# %%
few = torch.cat([y[:3] for y in defects.values()])
titles = [kind for kind in defects for _ in range(3)]
plots.reconstructions(
    few, reconstruct(shape_net, few), 9, titles, source=shown.source
)

# %% [markdown]
# Every map has bright outlines, the clean ones too. Whoever is shown only the
# middle three will see a defect found. Measured, for each image, over its
# pixels: how well does the map tell the object from the background in clean
# images, and the defect from all else in the others?

# %%
located = {
    "object, no defect": (masks, heat["none"]),
    "foreign patch": (defect[:, 0], heat["foreign"]),
    "wiped patch": (defect[:, 0], heat["wiped"]),
}
where = {
    kind: {name: pixel_auroc(truth, h) for name, h in these.items()}
    for kind, (truth, these) in located.items()
}
for kind, row in where.items():
    print(f"{kind:18}", *(f"{k} {v:.3f}  " for k, v in row.items()))

# %% [markdown]
# The map finds the *object* in images where nothing is wrong. A foreign patch
# it finds, as it brings edges. On the wiped one it points elsewhere: less
# detail, less error. The blur, which has learned nothing, is the bar that a
# claim of localisation has to clear.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "no defect: the map marks the object",
    where["object, no defect"]["network"],
    ">",
    0.55,
)
claim("foreign patch: found", where["foreign patch"]["network"], ">", 0.7)
claim(
    "wiped patch: the error points away",
    where["wiped patch"]["network"],
    "<",
    where["foreign patch"]["network"],
)

# %% [markdown]
# ## A threshold, and the weather
#
# In use there is no curve, there is one threshold. Odd images are not at hand
# when it is set, so it is a promise about normal ones: at most 5 % false
# alarms. It is taken from the validation images. Then the camera changes a
# little. **Guess** the share of alarms among *normal* test images when they
# are darker by a fifth, have less contrast, noise of 0.03, or are slightly
# out of focus.

# %%
from ae_lib.anomaly import threshold_at

limit = threshold_at(error(networks[0], held), 0.05)
soft = 0.03 * torch.randn(x.shape, generator=random)
weather = {
    "as before": x,
    "darker": 0.8 * x,
    "less contrast": 0.5 + 0.7 * (x - 0.5),
    "noise": (x + soft).clamp(0, 1),
    "out of focus": gaussian_blur(x, 5, 1.0),
}
alarms = {
    name: (error(networks[0], y) > limit).float().mean().item()
    for name, y in weather.items()
}

# %%
for name, share in alarms.items():
    print(f"{name:14} {share:.1%} of normal images raise the alarm")

# %% [markdown]
# The promise is kept while nothing changes. Noise breaks it by false alarms.
# The others break it silently: the alarms *stop*, and nobody complains about
# a detector that has gone blind. Watch the distribution of the scores, in
# both directions, not only the count of alarms.

# %%
# NBVAL_CHECK_OUTPUT
claim(
    "as promised, within sampling", alarms["as before"], "~", 0.05, tol=0.035
)
claim(
    "less contrast: alarms fade",
    alarms["less contrast"],
    "<",
    alarms["as before"],
)
claim(
    "out of focus: alarms fade",
    alarms["out of focus"],
    "<",
    alarms["as before"],
)

# %% [markdown]
# ## What we saw
#
# Reconstruction error [finds](#A-score,-and-how-good-it-is) images with more
# detail than the normal ones, and calls simpler ones normal however strange
# they are. It [measures complexity](#Error-measures-complexity), as PCA and a
# count of bytes do. [Dividing](#Divide-by-what-was-to-be-expected) by
# complexity moves the blind spot; the [distance of the
# code](#The-distance-of-the-code) shares it. [Held-out
# classes](#One-class-held-out) of photographs are not found. An error map
# [marks objects](#Where-is-it-odd?) with and without defects. A
# [threshold](#A-threshold,-and-the-weather) from validation images keeps its
# promise only as long as the world stays as it was.
#
# ## Exercises
#
# 1. **The price of rarity.** A detector with an AUROC of 0.95 watches a line
#    where one part in a thousand is odd. Draw normal and odd scores from two
#    Gaussians that give this AUROC, set 5 % false alarms on validation scores,
#    and measure the precision. You have succeeded when you can say how many
#    alarms in a hundred are true, and which false-alarm rate gives one in two.
# 2. **Choosing after the fact.** Take 20 scores of pure chance for 30 odd and
#    30 normal images, pick the best AUROC (either sign), and repeat that 200
#    times. You have succeeded when you know what "best of 20" reports on
#    average, and what the winner gets on new images.
# 3. **One class is normal.** Turn the experiment around: fit PCA with 8
#    components to the ones only, and find the other digits; then to the
#    eights only. You have succeeded when you can say why one of the two is
#    easy, and what the ink alone achieves.
#
# Solutions: [solutions/16_anomalies.ipynb](solutions/16_anomalies.ipynb).
#
# ## Further reading
#
# - E. Nalisnick et al., [Do deep generative models know what they don't
#   know?](https://arxiv.org/abs/1810.09136), ICLR 2019. The same trap for
#   likelihoods: trained on CIFAR-10, house numbers look likelier.
# - J. Serrà et al., [Input complexity and out-of-distribution detection with
#   likelihood-based generative models](https://arxiv.org/abs/1909.11480),
#   ICLR 2020. Dividing by the size of a PNG.
# - P. Bergmann et al., [MVTec
#   AD](https://openaccess.thecvf.com/content_CVPR_2019/html/Bergmann_MVTec_AD_--_A_Comprehensive_Real-World_Dataset_for_Unsupervised_Anomaly_CVPR_2019_paper.html),
#   CVPR 2019. Real defects with masks.
