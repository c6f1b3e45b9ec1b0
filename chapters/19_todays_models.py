# %% [markdown]
# # 19 · Towards today's models
#
# Describe a photograph in 64 words, each taken from a dictionary of 256. Or
# cover three quarters of it, and guess the rest. Both tricks are at work in
# image models of today. What is each worth beside a method without a network:
# k-means for the words, a formula for the guessing?
#
# **You will be able to**
#
# - write a vector-quantised autoencoder, and let it start as k-means;
# - see a dictionary collapse, and cure it;
# - count words in honest bytes, and say what a prior over words saves;
# - train a masked autoencoder, and hold it to the best linear guess;
# - say where the convolutional autoencoder sits in today's image models.
#
# **Cost:** about 110 s on 2 CPU cores.

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
# ## A picture in 64 words
#
# No network yet. Cut each image into 64 patches of 4×4 pixels, 48 numbers
# each. `fold` of the library does that, and lays a patch into the channels.

# %%
import torch.nn.functional as F
from torch import nn
from ae_lib.blocks import Block, fold, unfold
from ae_lib.metrics import mse, psnr, reconstruct

train = data.load("cifar10", limit=pick(quick=4_000, full=50_000))
exam = data.load("cifar10", "test", limit=1_000)
test, credit, K = exam[:500], exam.source, 256


# %%
def patches(x):
    return fold(x - 0.5).permute(0, 2, 3, 1)  # (N, 8, 8, 48)


def picture_of(p):
    return unfold(p.permute(0, 3, 1, 2)) + 0.5  # (N, 3, 32, 32)


# %% [markdown]
# A *dictionary*, or codebook, holds $K$ words, each of them a patch. Whoever
# has the same dictionary needs only the number of the nearest word, a *token*
# of $\log_2 256 = 8$ bits: 64 bytes for an image. And k-means finds words:
# assign each patch to its nearest word, move each word to the mean of its
# patches, repeat.


# %%
def nearest(z, words):
    """Number the nearest word of each vector: (..., D), (K, D) -> (...)."""
    half = words.square().sum(1) / 2
    parts = z.reshape(-1, z.shape[-1]).split(20_000)
    tokens = [(half - part @ words.T).argmin(1) for part in parts]
    return torch.cat(tokens).view(z.shape[:-1])


# %%
def kmeans(z, k, rounds=15, seed=0):
    random = torch.Generator().manual_seed(seed)
    words = z[torch.randperm(len(z), generator=random)[:k]]  # (K, D)
    for _ in range(rounds):
        tokens = nearest(z, words)
        count = tokens.bincount(minlength=k)[:, None]
        total = torch.zeros_like(words).index_add_(0, tokens, z)
        words = torch.where(count > 0, total / count.clamp(min=1), words)
    return words


# %% [markdown]
# (Half the squared distance is $\lVert w \rVert^2/2 - z \cdot w$, less what is
# the same for all words.) Quality is given in decibels of 500 test images,
# clipped to [0, 1], as everywhere on this page.


# %%
def quality(x_hat):
    return psnr(mse(test, x_hat.clamp(0, 1)))


# %%
seen = patches(train[:2_000].unit())  # (2000, 8, 8, 48)
random = torch.Generator().manual_seed(0)
order = torch.randperm(seen[..., 0].numel(), generator=random)
some = seen.flatten(0, 2)[order[:40_000]]  # (40000, 48)
WORDS = kmeans(some, K)
tokens = nearest(patches(test.unit()), WORDS)  # (500, 8, 8)
simple = picture_of(WORDS[tokens])
print(f"{K} words by k-means: {quality(simple):.2f} dB")

# %% [markdown]
# Below are the 128 words that the test images use most, in that order.
# **Guess** what the first rows look like: edges, colours, textures?

# %%
use = tokens.flatten().bincount(minlength=K)
often = WORDS[use.argsort(descending=True)[:128]]
drawn = picture_of(often.view(-1, 1, 1, 48)).clamp(0, 1)  # (128, 3, 4, 4)
plots.samples(drawn, n=128, columns=16, source=credit)

# %% [markdown]
# Plain colours first; words with an edge in them come later. The dictionary
# has never seen two patches at once: it cannot know that the sky goes on.

# %%
# NBVAL_CHECK_OUTPUT
rough = often.view(128, 3, 16).std(2).mean(1)  # how uneven each word is
least = rough[:32].mean() / rough[-32:].mean()
claim("the first 32 are plainer than the last 32", least, "<", 0.5)

# %% [markdown]
# ## The same, with a network
#
# A vector-quantised autoencoder (VQ-VAE; van den Oord et al. 2017) puts an
# encoder before the dictionary and a decoder behind it. Two things stand in
# the way of training. *Nearest* has no gradient. So the gradient is handed
# *straight through*, as if nothing had been replaced:
#
# $$z_q = z + \mathrm{detach}(w_{\text{nearest}} - z).$$
#
# And the words must follow the encoder. Each goes to the running mean of the
# vectors that chose it: k-means again, a little in every step. A word that is
# chosen less than once a batch starts anew at a vector of the batch.


# %%
def follow(book, z, tokens):
    """Move each word towards the mean of the vectors that chose it."""
    count = tokens.bincount(minlength=len(book.words)).float()
    total = torch.zeros_like(book.words).index_add_(0, tokens, z)
    book.count.lerp_(count, 0.05)  # (K,), running means of 20 batches
    book.total.lerp_(total, 0.05)  # (K, D)
    if book.restart:
        dead = (book.count < 1).nonzero()[:, 0]
        book.total[dead] = z[torch.randint(len(z), (len(dead),))]
        book.count[dead] = 1.0
    mean = book.total / book.count.clamp(min=1e-6)[:, None]
    alive = book.count[:, None] > 1e-6
    book.words.copy_(torch.where(alive, mean, book.words))


# %%
class Words(nn.Module):
    """Replace each vector by its nearest word; the words follow."""

    def __init__(self, words, restart=True):
        super().__init__()
        self.restart = restart
        self.register_buffer("words", words.clone())  # (K, D)
        self.register_buffer("count", torch.ones(len(words)))
        self.register_buffer("total", words.clone())

    def forward(self, z):  # (B, 8, 8, D)
        with torch.autocast(z.device.type, enabled=False):  # in float32
            tokens = nearest(z.detach(), self.words)
        word = self.words[tokens]
        if self.training:
            follow(self, z.detach().flatten(0, 2), tokens.flatten())
        return z + (word - z).detach(), word


# %% [markdown]
# Around it a small network that *is* k-means at the start. The vector of a
# patch is the patch, plus a correction that sees its neighbours; the drawn
# patch is the word, plus a correction that sees the neighbouring words. Both
# start at zero. Who draws each patch from its own word alone can do no better
# than the mean of the patches that chose it, and k-means does that already:
# what a network gains, it gains nearly all by looking around.


# %%
def correction(depth, width=64):
    """Map 48 channels to 48; at first everything to zero."""
    first = nn.Conv2d(48, width, 3, padding=1)  # (B, 64, 8, 8)
    last = nn.Conv2d(width, 48, 3, padding=1)  # (B, 48, 8, 8)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, *(Block(width) for _ in range(depth)), last)


# %%
class Tokeniser(nn.Module):
    def __init__(self, words, restart=True):
        super().__init__()
        self.down, self.up = correction(1), correction(2)
        self.book = Words(words, restart)

    def encode(self, x):
        p = fold(x - 0.5)  # (B, 48, 8, 8)
        return (p + self.down(p)).permute(0, 2, 3, 1).float()

    def decode(self, z_q):
        p = z_q.permute(0, 3, 1, 2)  # (B, 48, 8, 8)
        return unfold(p + self.up(p)).float() + 0.5  # (B, 3, 32, 32)

    def forward(self, x):
        z = self.encode(x)  # (B, 8, 8, 48)
        z_q, word = self.book(z)
        return self.decode(z_q), z, word


# %% [markdown]
# The loss has a second term, the *commitment*: the encoder shall stay near the
# words it chose, or it could run away from them.
#
# $$L = \mathrm{MSE}(\hat x, x) + \tfrac14\,
# \mathrm{MSE}(z, w_{\text{nearest}}).$$

# %%
from ae_lib.training import fit


def loss(output, x):
    x_hat, z, word = output
    return F.mse_loss(x_hat, x) + 0.25 * F.mse_loss(z, word)


# %%
def train_tokeniser(words, images, epochs, seed, restart=True):
    torch.manual_seed(seed)
    net = Tokeniser(words, restart)
    quiet = {"verbose": False, "watch": 0, "seed": seed}
    fit(net, images, loss=loss, epochs=epochs, batch_size=50, **quiet)
    return net


# %% [markdown]
# Two seeds, each image seen twice. **Guess:** how many decibels does the
# network gain on the k-means that it starts from? (Three decibels are half of
# the error.)

# %%
SEEDS = range(2)
apart = (reconstruct(Tokeniser(WORDS), test) - simple).abs().max()
nets = [
    train_tokeniser(WORDS, train, pick(quick=2, full=10), s) for s in SEEDS
]
better = [reconstruct(net, test) for net in nets]
for x_hat in better:
    print(f"network with {K} words: {quality(x_hat):.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
claim("untrained, the network is k-means", apart, "<", 1e-4)
gain = min(map(quality, better)) - quality(simple)
claim("trained, it is ahead with as many words", gain, ">", 1, unit="dB")
apart = abs(quality(better[0]) - quality(better[1]))
claim("two seeds differ by little of that", apart / gain, "<", 0.25)

# %% [markdown]
# **Look at** the borders of the patches, and at thin lines.

# %%
rows = {"k-means": simple, "network": better[0]}
plots.compare(test, rows, n=8, source=credit)

# %% [markdown]
# k-means lays tiles. The network's tiles have joined, for its decoder knows
# the words around each word; thin lines are lost with both. The joints can be
# measured: the step from pixel to pixel across them, over the step within a
# patch. It is 1 where a patch ends nowhere.


# %%
# NBVAL_CHECK_OUTPUT
def joints(x):
    step = (x[..., 1:] - x[..., :-1]).abs().mean((0, 1, 2))  # (31,)
    across = torch.arange(31) % 4 == 3
    return step[across].mean() / step[~across].mean()


claim("in the test images there are none", joints(test.unit()), "<", 1.15)
claim("k-means has joints", joints(simple), ">", 2)
claim("the network hardly", max(map(joints, better)), "<", 1.4)

# %% [markdown]
# ## A dictionary that nobody uses
#
# We gave the network good words to start with. Many programs begin with
# `nn.Embedding`, whose words are drawn from N(0, 1), others with numbers
# between −1/K and 1/K. How many words are in use is measured by the
# *perplexity*, $\exp(-\sum p \ln p)$ of the words' shares: $K$ if all are used
# alike, 1 if one is.


# %%
@torch.no_grad()
def tokens_of(net, images):
    parts = [net.encode(x) for x in images.unit().split(500)]
    return nearest(torch.cat(parts), net.book.words)  # (N, 8, 8)


# %%
def perplexity(tokens):
    share = tokens.flatten().bincount(minlength=K) / tokens.numel()
    return torch.special.entr(share).sum().exp().item()


def normal_words(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(K, 48, generator=random)


def small_words(seed):
    random = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(K, 48, generator=random) - 1) / K


# %% [markdown]
# Five starts of the same network, and one short epoch of 1,200 images each.
# **Guess** the perplexity of each, from 1 to 256.

# %%
STARTS = {  # the first words, and whether dead words begin anew
    "N(0, 1)": (normal_words, False),
    "within ±1/K": (small_words, False),
    "N(0, 1), restarts": (normal_words, True),
    "k-means": (lambda seed: WORDS, False),
    "k-means, restarts": (lambda seed: WORDS, True),
}
used, reached = {}, {}
for name, (start, restart) in STARTS.items():
    short = [
        train_tokeniser(start(s), train[:1_200], 1, s, restart) for s in SEEDS
    ]
    used[name] = [perplexity(tokens_of(net, test)) for net in short]
    reached[name] = [quality(reconstruct(net, test)) for net in short]
    print(f"{name:<18}", *(f"{db:.2f} dB" for db in reached[name]))

# %% [markdown]
# The decibels are above. Now the words in use.

# %%
plots.bars(used, f"perplexity, of {K}", source=credit)

# %% [markdown]
# Words from N(0, 1) lie far outside the cloud of vectors. A handful of them
# happens to be nearest, gets all the vectors, and moves among them; the others
# are never chosen, so nothing ever moves them. That is *codebook collapse*: no
# error, no NaN, only a bad picture. Words within ±1/K all lie in the middle,
# from where they see in which direction a vector lies and not how far: better,
# and far from good. Restarts cure it. A start at k-means does too, gives the
# better pictures, and leaves restarts nothing to do.


# %%
# NBVAL_CHECK_OUTPUT
def mean(values):
    return sum(values) / len(values)


claim("N(0, 1): under an eighth is in use", max(used["N(0, 1)"]), "<", K / 8)
small = used["within ±1/K"]
claim("within ±1/K: more are", min(small), ">", 2 * max(used["N(0, 1)"]))
claim("and still under half", max(small), "<", K / 2)
for name in ("N(0, 1), restarts", "k-means"):
    claim(f"{name}: over half is", min(used[name]), ">", K / 2)
gain = min(reached["k-means"]) - max(reached["N(0, 1)"])
claim("the collapse costs decibels", gain, ">", 1, unit="dB")
gain = mean(reached["k-means"]) - mean(reached["N(0, 1), restarts"])
claim("k-means first is better than restarts", gain, ">", 0.1, unit="dB")
gain = mean(reached["k-means, restarts"]) - mean(reached["k-means"])
claim("after k-means, restarts change little", gain, "~", 0, tol=0.3)

# %% [markdown]
# But that was after 24 steps. **Guess** which of the first three starts
# catches up when it is trained as the network above, by 160 steps; one seed.

# %%
long = {"k-means, restarts": nets[0]}
for name in ("N(0, 1)", "within ±1/K", "N(0, 1), restarts"):
    start, restart = STARTS[name]
    long[name] = train_tokeniser(
        start(0), train, pick(quick=2, full=10), 0, restart
    )
late = {name: quality(reconstruct(net, test)) for name, net in long.items()}
awake = {name: perplexity(tokens_of(net, test)) for name, net in long.items()}
for name in long:
    print(f"{name:<18} perplexity {awake[name]:3.0f}, {late[name]:.2f} dB")

# %% [markdown]
# The collapse stays: nothing reaches a word that lies outside. Words in the
# middle do wake: when the first have moved out to their vectors, the rest are
# nearest for what lies between. And restarts have made up most of what a start
# at k-means had been ahead: a good start saves steps.

# %%
# NBVAL_CHECK_OUTPUT
claim("N(0, 1): still under an eighth", awake["N(0, 1)"], "<", K / 8)
woken = awake["within ±1/K"] / max(used["within ±1/K"])
claim("within ±1/K: more words than before, times", woken, ">", 1.3)
behind = late["k-means, restarts"] - late["N(0, 1), restarts"]
early = mean(reached["k-means, restarts"]) - mean(reached["N(0, 1), restarts"])
claim("restarts: less behind, of what it was", behind / early, "<", 0.7)

# %% [markdown]
# ## Honest bytes
#
# Eight bits per token is the fixed price. A table of how often each word was
# used on *training* images makes it a little cheaper: a word of share $p$
# costs $-\log_2 p$ bits. (To write them really, as chapter 08 does, takes two
# or three bytes more per image.) Rivals pay by the same rule. What all images
# share is left out: dictionaries, weights, matrices, tables.


# %%
def price(seen, tokens, k=K):
    """Give the bits per token by a table of the training images."""
    count = seen.flatten().bincount(minlength=k) + 0.5
    return -(count / count.sum()).log2()[tokens].mean().item()


def point(x_hat, bits):
    x_hat = x_hat.clamp(0, 1)
    return {"bytes": bits / 8, "mse": mse(test, x_hat)}


# %%
points = {"k-means": []}
for k in (64, K, 512):
    words = WORDS if k == K else kmeans(some, k, rounds=8)
    mine = nearest(patches(test.unit()), words)
    bits = 64 * price(nearest(seen, words), mine, k)
    points["k-means"].append(point(picture_of(words[mine]), bits))

# %% [markdown]
# The main rival is what JPEG does, with axes that are learned: PCA of blocks
# of 8×8 pixels, its 192 numbers rounded to multiples of a step, a table for
# each. And JPEG itself, in bytes really written, without its header. (On the
# JPEG copy of CIFAR-10 it has an advantage; chapter 08 measured how large.)

# %%
from ae_lib import rate
from ae_lib.coder import Tables, quantise


def blocks(x):
    return F.pixel_unshuffle(x - 0.5, 8).flatten(2).mT  # (N, 16, 192)


# %%
learned = blocks(train[:2_000].unit()).flatten(0, 1)  # (32000, 192)
axes = torch.linalg.eigh(torch.cov(learned.T)).eigenvectors  # (192, 192)
points["PCA of blocks"], own = [], blocks(test.unit()).flatten(0, 1) @ axes
for step in (0.25, 0.35, 0.5, 0.7, 0.95):
    tables = Tables.fit(quantise(learned @ axes, step))
    code = tables.clip(quantise(own, step))
    back = torch.from_numpy(code).float() * step @ axes.T  # (8000, 192)
    back = back.view(-1, 16, 192).mT.reshape(-1, 192, 4, 4)
    bits = tables.bits(code).sum() / len(test)
    points["PCA of blocks"].append(point(F.pixel_shuffle(back, 8) + 0.5, bits))

# %% [markdown]
# And PCA of whole images, as in chapter 08, on images of this page.

# %%
from ae_lib.baselines import PCA
from ae_lib.features import extract

pca = PCA.fit(train[: pick(quick=1_500, full=20_000)], 300)
z = extract(pca.encode, train[-2_000:])  # the tables see other images
(curve,) = rate.curve(pca, z, [test], (0.25, 0.35, 0.5, 0.7, 1.0))
points["PCA of images"] = [p | {"bytes": p["ideal"]} for p in curve]

# %%
points["JPEG"] = [
    rate.codec(test, "JPEG", quality=q) for q in (3, 6, 10, 15, 20)
]
points["network"] = []
for net, x_hat in zip(nets, better):
    bits = price(tokens_of(net, train[:2_000]), tokens_of(net, test))
    points["network"].append(point(x_hat, 64 * bits))

# %% [markdown]
# **Guess** the order at some 62 bytes. To the left is cheaper, up is better.

# %%
from ae_lib.plots.style import picture, styled


@styled
def frontier(points, source):
    figure = picture(7, 4, source)
    axes = figure.add_subplot(xlabel="bytes per image", ylabel="PSNR, dB")
    for (name, row), mark in zip(points.items(), "so^vDP*"):
        xs, ys = [p["bytes"] for p in row], [psnr(p["mse"]) for p in row]
        line = "" if name.startswith("network") else "-"
        axes.plot(xs, ys, line, marker=mark, label=name)
    axes.set(xlim=(30, 100), ylim=(18.5, 26))
    axes.legend()
    return figure


frontier(points, credit)

# %% [markdown]
# The 256 words without a network are the worst of all: k-means knows nothing
# beyond its patch. With an encoder and a decoder that look around, as many
# words pass JPEG (whose tables were made for large photographs, and fitted to
# none of these). They are level with PCA of blocks, on photographs a little
# ahead. But they do not reach PCA of whole images, which is a matrix, a step
# and 300 tables, fitted to fewer images than the network has seen.

# %%
# NBVAL_CHECK_OUTPUT
ahead = {name: [] for name in points if name != "network"}
for name, gains in ahead.items():
    for p in points["network"]:
        gains.append(psnr(p["mse"]) - rate.quality(points[name], p["bytes"]))
least = {name: min(gains) for name, gains in ahead.items()}
mine = points["k-means"][1]  # those 256 words
worse = rate.quality(points["JPEG"], mine["bytes"]) - psnr(mine["mse"])
claim("as many bytes: JPEG is ahead of k-means", worse, ">", 0.1, unit="dB")
claim("the network is ahead of k-means", least["k-means"], ">", 1, unit="dB")
claim("ahead of JPEG", least["JPEG"], ">", 0.3, unit="dB")
claim("level with PCA of blocks, or ahead", least["PCA of blocks"],
      ">", -0.3, unit="dB")  # fmt: skip
if pick(quick=True, full=False):
    behind = -max(ahead["PCA of images"])
    claim("behind PCA of whole images", behind, ">", 0.05, unit="dB")

# %% [markdown]
# That PCA saw 1,500 images. A fit to all 50,000 photographs takes longer than
# this page may, but chapter 08 has it on record.

# %%
from ae_lib import results

record = results.load("rate_cifar10")
whole = [
    p | {"bytes": p["ideal"]}  # counted as on this page
    for row in record["data"]["rows"]
    if row["method"] == "PCA"
    for p in row["rates"]["as they are"]
]
cost = points["network"][0]["bytes"]
print(f"PCA of whole photographs, {cost:.0f} bytes: ", end="")
print(f"{rate.quality(whole, cost):.2f} dB")
print(results.provenance_line(record))

# %% [markdown]
# With more images PCA's lead grows; the network's training was short, too. So
# word by word, by a table, tokens are no bargain in decibels: whoever praises
# a tokeniser for its reconstructions should draw this curve beside it.
#
# ## A prior over words
#
# But tokens are made for something else. They can be *written*, one after the
# other, by whatever learns to guess the next one. Such a model is called a
# *prior*. Here is a small one. It sees the four neighbours that come before a
# token, row by row: the left one, and three above. In other words it is one
# convolution whose kernel lacks its own place and all that comes later.


# %%
class Prior(nn.Module):
    """Guess each word from four neighbours that come before it."""

    def __init__(self, words, width=128):
        super().__init__()
        self.words = nn.Embedding.from_pretrained(words / words.std(), False)
        self.first = nn.Linear(4 * words.shape[1], width)
        self.place = nn.Parameter(torch.zeros(8, 8, width))
        self.last = nn.Linear(width, len(words))

    def forward(self, tokens):
        h = F.pad(self.words(tokens), (0, 0, 1, 1, 1, 0))  # (B, 9, 10, D)
        near = [h[:, :8, :8], h[:, :8, 1:9], h[:, :8, 2:], h[:, 1:, :8]]
        h = self.first(torch.cat(near, 3)) + self.place  # (B, 8, 8, 128)
        return self.last(F.gelu(h))  # (B, 8, 8, K)


# %%
def cost_of(prior, tokens):
    return F.cross_entropy(prior(tokens).flatten(0, 2), tokens.flatten())


def train_prior(words, tokens, epochs=2, seed=0):
    torch.manual_seed(seed)
    prior, random = Prior(words), torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(prior.parameters(), fused=True)
    steps = epochs * -(-len(tokens) // 25)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, 4e-3, steps)
    for _ in range(epochs):
        order = torch.randperm(len(tokens), generator=random)
        for rows in order.split(25):
            adam.zero_grad()
            cost_of(prior, tokens[rows]).backward()
            adam.step()
            cycle.step()
    return prior


# %% [markdown]
# **Guess:** whose tokens can be guessed better from their neighbours, those of
# k-means or those of the network? And how many of the eight bits are saved?

# %%
both = {"k-means": (WORDS, nearest(patches(train.unit()), WORDS), tokens)}
for name, net in zip(("network", "network 2"), nets):
    both[name] = net.book.words, tokens_of(net, train), tokens_of(net, test)
priors, bits = {}, {}
for name, (words, old, new) in both.items():
    priors[name] = train_prior(words, old[:3_000])
    with torch.no_grad():
        guessed = cost_of(priors[name], new).item() / torch.tensor(2.0).log()
    bits[name] = price(old, new), guessed.item()
    print(f"{name:<9}: by a table {bits[name][0]:.2f} bits per token,",
          f"by the prior {bits[name][1]:.2f}")  # fmt: skip

# %%
# NBVAL_CHECK_OUTPUT
saved = {name: table - prior for name, (table, prior) in bits.items()}
own = saved["network"], saved["network 2"]
claim("the prior saves on the network's tokens", min(own), ">", 1.2)
more = saved["k-means"] - max(own)
claim("and more on those of k-means", more, ">", 0.3, unit="bits")

# %% [markdown]
# k-means says the same thing several times, and the prior finds that out. The
# network has found some of it out before.
#
# Now the race once more: the same pictures, their words priced by the prior.
# **Guess** how far to the left the squares and the diamonds move, and whom
# they pass.

# %%
points["k-means, prior"] = [point(simple, 64 * bits["k-means"][1])]
points["network, prior"] = [
    point(x_hat, 64 * bits[name][1])
    for name, x_hat in zip(("network", "network 2"), better)
]
frontier(points, credit)

# %% [markdown]
# A fifth of the network's bytes is gone and more, and a third of those of
# k-means. The verdict turns: the network's words are now level with PCA of
# whole images, and on photographs clearly ahead. Is that fair? The prior's
# weights are not counted, but no weights are. PCA's numbers, though, are still
# written by tables. They are uncorrelated and not independent: a prior of
# their own would save there, too. What a code costs is decided by who guesses
# it; what tokens bring is that guessing one of 256 words is a task that every
# classifier can learn.

# %%
# NBVAL_CHECK_OUTPUT
ahead = {"PCA of images": [], "PCA of blocks": []}
for name, gains in ahead.items():
    for p in points["network, prior"]:
        gains.append(psnr(p["mse"]) - rate.quality(points[name], p["bytes"]))
claim("with a prior: ahead of PCA of blocks", min(ahead["PCA of blocks"]),
      ">", 0.5, unit="dB")  # fmt: skip
claim("level with PCA of whole images, or ahead", min(ahead["PCA of images"]),
      ">", -0.3, unit="dB")  # fmt: skip
paid = {name: prior / table for name, (table, prior) in bits.items()}
claim("the network's bytes: left of them", paid["network"], "<", 0.8)
claim("those of k-means", paid["k-means"], "<", 0.7)

# %% [markdown]
# The same model can write. Draw the first token, then the second given the
# first, and so on through 64. Beside it the writer who takes each token at
# random from that place in some training image.


# %%
@torch.no_grad()
def write(prior, n, seed=0):
    random = torch.Generator().manual_seed(seed)
    tokens = torch.zeros(n, 8, 8, dtype=torch.long)
    for r in range(8):
        for c in range(8):
            share = prior(tokens)[:, r, c].softmax(1)  # (n, K)
            tokens[:, r, c] = share.multinomial(1, generator=random)[:, 0]
    return tokens


# %%
def shuffle_writers(old, n, seed=0):
    random = torch.Generator().manual_seed(seed)
    who = torch.randint(len(old), (n, 8, 8), generator=random)
    return old.gather(0, who)  # each place from an image of its own


# %%
from ae_lib.plots.style import grid


@styled
def gallery(rows, source, n=10):
    images = [
        [x.clamp(0, 1).permute(1, 2, 0).numpy() for x in xs[:n]]
        for xs in rows.values()
    ]
    return grid(images, names=list(rows), source=source)[0]


# %% [markdown]
# **Guess** what a writer draws who knows four neighbours and nothing else.

# %%
net, (words, old, new) = nets[0], both["network"]
rows = {
    "test images": new[:10],
    "each word by itself": shuffle_writers(old, 10),
    "prior": write(priors["network"], 10),
}
with torch.no_grad():
    rows = {name: net.decode(words[t]) for name, t in rows.items()}
gallery(rows, credit)

# %% [markdown]
# Words by themselves are confetti. The prior's pictures have areas and edges;
# we see nothing in them that we could name. That neighbours agree can be
# measured: the step in mean colour from patch to patch, of 200 pictures each.

# %%
# NBVAL_CHECK_OUTPUT
pictures = {
    "test images": new[:200],
    "each word by itself": shuffle_writers(old, 200),
    "prior": write(priors["network"], 200),
}
steps = {}
for name, t in pictures.items():
    with torch.no_grad():
        means = F.avg_pool2d(net.decode(words[t]), 4)  # (200, 3, 8, 8)
    steps[name] = (means[..., 1:] - means[..., :-1]).abs().mean()
alike = {k: v / steps["test images"] for k, v in steps.items()}
claim("confetti: steps, of the test images'", alike["each word by itself"],
      ">", 1.3)  # fmt: skip
claim("the prior's are nearly theirs", alike["prior"], "~", 1, tol=0.25)

# %% [markdown]
# A prior that sees *all* earlier words, a transformer, can know that a sky
# belongs above a ship. That is the step from this page to an image generator:
# a larger guesser, the same tokens.
#
# ## Three quarters hidden
#
# The other trick. A *masked autoencoder* (He et al. 2022) sees a quarter of
# the patches, draws all of them, and is graded on those it did not see. First
# the game, and players without a network. Fifty images share a mask, which
# saves time below; so 500 images have ten masks.


# %%
def draw(n, share, seed=0):
    """Number the patches that stay: (n, V)."""
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(-(-n // 50), 64, generator=random).argsort(1)
    stay = order[:, : 64 - round(64 * share)]
    return stay.repeat_interleave(50, 0)[:n]


# %%
def holes(stay):
    """Mark hidden pixels: (N, V) -> (N, 1, 32, 32)."""
    hidden = torch.ones(len(stay), 64, device=stay.device)
    hidden = hidden.scatter(1, stay, 0).bool().view(-1, 1, 8, 8)
    return hidden.repeat_interleave(4, 2).repeat_interleave(4, 3)


def error(guess, x, stay):
    """Average the squared error over hidden pixels."""
    return (guess - x).square()[holes(stay).expand_as(x)].mean().item()


# %% [markdown]
# Three players: the mean colour of what is seen; *heat*, which lets the seen
# colours flow into the holes, 100 steps of a pixel; and the best linear guess.
# If pixels had a normal distribution of mean $\mu$ and covariance $C$, the
# expectation of the hidden ones $h$ given the seen ones $v$ would be
#
# $$\hat x_h = \mu_h + C_{hv} (C_{vv} + \sigma^2 I)^{-1} (x_v - \mu_v),$$
#
# and with the true $\mu$ and $C$ of any distribution no linear guess has a
# smaller squared error. A small $\sigma^2$ keeps the inverse calm.


# %%
def colour(x, stay):
    seen = ~holes(stay)
    mean = (x * seen).sum((2, 3)) / seen.sum((2, 3))  # (N, 3)
    return mean[..., None, None].expand_as(x)


# %%
def heat(x, stay, steps=100):
    x_hat, hidden = torch.where(holes(stay), colour(x, stay), x), holes(stay)
    for _ in range(steps):
        around = F.avg_pool2d(F.pad(x_hat, 4 * [1], "replicate"), 3, 1)
        x_hat = torch.where(hidden, around, x_hat)
    return x_hat


# %% [markdown]
# The mean and the covariance of all 3,072 numbers, and the formula:

# %%
learn, validation = data.hold_out(train, 200)
mean_image = learn.unit().mean(0)  # (3, 32, 32)
off = (learn.unit() - mean_image).flatten(1)  # (N, 3072)
covariance = (off.T @ off / len(off)).double()


# %%
def linear(x, stay, noise=0.003):
    y = (x - mean_image).flatten(1).double()
    for rows in torch.arange(len(x)).split(50):  # these share a mask
        hidden = holes(stay[rows[:1]]).expand(1, 3, 32, 32).flatten()
        own, h = y[rows], ~hidden
        C = covariance[h][:, h]
        C = C + noise * torch.eye(len(C), dtype=C.dtype)
        w = torch.linalg.solve(C, own[:, h].T)  # (V, 50)
        own[:, hidden] = (covariance[hidden][:, h] @ w).T
        y[rows] = own
    return y.float().view_as(x) + mean_image


# %% [markdown]
# $\sigma^2$ is chosen on 200 validation images. **Guess** how far the formula
# is ahead of the flowing heat.

# %%
x_test, x_val = test.unit(), validation.unit()
stay, stay_val = draw(500, 0.75), draw(200, 0.75, seed=1)
tried = {
    s: error(linear(x_val, stay_val, s), x_val, stay_val)
    for s in (0.001, 0.003, 0.01)
}
NOISE = min(tried, key=tried.get)
print({s: f"{psnr(e):.2f} dB" for s, e in tried.items()}, "chosen:", NOISE)

# %%
guesses = {
    "mean image": mean_image.expand_as(x_test),
    "mean colour": colour(x_test, stay),
    "heat": heat(x_test, stay),
    "best linear": linear(x_test, stay, NOISE),
}
db = {k: psnr(error(v, x_test, stay)) for k, v in guesses.items()}
for name, value in db.items():
    print(f"{name:<12} {value:.2f} dB of hidden pixels")

# %% [markdown]
# Now the network. Its encoder is a transformer, and sees only the 16 patches
# that stay: that is what makes it cheap. The decoder gets their vectors, the
# same *blank* for each hidden patch, and for every patch its place, told by
# sines and cosines of row and column.


# %%
def places(width):
    """Describe the 64 places by waves of growing frequency: (64, width)."""
    f = torch.pi / 16 * torch.linspace(0.5, 8, width // 4)
    angle = torch.arange(8)[:, None] * f  # (8, width / 4)
    wave = torch.cat([angle.sin(), angle.cos()], 1)  # (8, width / 2)
    return torch.cat([wave.repeat_interleave(8, 0), wave.repeat(8, 1)], 1)


# %%
def attention(width, depth):
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


# %%
class Masked(nn.Module):
    """Encode the patches that stay; decode them, with blanks for the rest."""

    def __init__(self, mean, width=64):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("place", places(width)[None])
        self.blank = nn.Parameter(torch.zeros(1, 1, width))
        self.first, self.last = nn.Linear(48, width), nn.Linear(width, 48)
        nn.init.zeros_(self.last.weight)  # at first: the mean image
        self.encoder = attention(width, 3)
        self.decoder = attention(width, 1)

    def encode(self, x, stay):
        p = fold(x - self.mean).flatten(2).mT  # (B, 64, 48)
        h = self.first(4 * p) + self.place  # (B, 64, width)
        return self.encoder(h[torch.arange(len(x))[:, None], stay])

    def guess(self, x, stay):
        known = self.encode(x, stay)  # (B, V, width)
        h = self.blank.expand(len(x), 64, -1)
        h = h.scatter(1, stay[..., None].expand_as(known), known)
        p = self.last(self.decoder(h + self.place))  # (B, 64, 48)
        return unfold(p.mT.unflatten(2, (8, 8))) + self.mean

    def forward(self, x):
        order = torch.rand(len(x), 64, device=x.device).argsort(1)
        return self.guess(x, order[:, :16]), holes(order[:, :16])


# %% [markdown]
# And the grade: hidden pixels only.


# %%
def hidden_only(output, x):
    x_hat, hidden = output
    return ((x_hat - x).square() * hidden).sum() / (3 * hidden.sum())


# %%
def train_masked(seed):
    torch.manual_seed(seed)
    net = Masked(mean_image)
    options = {"epochs": pick(quick=3, full=60), "batch_size": 25}
    options |= {"precision": "float32", "verbose": False, "watch": 0}
    fit(net, learn, loss=hidden_only, seed=seed, **options)
    return net


# %% [markdown]
# Two seeds; each image is seen three times, each time under another mask.
# **Guess:** is the network ahead of heat? Of the formula?

# %%
masked = [train_masked(seed) for seed in SEEDS]
with torch.no_grad():
    drawn = [net.guess(x_test, stay) for net in masked]
db["masked"] = [psnr(error(x_hat, x_test, stay)) for x_hat in drawn]
print("masked autoencoder:", *(f"{value:.2f} dB" for value in db["masked"]))

# %%
# NBVAL_CHECK_OUTPUT
lead = db["best linear"] - db["heat"]
claim("the formula is ahead of heat", lead, ">", 0.1, unit="dB")
lead = min(db["masked"]) - db["mean colour"]
claim("the network is far ahead of the mean colour", lead, ">", 1, unit="dB")
if pick(quick=True, full=False):
    lead = db["best linear"] - max(db["masked"])
    claim("and behind the formula", lead, ">", 0.3, unit="dB")
    lead = mean(db["masked"]) - db["heat"]
    claim("and level with heat", lead, "~", 0, tol=0.3, unit="dB")

# %% [markdown]
# A covariance matrix is ahead of the network; and heat, which has learned
# nothing, is about level with it.
#
# That was a training of seconds. One of minutes is on record: 49,000
# photographs, each seen four times, beside the formula made from the same
# photographs, on 2,000 test images. **Guess** who is ahead there.

# %%
record = results.load("masked_cifar10")
longer, formula = record["data"]["runs"], record["data"]["formula"]
late = [psnr(run["mse"]) for run in longer if run["model"] == "masked"]
print(f"best linear    {psnr(formula['mse']):.2f} dB")
print("masked        ", *(f"{value:.2f} dB" for value in late))
print(results.provenance_line(record))

# %%
# NBVAL_CHECK_OUTPUT
lead = min(late) - psnr(formula["mse"])
claim("on record: every seed ahead of the formula", lead, ">", 0, unit="dB")
claim("by very little", lead, "<", 0.3, unit="dB")

# %% [markdown]
# Now the network is ahead, by less than a tenth of a decibel: four minutes of
# training to draw level with a covariance matrix.
#
# Ten images, each under a mask of its own. **Look for** who continues an edge
# through a hole, and who invents anything.

# %%
guesses["masked"] = drawn[0]
hidden = holes(stay)
rows = {"test images": x_test, "seen": torch.where(hidden, 0.5, x_test)}
for name in ("heat", "best linear", "masked"):
    rows[name] = torch.where(hidden, guesses[name], x_test)
chosen = slice(0, 500, 50)  # ten images, each with a mask of its own
gallery({name: x[chosen] for name, x in rows.items()}, credit)

# %% [markdown]
# All three blur: squared error asks for the mean of all that is possible, and
# nobody invents. Heat most: its seen patches lie like islands in a mist. How
# much contrast is left can be measured: the squared step from pixel to pixel
# within the holes, over that of the test images.

# %%
# NBVAL_CHECK_OUTPUT
inside = (hidden[..., 1:] & hidden[..., :-1]).expand(-1, 3, -1, -1)


def contrast(x):
    return (x[..., 1:] - x[..., :-1])[inside].square().mean()


left = {k: contrast(guesses[k]) / contrast(x_test) for k in guesses}
for name in ("best linear", "masked"):
    claim(f"{name}: contrast, of the images'", left[name], "<", 0.4)
    claim("heat has less", left["heat"] / left[name], "<", 0.8)

# %% [markdown]
# Why three quarters? Hide other shares, of 200 images. The networks see what
# is left, be it much or little, but they were trained with a quarter of the
# patches, and are at home there only. The formula is made anew for each mask.
# **Guess** who suffers most from 0.25 to 0.9.

# %%
SHARES = (0.25, 0.5, 0.75, 0.9)
players = {
    "mean colour": [colour],
    "heat": [heat],
    "best linear": [lambda x, stay: linear(x, stay, NOISE)],
    "masked": [net.guess for net in masked],
}

# %%
curves = {name: [] for name in players}
with torch.no_grad():
    for name, group in players.items():
        for guess in group:
            x, stays = x_test[:200], [draw(200, share) for share in SHARES]
            errors = [error(guess(x, s), x, s) for s in stays]
            curves[name].append([psnr(e) for e in errors])

# %% [markdown]
# **Look** at where the curves of heat and of the formula part.

# %%
plots.line_with_spread(
    SHARES, curves, "share hidden", "PSNR of hidden pixels, dB", source=credit
)

# %% [markdown]
# With a quarter hidden a hole has neighbours, and smoothness is nearly all it
# takes: a formula that knows every covariance gains little on it. With nine
# tenths hidden smoothness has little to go by, and heat falls fastest; what is
# left must come from what images look like. That is the reason that He et al.
# give for hiding so much: an easier game can be won without learning anything.
# (The networks' flat curve says less: at a quarter they play a game that they
# were not trained for.)


# %%
# NBVAL_CHECK_OUTPUT
def over(a, b, i):
    return mean([run[i] for run in curves[a]]) - curves[b][0][i]


fall = {k: mean([run[0] - run[-1] for run in v]) for k, v in curves.items()}
claim("heat, from 0.25 to 0.9 hidden, loses", fall["heat"], ">", 2, unit="dB")
second = max(v for k, v in fall.items() if k != "heat")
claim("and all others less", second / fall["heat"], "<", 0.95)
few, many = (over("best linear", "heat", i) for i in (0, 3))
claim("a quarter hidden: the formula's lead", few, "<", 0.6, unit="dB")
claim("nine tenths hidden: times that", many / few, ">", 1.4)

# %% [markdown]
# ## What the guessing was for
#
# Mending holes is not what a masked autoencoder is for. The encoder is kept,
# shown all 64 patches, and asked for features: the mean of its 64 vectors, 64
# numbers. Rivals of 64 numbers: the same network untrained, PCA, the code of
# chapter 04's autoencoder after as many looks at each image. And a thumbnail
# of 8×8 pixels, 192 numbers. The judge is the linear probe of chapter 01.

# %%
from ae_lib.features import linear_probe
from ae_lib.models import ConvAutoencoder

untrained = []
for seed in SEEDS:
    torch.manual_seed(seed)
    untrained.append(Masked(mean_image).eval())
torch.manual_seed(0)
plain = ConvAutoencoder(64)
options = {"epochs": 3, "batch_size": 125, "verbose": False, "watch": 0}
history = fit(plain, learn, **options)


# %%
def pooled(net):
    every = torch.arange(64)
    return lambda x: net.encode(x, every.expand(len(x), 64)).mean(1)


def probe(encode):
    known = learn[:2_000]
    features = [extract(encode, images) for images in (known, exam)]
    return linear_probe(features[0], known.labels, features[1], exam.labels)


# %% [markdown]
# **Guess** the order. Blind guessing names one in ten.

# %%
marks = {
    "thumbnail": [probe(nn.AvgPool2d(4))],
    "PCA": [probe(pca.truncate(64).encode)],
    "plain code": [probe(plain.encode)],
    "untrained": [probe(pooled(net)) for net in untrained],
    "masked": [probe(pooled(net)) for net in masked],
}
for name, values in marks.items():
    print(f"{name:<11}", *(f"{value:.3f}" for value in values))
share = mean(marks["masked"])
unsure = (share * (1 - share) / len(exam)) ** 0.5
print(f"{len(exam):,} images tell such a share to ± {unsure:.3f}")
plots.bars(marks, "share named correctly", source=credit)

# %% [markdown]
# The network that lost to a formula as a mender does better as a reader. It
# has seen no label, and is ahead of PCA and of its own untrained self. On
# photographs its lead over the thumbnail and the plain code is small, hardly
# more than what 1,000 images can tell, and what two seeds differ by. On the
# stand-in, whose classes are hard, all shares are low, and the lead is
# clearer.

# %%
# NBVAL_CHECK_OUTPUT
lead = {name: mean(marks["masked"]) - mean(v) for name, v in marks.items()}
claim("features: ahead of PCA", lead["PCA"], ">", 0.02)
claim("ahead of the same network untrained", lead["untrained"], ">", 0.01)
for name in ("thumbnail", "plain code"):
    claim(f"not behind the {name}", lead[name], ">", -0.01)

# %% [markdown]
# What 1,000 images cannot tell, 10,000 can. On record are the networks of the
# longer training; [chapter 14](14_downstream.ipynb) has on record PCA and the
# plain code of the same photographs, 64 numbers each, two seeds. (The plain
# network saw each photograph twice, the masked one four times.) All were read
# by the same probe with the same labels, 10 to 500 of each class. **Guess**
# the lead.

# %%
recorded = results.load("features_cifar10_64")["data"]["runs"]
kept = [run for run in recorded if run["model"] != "untrained"]
shares = {}
for run in kept + longer:
    row = shares.setdefault(run["model"], {})
    for n, value in run["shares"].items():
        row.setdefault(n, []).append(value)
print("labels of each class", *(f"{n:>6}" for n in shares["PCA"]))
for name, row in shares.items():
    print(f"{name:<20}", *(f" {mean(v):.3f}" for v in row.values()))

# %%
# NBVAL_CHECK_OUTPUT
for n in ("100", "500"):
    for rival in ("PCA", "autoencoder", "untrained"):
        ahead = min(shares["masked"][n]) - max(shares[rival][n])
        claim(f"{n} labels: every seed ahead of {rival}", ahead, ">", 0.08)

# %% [markdown]
# As a mender it is hardly ahead of a formula; as a reader it leaves PCA and
# the plain autoencoder far behind, which are graded on giving back what they
# see and have as many numbers. Guessing what is *not* there asks for more than
# keeping what is. A part is the network: before its first step (*untrained*)
# it is ahead of PCA, too. The larger part has been learned, without a label.
#
# ## Where the convolutional autoencoder sits
#
# Many of today's image models *compress first, and model later*. A
# convolutional autoencoder is trained once, on squared or absolute error and
# what is said below. Then it is frozen, and a second model learns to draw its
# codes: by diffusion where they are numbers (latent diffusion; Rombach et al.
# 2022), word by word where they are tokens. To make a new image only the right
# half runs. The squares below are to scale: their areas are what is stored,
# numbers above and bits below.

# %%
from matplotlib.patches import Polygon, Rectangle
from ae_lib.plots.style import BLUE, GREY, SKY, VERMILION


def square(axes, x, y, side, colour, text):
    corner = (x - side / 2, y - side / 2)
    axes.add_patch(Rectangle(corner, side, side, color=colour))
    axes.text(x, y - 0.68, text, ha="center", va="top")


def funnel(axes, x, y, left, right, text):
    corners = [(x - 0.5, y + left), (x + 0.5, y + right)]
    corners += [(x + 0.5, y - right), (x - 0.5, y - left)]
    axes.add_patch(Polygon(corners, facecolor="#EAF3F9", edgecolor=BLUE))
    axes.text(x, y - 0.68, text, ha="center", va="top", color=BLUE)


# %%
@styled
def machines(rows):
    height = 1.9 * len(rows)
    figure = picture(9, height)
    axes = figure.add_subplot(xlim=(0, 9), ylim=(-height, 0), aspect=1)
    axes.set_axis_off()
    arrow = {"arrowstyle": "-|>", "color": GREY}
    gaps = ((1.5, 1.75), (2.85, 3.45), (4, 4.35), (5.9, 6.1), (7.25, 7.5))
    for i, (whole, code, ratio, model) in enumerate(rows):
        y = -0.7 - 1.9 * i
        for x in (0.85, 8.15):
            square(axes, x, y, 1.2, SKY, whole)
        square(axes, 3.7, y, 1.2 / ratio**0.5, VERMILION, code)
        funnel(axes, 2.3, y, 0.55, 0.15, "encoder")
        funnel(axes, 6.7, y, 0.15, 0.55, "decoder")
        axes.text(5.1, y, model, ha="center", va="center", color=GREY)
        for a, b in gaps:
            axes.annotate("", (b, y), (a, y), arrowprops=arrow)
    return figure


# %% [markdown]
# **Guess** the ratio of the two squares of the upper row before you count.

# %%
numbers = (512 * 512 * 3) / (64 * 64 * 4)
in_bits = (256 * 256 * 3 * 8) / (16 * 16 * 10)
machines([
    ("512×512×3\nnumbers", "64×64×4\nnumbers", numbers,
     "latent diffusion:\na model draws\nsuch codes"),
    ("256×256×3\nbytes", "16×16 tokens\nof 10 bits", in_bits,
     "image tokeniser:\na model writes\nsuch tokens"),
])  # fmt: skip

# %% [markdown]
# Above, the autoencoder of Stable Diffusion, which halves the image three
# times, and keeps four numbers at each place: 48 times fewer. Below, VQGAN
# (Esser et al. 2021). What the second model pays is not numbers or bits but
# places: 64×64 in place of 512×512, and 256 tokens in place of 65,536 pixels.
# One that compares each place with each pays by the square of that. The sizes
# of some tokenisers, as their papers give them:

# %%
import math

TOKENISERS = {  # side of the image, tokens, words in the dictionary
    "VQ-VAE, 2017": (128, 32 * 32, 512),
    "dVAE of DALL-E, 2021": (256, 32 * 32, 8_192),
    "VQGAN, 2021": (256, 16 * 16, 1_024),
    "MAGVIT-v2, 2023": (256, 16 * 16, 2**18),
    "TiTok, 2024": (256, 32, 4_096),
    "this page": (32, 8 * 8, K),
}
ratios = {}
for name, (side, n, k) in TOKENISERS.items():
    code = n * math.log2(k)  # bits
    ratios[name] = 24 * side**2 / code
    print(f"{name:<21} {n:5} tokens, {code / 8:5.0f} bytes,",
          f"{ratios[name]:6.1f} times fewer bits")  # fmt: skip

# %% [markdown]
# At such ratios squared error alone leaves a blur: [chapter
# 11](11_reconstructions.ipynb#Whose-fault-is-the-blur?) has the picture. VQGAN
# and its successors, and Stable Diffusion, add a *perceptual* term, which
# compares features of a trained network, and an *adversarial* one: a second
# network tries to tell reconstructions from photographs. Chapter 11 showed
# what the first buys: texture, which need not be the one that was there. It
# costs decibels. The makers of Stable Diffusion give 23.4 dB for its
# autoencoder on photographs of 256×256 (COCO 2017), and 24.5 dB for a decoder
# that was trained on with more weight on squared error; that one, they write,
# is smoother.
#
# So what you have built in this course is not history. The part that touches
# pixels is, in most of these models, a convolutional autoencoder: blocks like
# ours, attention in the middle, a dictionary or a faint KL term at the waist,
# a richer loss. (TiTok's is a transformer.) What has changed is the question
# that is asked of the code: not how many decibels come back, but how well a
# second model can learn it.
#
# ## What we saw
#
# [Sixty-four words](#A-picture-in-64-words) by k-means make a mosaic, worse
# than JPEG of as many bytes. [A network](#The-same,-with-a-network) that
# starts as k-means, and looks around, gains more than a decibel with as many
# words. Its dictionary [collapses](#A-dictionary-that-nobody-uses) when it
# starts far from the vectors; restarts cure that, and a start at k-means needs
# none and saves steps. In [honest bytes](#Honest-bytes), priced word by word,
# it passed JPEG and did not reach PCA of whole images with rounded numbers. A
# [prior](#A-prior-over-words) saves bits wherever words repeat what their
# neighbours say, brings the network level with that PCA, and can write. A
# [masked autoencoder](#Three-quarters-hidden), trained for seconds, lost
# against a formula at guessing pixels; trained for minutes it is level, and
# its [features](#What-the-guessing-was-for) are far ahead of those of PCA and
# of a plain autoencoder. Many of today's image models [compress first and
# model later](#Where-the-convolutional-autoencoder-sits), and what compresses
# is, in most of them, a convolutional autoencoder.
#
# ## Exercises
#
# Each of the first two has a cell to fill in and a check below it. Run both:
# an empty cell tells you what to expect, a filled one what is right or what is
# not yet. What has passed is remembered in the folder of this notebook, until
# you call `exercises.reset()`.
#
# 1. **Words without a dictionary.** *Finite scalar quantisation* squashes each
#    number of a code and rounds it; nothing has to be found, so nothing can
#    collapse. Write `fsq(z, levels)`. With $h_d = (L_d - 1)/2$ for the odd
#    number $L_d$ of levels, number $d$ becomes $h_d \tanh z_d$, rounded to the
#    nearest whole number; the gradient passes as if it had not been rounded.
#    The token is the number whose digits are the rounded values plus $h_d$,
#    the first of them the lowest: digit $d$ counts $\prod_{j<d} L_j$.


# %% tags=["exercise"]
# Exercise 19.1
def fsq(z, levels):
    """Return rounded codes (N, D) and their tokens (N,).

    z is (N, D); levels holds an odd number for each of the D.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("19.1", fsq)

# %% [markdown]
# 2. **What the left neighbour saves.** The smallest prior is a table. Write
#    `bits_given_left(train, test, k)`: count in `train` how often word $b$
#    stands right of word $a$, add 0.1 to each count, and make shares of it for
#    each $a$. Return the mean number of bits of those words of `test` that
#    have a left neighbour.


# %% tags=["exercise"]
# Exercise 19.2
def bits_given_left(train, test, k):
    """Return the mean bits of the words of test that have a left neighbour.

    train and test are tokens (N, H, W), whole numbers from 0 to k - 1.
    """
    ...  # your code here


# %%
from ae_lib import exercises

exercises.check("19.2", bits_given_left)

# %%
exercises.progress("19")

# %% [markdown]
# The others have no check: you are the judge, and the solutions say what we
# found.
#
# 3. **Larger words or more of them?** At 64 bytes an image can have 256 tokens
#    of 2 bits for patches of 2×2, or 64 of 8 bits for 4×4. Compare the two by
#    k-means. You have succeeded when you can say which is better, by how many
#    decibels, and how many words patches of 8×8 would need.
# 4. **One large hole.** Hide all patches but the two uppermost rows, in place
#    of 48 scattered ones. What do heat and the best linear guess lose? You
#    have succeeded when you can say why a masked autoencoder hides at random,
#    and so much.
#
# Solutions:
# [solutions/19_todays_models.ipynb](solutions/19_todays_models.ipynb).
#
# ## Further reading
#
# - A. van den Oord, O. Vinyals and K. Kavukcuoglu, [Neural discrete
#   representation learning](https://arxiv.org/abs/1711.00937), NIPS 2017. The
#   VQ-VAE: straight through, commitment, running means.
# - N. Zeghidour et al., [SoundStream](https://arxiv.org/abs/2107.03312), 2021.
#   Sound, but the same dictionary: k-means first, dead words restarted.
# - P. Esser, R. Rombach and B. Ommer, [Taming transformers for high-resolution
#   image synthesis](https://arxiv.org/abs/2012.09841), CVPR 2021. VQGAN: a
#   tokeniser with perceptual and adversarial terms, and a prior.
# - A. Ramesh et al., [Zero-shot text-to-image
#   generation](https://arxiv.org/abs/2102.12092), ICML 2021. DALL-E.
# - R. Rombach et al., [High-resolution image synthesis with latent diffusion
#   models](https://arxiv.org/abs/2112.10752), CVPR 2022. The decibels above
#   are from the [card of its retrained
#   decoders](https://huggingface.co/stabilityai/sd-vae-ft-ema-original).
# - L. Yu et al., [Language model beats diffusion: tokenizer is key to visual
#   generation](https://arxiv.org/abs/2310.05737), ICLR 2024. MAGVIT-v2.
# - Q. Yu et al., [An image is worth 32 tokens for reconstruction and
#   generation](https://arxiv.org/abs/2406.07550), NeurIPS 2024. TiTok.
# - F. Mentzer et al., [Finite scalar quantization: VQ-VAE made
#   simple](https://arxiv.org/abs/2309.15505), ICLR 2024. Exercise 1.
# - K. He et al., [Masked autoencoders are scalable vision
#   learners](https://arxiv.org/abs/2111.06377), CVPR 2022.
# - A. Bisulco et al., [From linearity to non-linearity: how masked
#   autoencoders capture spatial
#   correlations](https://arxiv.org/abs/2508.15404), 2025. What a linear masked
#   autoencoder learns, in formulas.
