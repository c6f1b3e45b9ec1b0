# %% [markdown]
# # 06 · Seeing what it learned
#
# You have trained an autoencoder. You show eight images, eight good
# reconstructions and a colourful map of the code, and write below: "the
# network has learned meaningful features." Which of your pictures proves that
# sentence? And what would the same pictures look like for PCA, which has
# learned nothing that deserves the name?
#
# **You will be able to**
#
# - choose the images you show so that they prove something;
# - test what makes an image hard, and say what does not;
# - find out what each number of a code carries, and move the code by hand;
# - say what lies between two images, and near one;
# - read a map of codes, and say what it hides.
#
# **Cost:** about 65 s on 2 CPU cores.

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
# ## A network, and its rival
#
# The network of chapter 04 with 64 numbers in its code, trained for a short
# while, and PCA with 64 numbers. PCA is fitted on 2,000 images only, which is
# faster and costs it a little. All pictures of this page are test images,
# which neither has seen. With 64 numbers for 3,072 there is much to get wrong.

# %%
from ae_lib.baselines import PCA
from ae_lib.metrics import mse, mse_per_image, psnr, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit

# %%
train = data.load("cifar10", limit=pick(quick=6_000, full=50_000))
test = data.load("cifar10", "test", limit=2_000)
torch.manual_seed(0)
model = ConvAutoencoder(latent_dim=64)
history = fit(model, train, epochs=4)
pca = PCA.fit(train[: pick(quick=2_000, full=50_000)], 64)

# %%
x = test.unit()  # (2000, 3, 32, 32)
x_hat = {"network": reconstruct(model, x), "PCA": pca(x)}
error = {name: mse_per_image(x, y) for name, y in x_hat.items()}  # (2000,)
for name, y in x_hat.items():
    print(f"{name:8} MSE {mse(x, y):.5f}   PSNR {psnr(mse(x, y)):.2f} dB")

# %% [markdown]
# ## Which images do you show?
#
# "Visualize the reconstructed images to assess the performance": so the
# tutorials say. Which images? Here are the two of 2,000 with the smallest
# error, one from the middle, and the two with the largest. **Guess:** how many
# decibels lie between the best and the worst? And what do the worst have in
# common?

# %%
order = error["network"].argsort()  # the best first
at = [0, 1, 1000, -2, -1]
titles = ["best"] * 2 + ["median"] + ["worst"] * 2
few = order[at]
plots.reconstructions(
    x[few], x_hat["network"][few], 5, titles, source=test.source
)

# %% [markdown]
# Ten decibels or more: a factor of ten or more in the error, from one and the
# same network. Whoever picks the images picks the verdict. The best are
# smooth, the worst full of hard edges and strong colours; remember that for
# the next section.
#
# So do not pick, draw. But how many? Draw eight images at random, and take the
# PSNR of the eight together. Do it 2,000 times; then the same with 128.


# %%
def draws(error, n, times=2_000):
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(len(error), (times, n), generator=random)
    return psnr(error[rows].mean(dim=1))  # (times,)


drawn = {f"{n} images": draws(error["network"], n) for n in (8, 128)}

# %% [markdown]
# **Guess:** how wide is the heap for eight images, compared with the distance
# between the network and PCA, which you see printed above?

# %%
plots.histograms(drawn, "PSNR of the images shown, dB", source=test.source)

# %% [markdown]
# Two people who each draw eight images honestly can come back with numbers
# more than a decibel apart, for the same network: the heap is more than twice
# as wide as the network and PCA lie apart. And if both methods show the *same*
# eight? `draws` picks the same images each time it is called (its seed is
# fixed), so its draws for the network and for PCA come in pairs. **Guess:** in
# how many of the 2,000 is PCA ahead, on the same eight, and on another eight?

# %%
ours, theirs = drawn["8 images"], draws(error["PCA"], 8)
lead = {
    "the same eight": theirs - ours,
    "another eight": theirs.roll(1) - ours,
}
wins = {name: (by > 0).float().mean().item() for name, by in lead.items()}

# %%
for name, by in lead.items():
    low, high = by.quantile(torch.tensor([0.05, 0.95]))
    print(f"{name:15} PCA ahead in {wins[name]:.1%}, "
          f"by {low:.1f} to {high:.1f} dB")  # fmt: skip

# %% [markdown]
# Comparing your eight images with somebody else's eight is a lottery.
# Comparing two methods on the *same* eight is not: what is hard for one is
# hard for the other, and in the quick budget PCA wins nearly every draw. Pair
# before you compare; for an absolute number take all test images.


# %%
# NBVAL_CHECK_OUTPUT
def middle(values):
    low, high = values.quantile(torch.tensor([0.05, 0.95]))
    return (high - low).item()


best, worst = error["network"].min(), error["network"].max()
gap, wide = psnr(best) - psnr(worst), middle(drawn["8 images"])
claim("best and worst image are far apart", gap, ">", 10, unit="dB")
claim("90 % of draws of eight images span over 1 dB", wide, ">", 1, unit="dB")
claim(
    "with 128 images they span less than half as much",
    middle(drawn["128 images"]) / wide, "<", 0.5,
)  # fmt: skip
rival = abs(psnr(mse(x, x_hat["network"])) - psnr(mse(x, x_hat["PCA"])))
claim("over twice what lies between network and PCA", wide / rival, ">", 2)
if pick(quick=True, full=False):  # trained longer, the network catches up
    paired, lottery = wins.values()
    claim("the same eight: PCA wins nearly always", paired, ">", 0.95)
    claim("another eight: it loses over a tenth", 1 - lottery, ">", 0.1)

# %% [markdown]
# ## What makes an image hard?
#
# It is tempting to say: the network does not understand difficult objects. A
# rival explanation needs no understanding: *detail* costs. Let detail be the
# mean squared difference between neighbouring pixels. A third candidate is
# contrast, the variance of all pixels of an image.


# %%
def detail(x):
    down = (x[:, :, 1:] - x[:, :, :-1]).square().mean(dim=(1, 2, 3))
    side = (x[..., 1:] - x[..., :-1]).square().mean(dim=(1, 2, 3))
    return down + side  # (N,)


def correlation(a, b):
    return torch.corrcoef(torch.stack([a, b]))[0, 1].item()


def share_of(labels, values):
    """Return the share of the variance that lies between the classes."""
    groups = [values[labels == c] for c in labels.unique()]
    inside = sum(len(g) * g.var(correction=0) for g in groups) / len(values)
    return (1 - inside / values.var(correction=0)).item()


# %% [markdown]
# Each dot below is one of 300 test images; all axes are logarithmic, and the
# correlations are those of the logarithms of all 2,000. On the right the
# horizontal axis is the error of PCA, which knows nothing about objects.
# **Put the three panels in order before you run:** in which one is the cloud
# narrowest?

# %%
from ae_lib.plots.style import BLUE, grid, picture, styled

causes = {
    "contrast of the image": x.var(dim=(1, 2, 3)),
    "detail of the image": detail(x),
    "MSE of PCA": error["PCA"],
}


@styled
def clouds(causes, y, source):
    figure = picture(9, 3.3, source)
    row = figure.subplots(1, len(causes), sharey=True)
    dot = {"color": BLUE, "markersize": 2, "antialiased": False}
    for axes, (name, cause) in zip(row, causes.items()):
        axes.loglog(cause[:300], y[:300], ".", **dot)
        r = correlation(cause.log(), y.log())
        axes.set(xlabel=name, title=f"correlation {r:.2f}")
        axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    row[0].set_ylabel("MSE of the network")
    return figure


clouds(causes, error["network"], test.source)

# %% [markdown]
# What is hard for the network is hard for PCA: that cloud is almost a line.
# Detail comes next; contrast matters much less, for a smooth gradient has
# contrast and costs little. And the class? It explains some of the variance
# of the error. But classes differ in detail, too. Take the part away that
# detail predicts, and see what is left for the class.

# %%
y, d = error["network"].log(), detail(x).log()
slope = ((y - y.mean()) * (d - d.mean())).mean() / d.var(correction=0)
rest = y - slope * d  # what detail does not predict
by_class = share_of(test.labels, y)
left = share_of(test.labels, rest) * rest.var().item() / y.var().item()
print(f"the class explains {by_class:.1%} of the variance of the log error,")
print(f"once detail is accounted for {left:.1%}")

# %% [markdown]
# A correlation is no proof, so make an experiment. If strange objects were
# hard, stranger ones should be harder. Turn the test images upside down, or
# into negatives: hardly anything like them is in the training set, while the
# detail stays exactly as it was. Then cut each image into 16 tiles and mix
# them, which adds edges; and blur it, which takes detail away.


# %%
def tiles(x):
    random = torch.Generator().manual_seed(0)
    x = x.unfold(2, 8, 8).unfold(3, 8, 8).flatten(2, 3)  # (N, 3, 16, 8, 8)
    x = x[:, :, torch.randperm(16, generator=random)].unflatten(2, (4, 4))
    return x.transpose(3, 4).flatten(4, 5).flatten(2, 3)  # (N, 3, 32, 32)


from torch.nn.functional import avg_pool2d, pad

some = x[:500]
changed = {
    "as it is": some,
    "upside down": some.flip(2),
    "negative": 1 - some,
    "mixed tiles": tiles(some),
    "blurred": avg_pool2d(pad(some, (1, 1, 1, 1), "replicate"), 3, 1),
}
answers = {k: reconstruct(model, v) for k, v in changed.items()}
raw = {k: mse(v, answers[k]) for k, v in changed.items()}
cost = {k: value / raw["as it is"] for k, value in raw.items()}

# %% [markdown]
# **Predict** for each of the four: does the error go up or down, and by how
# much? The titles give the error as a multiple of that of the images as they
# are, over 500 of them.


# %%
@styled
def film(rows, names, above, source, size=0.64):
    """Show rows of images (T, 3, 32, 32) with a name each."""
    rows = [[y.clamp(0, 1).permute(1, 2, 0).numpy() for y in r] for r in rows]
    above = [above]
    return grid(rows, names=names, above=above, largest=size, source=source)[0]


titles = [f"{name}\n× {cost[name]:.2f}" for name in changed]
rows = [[v[7] for v in images.values()] for images in (changed, answers)]
film(rows, ["input", "reconstruction"], titles, test.source, size=0.8)

# %% [markdown]
# Upside down costs next to nothing: whatever the network knows, which way is
# up is no part of it. Negatives cost a few per cent, though every colour in
# them is wrong. Mixed tiles are dear because of their new edges, and blurred
# images are cheap. The error speaks of *pixels*, not of things.

# %%
# NBVAL_CHECK_OUTPUT
log = {name: e.log() for name, e in error.items()}
same = correlation(log["network"], log["PCA"])
claim("images hard for the network are hard for PCA", same, ">", 0.9)
claim("detail predicts the error", correlation(y, d), ">", 0.8)
claim(
    "contrast predicts it less well",
    correlation(y, d) - correlation(y, causes["contrast of the image"].log()),
    ">", 0.1,
)  # fmt: skip
claim("beyond detail the class explains under 5 %", left, "<", 0.05)
claim("upside down costs under 10 % more", cost["upside down"], "<", 1.1)
claim("a negative under 15 % more", cost["negative"], "<", 1.15)
claim("mixed tiles over 40 % more", cost["mixed tiles"], ">", 1.4)

# %% [markdown]
# ## Object or background?
#
# A widespread warning: an autoencoder may "reconstruct background elements
# perfectly but fail on the salient parts". With photographs that is hard to
# test, for nobody has marked the object. The stand-in knows its masks. So here
# is a second small network, trained on *shapes* whatever your data are, and
# PCA again. We split each image into three regions.

# %%
shapes = data.load("shapes", limit=pick(quick=2_000, full=20_000))
drawn_test = data.load("shapes", "test", limit=500)
torch.manual_seed(0)
small = ConvAutoencoder(latent_dim=64)
fit(small, shapes, epochs=3, batch_size=64, verbose=False)
rivals = {"network": small, "PCA": PCA.fit(shapes[:2_000], 64)}

# %%
from torch.nn.functional import max_pool2d

mask = drawn_test.masks[:, None].float()  # (N, 1, 32, 32)
grown = max_pool2d(mask, 3, 1, padding=1)
shrunk = 1 - max_pool2d(1 - mask, 3, 1, padding=1)
regions = {
    "background": 1 - grown,
    "object, inside": shrunk,
    "outline, 2 pixels": grown - shrunk,
}

# %% [markdown]
# For each region two measures: the MSE, and the share of the variance that is
# brought back, $R^2$. They answer different questions, "where is the error?"
# and "what is neglected?". **Guess:** is the object neglected?

# %%
s = drawn_test.unit()
variance = (s - s.mean(dim=0)).square()  # (N, 3, 32, 32)
mse_of, r2_of = {}, {}
for name, rival in rivals.items():
    squares = (s - reconstruct(rival, s)).square()
    for region, part in regions.items():
        total = (squares * part).sum() / part.sum() / 3
        whole = (variance * part).sum() / part.sum() / 3
        mse_of[name, region] = total.item()
        r2_of[name, region] = 1 - (total / whole).item()
        print(f"{name:8} {region:18} MSE {total:.4f}   R² "
              f"{r2_of[name, region]:.2f}")  # fmt: skip

# %% [markdown]
# Look at the maps of the error of the first three: where do they glow?

# %%
plots.reconstructions(s, reconstruct(small, s), 3, source=shapes.source)

# %% [markdown]
# The object does have the larger error. But PCA shows the same pattern, and it
# cannot tell an object from a wall. Inside the object the share brought back
# is about that of the background: there is more error because there is more to
# reconstruct. What is truly neglected is the *outline*. The squared error does
# not look for objects, neither for them nor against them; sharp edges are
# dear, wherever they are.

# %%
# NBVAL_CHECK_OUTPUT
back, inside, outline = regions
for name in rivals:
    times = mse_of[name, outline] / mse_of[name, back]
    claim(f"{name}: the outline has over twice the error", times, ">", 2)
    lost = r2_of[name, back] - r2_of[name, inside]
    claim(f"{name}: the inside is not neglected", lost, "<", 0.1)
    lost = r2_of[name, back] - r2_of[name, outline]
    claim(f"{name}: the outline is", lost, ">", 0.08)

# %% [markdown]
# ## What does each number carry?
#
# Now into the code. The usual picture is a histogram of all its values, and
# how much each number varies. **Look for** dead numbers, which never change.


# %%
@torch.no_grad()
def encode(model, x):
    return torch.cat([model.encode(part) for part in x.split(500)])


z = {"network": encode(model, x), "PCA": pca.encode(x)}  # (2000, 64)
plots.code_histogram(z["network"], source=test.source)

# %% [markdown]
# No zeros, nothing dead: all 64 numbers vary, none much more than the others.
# Is that good? The picture cannot tell, for scale is arbitrary: the bottleneck
# may multiply any number by 1,000 and the decoder's first layer divide it
# again. The *effective rank*, a popular count of the directions in use,
# suffers from the same: rescale a code, and it changes while every image
# stays.
#
# So ask what a number is *worth*: forget it, that is, put its mean in its
# place for all images, decode, and see what the error gains.

# %%
from ae_lib.metrics import effective_rank


@torch.no_grad()
def cost_of_forgetting(model, x):
    z = model.encode(x)
    whole, cost = mse(x, model.decode(z)), []
    for i in range(z.shape[1]):
        blank = z.clone()
        blank[:, i] = z[:, i].mean()
        cost.append(mse(x, model.decode(blank)) - whole)
    return torch.tensor(cost).sort(descending=True).values  # (64,)


worth = {"network": cost_of_forgetting(model, x[:200])}
worth["PCA"] = cost_of_forgetting(pca, x[:200])
for name in z:
    print(f"{name:8} effective rank {effective_rank(z[name]):.0f} of 64")

# %% [markdown]
# **Predict** the two curves: the dearest number on the left, the cheapest on
# the right. PCA's you can calculate: forgetting number $i$ costs its variance,
# $\lambda_i / 3072$.

# %%
plots.line_with_spread(
    range(1, 65), worth, "number of the code, dearest first",
    "MSE gained by forgetting it", ylog=True, source=test.source,
)  # fmt: skip

# %% [markdown]
# PCA puts a third of its worth into one number and little into its last. The
# network spreads it nearly evenly; no number stands for anything large, and
# none is idle. The two effective ranks, which lie close together, had nothing
# to say about this difference.

# %%
# NBVAL_CHECK_OUTPUT
top = {name: (w[0] / w.sum()).item() for name, w in worth.items()}
idle = worth["network"][-1] / error["network"].mean()
claim(
    "PCA: one number holds over a quarter of the worth", top["PCA"], ">", 0.25
)
claim("network: none holds a tenth", top["network"], "<", 0.1)
claim("network: none is idle, in shares of the MSE", idle, ">", 0.005)
varies = z["network"].std(dim=0)
alike = varies.max() / varies.min()
claim("network: the numbers vary alike, widest to narrowest", alike, "<", 4)

# %% [markdown]
# ## Turning the knobs
#
# What happens in the image when you turn up one number of the code? As no
# single number stands for anything, take *directions* as well: those along
# which the codes of the training images vary most. That is PCA again, in the
# code instead of in the pixels.


# %%
def principal_directions(codes):
    centred = codes - codes.mean(dim=0)
    _, length, directions = torch.linalg.svd(centred, full_matrices=False)
    return directions, length / len(codes) ** 0.5  # (64, 64), deviations (64,)


codes = encode(model, train.unit())  # (N, 64)
directions, deviation = principal_directions(codes)
singles, single_deviation = torch.eye(64), codes.std(dim=0)

# %% [markdown]
# Are these directions a property of the network? Not quite. Stretch number 0 a
# hundredfold and let the decoder divide it again: no image changes. But where
# does direction 1 point now?

# %%
# NBVAL_CHECK_OUTPUT
stretch = torch.ones(64)
stretch[0] = 100
stretched, _ = principal_directions(codes * stretch)
off_axis = 1 - stretched[0, 0].abs()
claim("direction 1 is now number 0 alone", off_axis, "<", 0.01)

# %% [markdown]
# So directions of largest variance depend on a scale that no loss asked for.
# We may use them because, as measured above, the numbers of *this* code happen
# to vary alike. State the scale when you show such a picture.
#
# `walk` moves a code along a direction, three standard deviations each way,
# and decodes it at both ends and in the middle.


# %%
@torch.no_grad()
def walk(z, direction, deviation):
    steps = torch.linspace(-3, 3, 3)[:, None]
    return model.decode(z + steps * deviation * direction)  # (3, 3, 32, 32)


# %% [markdown]
# One image, moved along three directions and along one single number. The
# middle column is the image's own code, decoded. **Before you run:** what do
# you expect of direction 1?

# %%
start = z["network"][7]
rows = [walk(start, directions[i], deviation[i]) for i in range(3)]
rows += [walk(start, singles[0], single_deviation[0])]
names = ["direction 1", "direction 2", "direction 3", "number 0 alone"]
above = ["-3 std", "as it is", "+3 std"]
film(rows, names, above, test.source)

# %% [markdown]
# Direction 1 is light against dark; the next ones are gradients and colours.
# The single number changes a little of everything and looks like a smudge. You
# have met those directions before: they resemble the first components of PCA
# in chapter 03. Do they? Compare the mean change of 100 images with PCA's
# components: how much of it lies among the first ten?


# %%
@torch.no_grad()
def change(z, move):
    return (model.decode(z + move) - model.decode(z - move)) / 2


def like_pca(move):
    """Return the mean change's cosines with each component of PCA: (64,)."""
    mean = change(z["network"][:100], move).mean(dim=0).flatten()  # (3072,)
    return pca.components @ mean / mean.norm()


along = [like_pca(deviation[i] * directions[i]) for i in range(6)]
alone = [like_pca(single_deviation[i] * singles[i]) for i in range(16)]
in_ten = [c[:10].square().sum() for c in along]
alone_in_ten = torch.stack([c[:10].square().sum() for c in alone])
print("directions:    ", " ".join(f"{share:.0%}" for share in in_ten))
print(f"single numbers: {alone_in_ten.mean():.0%} on average")

# %%
# NBVAL_CHECK_OUTPUT
first = along[0].abs()[0]
claim("direction 1 is PCA's first component", first, ">", 0.9, note="cosine")
claim(
    "the first six directions lie among PCA's first ten components",
    min(in_ten), ">", 0.85,
)  # fmt: skip
claim("single numbers do not", alone_in_ten.mean(), "<", 0.6)

# %% [markdown]
# ### Your turn
#
# Now turn them yourself. The sliders at the left are the first six directions,
# in standard deviations, and the third picture follows your hand; with the
# keyboard, Tab and the arrow keys do the same. Choose another image and see
# whether the same move does the same to it. Try to make a face, or an
# aeroplane: how far do six directions take you? (The five controls beside
# them mix codes, and the fourth picture goes with them: the next two sections
# are about that.)

# %%
from ae_lib.explore import explore

explore(model, test, dims=6)

# %% [markdown]
# Light, colour and gradients are all you can reach; whatever made the image
# *that* image sits in the other 58 directions, a little in each. And the same
# move does nearly the same to every image. If it did exactly the same, the
# decoder would be linear, as PCA's is. It is not far from that, as the next
# section shows.
#
# ## Between two images
#
# A popular picture: walk through the code from one image to another, and
# watch one *become* the other. The rival costs nothing: blend the two
# reconstructions, pixel by pixel. For PCA both are the same by algebra. **For
# the network, which row is which?** Cover the names.


# %%
@torch.no_grad()
def between(decode, a, b, n=5):
    t = torch.linspace(0, 1, n).view(-1, 1)
    code = decode((1 - t) * a + t * b)  # (5, 3, 32, 32)
    t = t.view(-1, 1, 1, 1)
    return code, (1 - t) * code[:1] + t * code[-1:]  # blend


a, b = z["network"][[2, 7]]  # two codes: (64,), (64,)
rows = between(model.decode, a, b)
film(
    rows,
    ["code", "pixels"],
    ["t = 0", "0.25", "0.5", "0.75", "t = 1"],
    test.source,
)

# %% [markdown]
# Both are double exposures; nothing turns into anything. The code's midpoint
# has more contrast. Measured over 1,000 pairs: how far is the midpoint of the
# code from the blend, as a share of the distance between the two ends? And how
# much contrast has it, compared with them?


# %%
@torch.no_grad()
def midpoint(decode, z):
    ends = decode(z[:1000]), decode(z[1000:])
    code, blend = decode((z[:1000] + z[1000:]) / 2), sum(ends) / 2
    off = (code - blend).square().mean() / (ends[0] - ends[1]).square().mean()
    contrast = torch.cat(ends).var(dim=(1, 2, 3)).mean()
    ratio = [y.var(dim=(1, 2, 3)).mean() / contrast for y in (code, blend)]
    return off.sqrt().item(), *(r.item() for r in ratio)  # off: of a distance


middles = {
    "network": midpoint(model.decode, z["network"]),
    "PCA": midpoint(pca.decode, z["PCA"]),
}
for name, (off, code, blend) in middles.items():
    print(f"{name:8} off the blend {off:.2%}   contrast {code:.0%} in the "
          f"code, {blend:.0%} in the blend")  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
off, contrast, blended = middles["network"]
claim("PCA: the way through the code is a blend", middles["PCA"][0], "<", 1e-4)
claim("network: it passes near the blend", off, "<", 0.2)
claim("network: but not through it", off, ">", 0.03)
claim("halfway a quarter of the contrast is missing", contrast, "<", 0.75)
claim("the blend has less contrast still", contrast / blended, ">", 1.05)

# %% [markdown]
# The midpoint lies off the blend by about a tenth of the distance (not the
# squared distance: of that it is a hundredth), and has some 20 to 25 % more
# contrast than the blend (less with the full budget). Smooth interpolation is
# no sign of understanding. The squared error asks the decoder to be right *at*
# the codes of images, and says nothing about the space between. Other losses,
# such as a variational one, put something there.
#
# ### Sums of codes
#
# King − man + woman is said to be queen. Can one calculate with these codes,
# too? Take the mean code of one class, subtract that of another, and add the
# difference to the codes of six images. The rival costs nothing once more: the
# same sum with the pixels of the decoded images. **Guess:** what does "plus
# ship minus frog" add to a picture? (Of the stand-in's shapes it is plus
# hexagon minus crescent.)


# %%
@torch.no_grad()
def sums(decode, z, plus, minus):
    """Decode codes; add plus - minus to them, and to the decoded images."""
    x_hat, move = decode(z), plus.mean(0) - minus.mean(0)  # move: (64,)
    shown = decode(plus).mean(0) - decode(minus).mean(0)  # (3, 32, 32)
    return x_hat, decode(z + move), x_hat + shown


def of_classes(z):
    return [z[test.labels == c] for c in (8, 6)]


name = f"+ {test.classes[8]} − {test.classes[6]}"
six = z["network"][:6]
rows = sums(model.decode, six, *of_classes(z["network"]))
names = ["decoded", f"{name}, codes", f"{name}, pixels"]
film(rows, names, [""] * 6, test.source)

# %% [markdown]
# No ship appears. Everything becomes cooler and bluer, for that is how the two
# means differ: ships lie on blue, frogs on green and brown. (On the stand-in
# there is next to nothing to see: the backgrounds of its classes are alike.)
# And the rival does much the same. How much, in numbers?


# %%
# NBVAL_CHECK_OUTPUT
def alike(decode, z):
    x_hat, codes, pixels = sums(decode, z[:500], *of_classes(z))
    a, b = codes - x_hat, pixels - x_hat
    return (a * b).sum() / (a.norm() * b.norm())


for_network = alike(model.decode, z["network"])
for_pca = 1 - alike(pca.decode, z["PCA"])
claim("both sums do much the same", for_network, ">", 0.8, note="cosine")
claim("PCA: they are the same", for_pca, "<", 1e-4, note="1 - cosine")

# %% [markdown]
# Sums of codes are, here, mostly sums of pictures. Try others in the explorer
# above: *other image* and *way to it* go from image to image; *plus*, *minus*
# and *times* add a difference of images or of class means; the fourth picture
# is the rival that needs no code.
#
# ## Near an image
#
# "Similar images have similar codes." Which kind of similar? For two test
# images, here are the nearest training images by distance in the code and by
# distance in pixels. **Guess:** how many of the ten nearest are the same in
# both? How many have the class of the query?

# %%
places = {
    "code": (z["network"], codes),
    "PCA's code": (z["PCA"], pca.encode(train.unit())),
    "pixels": (x.flatten(1), train.unit().flatten(1)),
}
near = {
    name: torch.cdist(queries[:500], all_).topk(10, largest=False).indices
    for name, (queries, all_) in places.items()
}  # (500, 10)

# %% [markdown]
# Two queries, each shown twice: with its neighbours by code, then by pixels.
# Look for images that stand in both rows of a query.

# %%
chosen = [i for i in (2, 7) for _ in range(2)]
by = ["by code", "by pixels"] * 2
kinds = [name.removeprefix("by ") for name in by]
rows = torch.stack([near[k][i, :2] for k, i in zip(kinds, chosen)])  # (4, 2)
titles = [
    [f"query: {test.classes[test.labels[i]]}"]
    + [train.classes[c] for c in train.labels[r]]
    for i, r in zip(chosen, rows)
]
plots.neighbours(
    x[chosen], train.unit()[rows], titles, source=test.source, names=by
)

# %% [markdown]
# The neighbours agree in layout and colour, much less in what they *are*. And
# the two rows of a query have images in common, in another order.


# %%
def common(a, b):
    return (a[:, :, None] == b[:, None, :]).any(dim=2).float().mean().item()


same_class = {
    name: (train.labels[rows] == test.labels[:500, None]).float().mean().item()
    for name, rows in near.items()
}
overlap = common(near["code"], near["pixels"])
print(f"in common: {overlap:.0%} of the ten nearest; by chance "
      f"{10 / len(train):.1%}")  # fmt: skip
for name, share in same_class.items():
    print(f"same class, by distance in {name:10} {share:.0%}")

# %%
# NBVAL_CHECK_OUTPUT
gain = same_class["code"] - same_class["pixels"]
claim("code and pixels share over 30 % of the neighbours", overlap, ">", 0.3)
claim("most neighbours are of another class", same_class["code"], "<", 0.4)
claim("the code gains little over pixels", gain, "<", 0.1)

# %% [markdown]
# By chance one neighbour in ten would have the right class. The code does
# better than that, and so do the pixels. An autoencoder keeps distances
# roughly as they are: it was asked for pixels, and gives pixels.
#
# ## The map
#
# The last picture, and the most popular: all codes in two dimensions. t-SNE
# places them so that near ones stay near. We take 800 test images, run it
# twice with different seeds, and compute PCA's plain projection as a rival.
# (We start from random places, as t-SNE was published; scikit-learn's default
# starts from PCA, which makes the picture repeatable. That hides the
# arbitrariness, it does not remove it.)

# %%
from sklearn.manifold import TSNE

points, labels = z["network"][:800], test.labels[:800]
maps = {
    f"t-SNE, seed {s}": torch.from_numpy(
        TSNE(init="random", random_state=s, max_iter=500).fit_transform(
            points.numpy()
        )
    )
    for s in (0, 1)
}
maps["PCA, 2 numbers"] = (points - points.mean(dim=0)) @ directions[:2].T
tsne = maps["t-SNE, seed 0"]  # (800, 2)

# %% [markdown]
# **Look for islands:** is there a region that belongs to one class?
# (500 of the 800 points are drawn.)

# %%
plots.latent_map(tsne[:500], labels[:500], test.classes, source=test.source)

# %% [markdown]
# Confetti, with a tendency here and there. (On CIFAR-10 airplanes and ships
# keep to one side, and a story comes by itself: the network has discovered
# vehicles without wheels.) Now the very same points, coloured by the mean
# brightness of the image.

# %%
light = x[:800].mean(dim=(1, 2, 3))


@styled
def by_light(points, light, source):
    axes = picture(5.6, 4, source).add_subplot(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    style = {"marker": "s", "linewidths": 0, "antialiased": False}
    dots = axes.scatter(*points.T, 7, light, cmap="cividis", **style)
    axes.figure.colorbar(dots, label="mean brightness of the image, 0 to 1")
    return axes.figure


by_light(tsne[:500], light[:500], test.source)

# %% [markdown]
# There is the order: from dark to light. (On CIFAR-10 the side of airplanes
# and ships is the bright one: skies.) The map was never empty; it only answers
# another question than the one you asked. Put numbers on both. From the ten
# nearest points on the map, vote for a point's class, and average for its
# brightness; do the same in the full code and in pixels.


# %%
def nearest(points, k=10):
    distance = torch.cdist(points, points).fill_diagonal_(torch.inf)
    return distance.topk(k, largest=False).indices  # (N, 10)


spaces = {"pixels": x[:800].flatten(1), "code": points, **maps}
around = {name: nearest(p) for name, p in spaces.items()}
right, known = {}, {}
for name, rows in around.items():
    right[name] = (labels[rows].mode(dim=1).values == labels).float().mean()
    miss = (light[rows].mean(dim=1) - light).square().mean()
    known[name] = 1 - miss / light.var()
    print(f"{name:15} class right {right[name]:4.0%} (chance 10 %)   "
          f"brightness R² {known[name]:.2f}")  # fmt: skip

# %% [markdown]
# Whatever the space, the vote misses the class far more often than not, and
# the average hits the brightness closely. Does the code not hold the class,
# then? Ask a reader that need not rely on distance: the *linear probe* of
# chapter 01 may weigh each number as it likes. To be fair, the vote gets the
# same help: all the labelled codes of the training images. **Guess** who names
# more of the 2,000 test images.

# %%
from ae_lib.features import linear_probe

probe, vote = {}, {}
for name in ("code", "PCA's code"):
    queries, learned = places[name]
    probe[name] = linear_probe(learned, train.labels, queries, test.labels)
    rows = torch.cdist(queries, learned).topk(10, largest=False).indices
    winner = train.labels[rows].mode(dim=1).values  # (2000,)
    vote[name] = (winner == test.labels).float().mean().item()
    print(f"{name:10}  probe {probe[name]:.1%}   vote {vote[name]:.1%}")

# %% [markdown]
# Class is in there too. On photographs the probe names a third of the images,
# the vote, now that it may ask all the training codes, nearly as many, and of
# PCA's code both name about as many. (The stand-in's classes are outlines, of
# which such codes tell little.) A map shows what *dominates* distance, and
# class does not: no islands on the map does not mean not in the code. A reader
# that bends finds more (exercise 7).
#
# Last: how far can the map be trusted as a map? Two questions. Are a point's
# neighbours on the map its neighbours in the code? And do long distances mean
# anything?

# %%
pairs = torch.triu_indices(800, 800, 1)
apart = {n: torch.cdist(p, p)[*pairs] for n, p in spaces.items()}  # (319600,)
far = apart["code"] > apart["code"].median()
kept, true_far = {}, {}
for name in maps:
    kept[name] = common(around["code"], around[name])
    true_far[name] = correlation(apart["code"][far], apart[name][far])
    print(f"{name:15} neighbours kept {kept[name]:.0%}   "
          f"long distances, correlation {true_far[name]:.2f}")  # fmt: skip
seeds = common(around["t-SNE, seed 0"], around["t-SNE, seed 1"])
print(f"two seeds agree on {seeds:.0%} of the neighbours")
loose = sum(true_far[f"t-SNE, seed {s}"] for s in (0, 1)) / 2

# %%
# NBVAL_CHECK_OUTPUT
one = "t-SNE, seed 0"
better = kept[one] / kept["PCA, 2 numbers"]
claim("the map does not group classes", right[one], "<", 0.4)
claim("it does order by brightness", known[one], ">", 0.5)
claim("a probe finds the class in the code", probe["code"], ">", 0.12)
more = probe["code"] - right[one]
claim("more often than a vote on the map does", more, ">", 0)
rival = abs(probe["code"] - probe["PCA's code"])
claim("in PCA's code about as often", rival, "<", 0.08)
claim("t-SNE keeps more neighbours than PCA's map", better, ">", 1.5)
claim("and still loses over half of them", kept[one], "<", 0.5)
claim("two seeds disagree on a fifth or more", seeds, "<", 0.8)
claim("long distances are told loosely, both seeds", loose, "<", 0.8)

# %% [markdown]
# Of the neighbours in the code, t-SNE keeps more than PCA's map, and drops
# more than half; another seed keeps others. "Distances between islands mean
# nothing" goes too far, but the correlation is loose: do not measure on the
# map. Compute in the code, then draw.
#
# ## What we saw
#
# Eight images against another eight are a lottery with [more than a
# decibel](#Which-images-do-you-show?) between tickets; on the same eight the
# better method wins nearly always. What is hard is
# [detail](#What-makes-an-image-hard?), for PCA just the same; upside-down
# images cost next to nothing, so it is not the objects. Objects are [not
# neglected](#Object-or-background?), outlines are. Single numbers of the code
# carry [a little of everything](#What-does-each-number-carry?); its main
# directions, at the scale that training chose, are [those of
# PCA](#Turning-the-knobs). A walk through the code is [nearly a
# blend](#Between-two-images), neighbours are [neighbours in
# pixels](#Near-an-image), and the [map](#The-map) is in order, by brightness;
# class is in the code as well, faintly, and the map does not show it. None of
# this is a failure. The network was asked for pixels; look at the loss before
# you look for meaning.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **From image to image.** Write `walk_between(encode, decode, x_a, x_b,
#    n)`: $n$ images on the straight way through the code, both ends included.
#    You get two single images; a network wants batches.


# %% tags=["exercise"]
# Exercise 06.1
def walk_between(encode, decode, x_a, x_b, n):
    """Return n images (n, C, H, W), from x_a's to x_b's reconstruction.

    x_a and x_b are (C, H, W); encode takes (B, C, H, W), decode (B, k).
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("06.1", walk_between)

# %% [markdown]
# 2. **Others only.** Write `neighbours(z, k)`: for each code the rows of the
#    $k$ nearest *other* codes. Data sets hold twins, two images with the same
#    code, and then the nearest row need not be the code itself.


# %% tags=["exercise"]
# Exercise 06.2
def neighbours(z, k):
    """Return rows (N, k) of z (N, d), the nearest first, oneself excluded."""
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("06.2", neighbours)

# %%
exercises.progress("06")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Pick your winner.** Cut PCA to so many components that it ties with the
#    network over all 2,000 images. Then choose eight images that make the
#    network look best against it, and eight that make it look worst. You have
#    succeeded when your two figures come to opposite verdicts.
# 4. **One move, many images.** Move 200 codes along direction 1, for the
#    network and for PCA. Which share of the change is the same for all images?
#    You have succeeded when PCA's share is 1 and you can say why the network's
#    is not.
# 5. **A map of nothing.** Draw 1,000 random codes from a Gaussian with the
#    mean and covariance of the real ones, and make a t-SNE map of them. Can a
#    friend tell it from the real map? Then decode the random codes: what are
#    they? You have succeeded when one measurement tells them from decoded real
#    codes by more than 20 %.
# 6. **Understanding by colour.** Somebody says the network "knows what things
#    look like in colour". Give it grey versions of the test images: does it
#    colour them in, does the error rise? Write down first what you expect of a
#    network that knows, and of one that only blends. You have succeeded when
#    two numbers decide between them.
# 7. **A reader that bends.** Give the codes, each number scaled to deviation
#    1, to a support vector machine, `sklearn.svm.SVC(C=3)`. Does it name more
#    test images than the linear probe? You have succeeded when you can say why
#    both shares are lower bounds of what the code holds.
#
# Solutions: [solutions/06_seeing.ipynb](solutions/06_seeing.ipynb).
#
# ## Further reading
#
# - L. van der Maaten and G. Hinton, *Visualizing data using t-SNE*, Journal of
#   Machine Learning Research 9, 2008. The method, and what it optimises.
# - M. Wattenberg, F. Viégas and I. Johnson, [*How to use t-SNE
#   effectively*](https://distill.pub/2016/misread-tsne/), Distill, 2016. Maps
#   of known data, to learn how they mislead.
# - O. Roy and M. Vetterli, *The effective rank: a measure of effective
#   dimensionality*, EUSIPCO 2007. Where the count of directions comes from.
# - D. Berthelot, C. Raffel, A. Roy and I. Goodfellow, [*Understanding and
#   improving interpolation in autoencoders via an adversarial
#   regularizer*](https://arxiv.org/abs/1807.07543), ICLR 2019. What it takes
#   to put something better than a blend between two images.
# - F. Locatello and others, [*Challenging common assumptions in the
#   unsupervised learning of disentangled
#   representations*](https://arxiv.org/abs/1811.12359), ICML 2019. Why single
#   numbers of a code need not mean anything.
