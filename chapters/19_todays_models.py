# %% [markdown]
# # 19 · Towards today's models
#
# Describe a photograph in 64 words, each taken from a dictionary of 256. Or
# cover three quarters of it, and guess the rest. One of these two tricks sits
# in most image models of today. What is each worth beside a method without a
# network: k-means for the words, a formula for the guessing?
#
# **You will be able to**
#
# - write a vector-quantised autoencoder, and let it start as k-means;
# - see a dictionary collapse, and cure it;
# - count words in honest bytes, and say what a prior over words saves;
# - train a masked autoencoder, and hold it to the best linear guess;
# - say where the convolutional autoencoder sits in today's image models.
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
# ## A picture in 64 words
#
# No network yet. Cut each image into 64 patches of 4×4 pixels, 48 numbers
# each. `fold` of the library does it, and puts the patch into the channels.

# %%
import torch.nn.functional as F
from torch import nn
from ae_lib.blocks import Block, fold, unfold
from ae_lib.metrics import mse, psnr, reconstruct

train = data.load("cifar10", limit=pick(quick=4_000, full=50_000))
test = data.load("cifar10", "test", limit=500)
credit, K = test.source, 256


def patches(x):
    return fold(x - 0.5).permute(0, 2, 3, 1)  # (N, 8, 8, 48)


def picture_of(p):
    return unfold(p.permute(0, 3, 1, 2)) + 0.5  # (N, 3, 32, 32)


# %% [markdown]
# A *dictionary*, or codebook, holds $K$ words, each a patch itself. A patch is
# replaced by the word that is nearest, so that its number is all that needs to
# be sent: a *token* of $\log_2 256 = 8$ bits, 64 bytes for an image. And
# k-means, since 1957, finds words: assign each patch to its nearest word, move
# each word to the mean of its patches, repeat.


# %%
def nearest(z, words):
    """Number the nearest word of each vector: (..., D), (K, D) -> (...)."""
    half = words.square().sum(1) / 2
    parts = z.reshape(-1, z.shape[-1]).split(20_000)
    tokens = [(half - part @ words.T).argmin(1) for part in parts]
    return torch.cat(tokens).view(z.shape[:-1])


def kmeans(z, k, rounds=15, seed=0):
    random = torch.Generator().manual_seed(seed)
    words = z[torch.randperm(len(z), generator=random)[:k]]  # (K, D)
    for _ in range(rounds):
        tokens = nearest(z, words)
        count = tokens.bincount(minlength=k)[:, None]
        total = torch.zeros_like(words).index_add_(0, tokens, z)
        words = torch.where(count > 0, total / count.clamp(min=1), words)
    return words


# %%
many = patches(train[:2_000].unit()).flatten(0, 2)  # (128000, 48)
random = torch.Generator().manual_seed(0)
some = many[torch.randperm(len(many), generator=random)[:40_000]]
WORDS = kmeans(some, K)
tokens = nearest(patches(test.unit()), WORDS)  # (500, 8, 8)
told = {"k-means": picture_of(WORDS[tokens])}
print(f"{K} words, {psnr(mse(test, told['k-means'])):.2f} dB")

# %% [markdown]
# The dictionary, most used words first.

# %%
use = tokens.flatten().bincount(minlength=K)
by_use = WORDS[use.argsort(descending=True)][None]  # (1, 256, 48)
drawn = picture_of(by_use.view(K, 1, 1, 48)).clamp(0, 1)  # (256, 3, 4, 4)
plots.samples(drawn[:128], n=128, columns=32, source=credit)

# %% [markdown]
# Read it.
#
# ## The same, with a network
#
# text

# %%
class Words(nn.Module):
    """Replace each vector by its nearest word; the words follow the vectors."""

    def __init__(self, words, decay=0.95, restart=True):
        super().__init__()
        self.decay, self.restart = decay, restart
        self.register_buffer("words", words.clone())  # (K, D)
        self.register_buffer("count", torch.ones(len(words)))
        self.register_buffer("total", words.clone())

    def forward(self, z):  # (B, 8, 8, D)
        tokens = nearest(z.detach(), self.words)
        word = self.words[tokens]
        if self.training:
            self.follow(z.detach().flatten(0, 2), tokens.flatten())
        return z + (word - z).detach(), word  # straight through

    def follow(self, z, tokens):
        count = tokens.bincount(minlength=len(self.words)).float()
        total = torch.zeros_like(self.total).index_add_(0, tokens, z)
        self.count.lerp_(count, 1 - self.decay)
        self.total.lerp_(total, 1 - self.decay)
        if self.restart:  # less than once per batch: begin anew elsewhere
            dead = (self.count < 1).nonzero()[:, 0]
            self.total[dead] = z[torch.randint(len(z), (len(dead),))]
            self.count[dead] = 1.0
        self.words.copy_(self.total / self.count[:, None])


# %%
def correction(width=64, depth=1):
    """Map 48 channels to 48; at first everything to zero."""
    first = nn.Conv2d(48, width, 3, padding=1)  # (B, 64, 8, 8)
    last = nn.Conv2d(width, 48, 3, padding=1)  # (B, 48, 8, 8)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(first, *(Block(width) for _ in range(depth)), last)


class Tokeniser(nn.Module):
    def __init__(self, words, **options):
        super().__init__()
        self.down, self.up = correction(), correction(depth=2)
        self.dictionary = Words(words, **options)

    def encode(self, x):
        p = fold(x - 0.5)  # (B, 48, 8, 8)
        return (p + self.down(p)).permute(0, 2, 3, 1).float()  # (B, 8, 8, 48)

    def decode(self, words):
        p = words.permute(0, 3, 1, 2)
        return unfold(p + self.up(p)).float() + 0.5  # (B, 3, 32, 32)

    def forward(self, x):
        z = self.encode(x)
        z_q, word = self.dictionary(z)
        return self.decode(z_q), z, word


# %%
from ae_lib.training import fit


def loss(output, x):
    x_hat, z, word = output
    return F.mse_loss(x_hat, x) + 0.25 * F.mse_loss(z, word)


def train_tokeniser(words, images, epochs, seed=0, **options):
    torch.manual_seed(seed)
    model = Tokeniser(words, **options)
    quiet = {"verbose": False, "watch": 0, "seed": seed}
    fit(model, images, loss=loss, epochs=epochs, batch_size=50, **quiet)
    return model


# %%
untrained = Tokeniser(WORDS).eval()
same = (reconstruct(untrained, test) - told["k-means"]).abs().max()
EPOCHS = pick(quick=3, full=10)
SEEDS = range(2)
nets = [train_tokeniser(WORDS, train, EPOCHS, seed) for seed in SEEDS]
for net in nets:
    told["network"] = reconstruct(net, test)
    print(f"network: {psnr(mse(test, told['network'])):.2f} dB")

# %%
# NBVAL_CHECK_OUTPUT
claim("untrained, it is k-means", same, "<", 1e-4)
ahead = [
    psnr(mse(test, reconstruct(net, test)))
    - psnr(mse(test, told["k-means"]))
    for net in nets
]
claim("trained, it is ahead of k-means", min(ahead), ">", 0.3, unit="dB")

# %% [markdown]
# ## A dictionary that nobody uses

# %%
def tokens_of(net, images):
    with torch.no_grad():
        parts = [net.encode(x) for x in images.unit().split(500)]
    return nearest(torch.cat(parts), net.dictionary.words)  # (N, 8, 8)


def perplexity(tokens):
    share = tokens.flatten().bincount(minlength=K) / tokens.numel()
    return torch.special.entr(share).sum().exp().item()


def standard_normal(seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(K, 48, generator=random)  # as nn.Embedding begins


few = train[:1_500]
STARTS = {
    "N(0, 1)": (standard_normal, False),
    "±1/K": (lambda s: standard_normal(s).clamp(-1, 1) / K, False),
    "N(0, 1), restarts": (standard_normal, True),
    "k-means": (lambda seed: WORDS, False),
    "k-means, restarts": (lambda seed: WORDS, True),
}
used, quality_of = {}, {}
import time
for name, (start, restart) in STARTS.items():
    used[name], quality_of[name] = [], []
    for seed in SEEDS:
        t0 = time.time()
        net = train_tokeniser(start(seed), few, 1, seed, restart=restart)
        used[name].append(perplexity(tokens_of(net, test)))
        quality_of[name].append(psnr(mse(test, reconstruct(net, test))))
    print(name, used[name], quality_of[name], time.time() - t0)
for net in nets: print("long", perplexity(tokens_of(net, test)), perplexity(tokens))

# %% [markdown]
# ## Honest bytes

# %%
from ae_lib import rate
from ae_lib.coder import Tables, quantise


def price(seen, tokens, k=K):
    """Give the bits per token by a table of what was seen in training."""
    count = seen.flatten().bincount(minlength=k) + 0.5
    bits = -(count / count.sum()).log2()  # (K,)
    return bits[tokens].mean().item()


def blocks(x):
    return F.pixel_unshuffle(x - 0.5, 8).flatten(2).mT  # (N, 16, 192)


seen = blocks(train[:2_000].unit()).flatten(0, 1)  # (32000, 192)
axes = torch.linalg.eigh(torch.cov(seen.T)).eigenvectors  # (192, 192)
points = {"block PCA, rounded": []}
for step in (0.15, 0.25, 0.4, 0.6, 0.9, 1.3):
    tables = Tables.fit(quantise(seen @ axes, step))
    code = quantise(blocks(test.unit()).flatten(0, 1) @ axes, step)
    code = tables.clip(code)
    back = (torch.from_numpy(code).float() * step) @ axes.T
    x_hat = F.pixel_shuffle(back.view(-1, 16, 192).mT.reshape(-1, 192, 4, 4), 8) + 0.5
    points["block PCA, rounded"].append({"bytes": tables.bits(code).sum() / 8 / len(test),
       "mse": mse(test, x_hat.clamp(0, 1))})
points["JPEG, no header"] = [
    rate.codec(test, "JPEG", quality=q) for q in (5, 10, 15, 20, 30)
]
points["k-means"] = []
for k in (16, 64, 256, 1024):
    words = WORDS if k == K else kmeans(some, k, 8)
    t = nearest(patches(test.unit()), words)
    bits = price(nearest(many, words), t, k)
    points["k-means"].append({"bytes": 8 * bits, "mse": mse(test, picture_of(words[t]).clamp(0, 1))})
points["network"] = []
for net in nets:
    bits = price(tokens_of(net, train[:2000]), tokens_of(net, test))
    points["network"].append({"bytes": 8 * bits, "mse": mse(test, reconstruct(net, test).clamp(0, 1))})
for name, row in points.items():
    print(name, [(round(float(p["bytes"]), 1), round(psnr(p["mse"]), 2)) for p in row])
for p in points["network"]:
    print([ (n, round(rate.quality(points[n], p["bytes"]), 2)) for n in points if n != "network"])

# %% [markdown]
# ## A prior

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
        h = self.words(tokens)  # (B, 8, 8, D)
        h = F.pad(h, (0, 0, 1, 1, 1, 0))  # (B, 9, 10, D), zeros outside
        near = [h[:, :8, :8], h[:, :8, 1:9], h[:, :8, 2:], h[:, 1:, :8]]
        h = self.first(torch.cat(near, 3)) + self.place  # (B, 8, 8, width)
        return self.last(F.gelu(h))  # (B, 8, 8, K)


def train_prior(words, tokens, epochs, seed=0):
    torch.manual_seed(seed)
    prior, rows = Prior(words), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(prior.parameters(), 3e-3, fused=True)
    steps = epochs * -(-len(tokens) // 25)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(epochs):
        for t in tokens[torch.randperm(len(tokens), generator=rows)].split(25):
            bits = F.cross_entropy(prior(t).flatten(0, 2), t.flatten())
            optimizer.zero_grad()
            bits.backward()
            optimizer.step()
            schedule.step()
    return prior


@torch.no_grad()
def bits(prior, tokens):
    nats = F.cross_entropy(prior(tokens).flatten(0, 2), tokens.flatten())
    return nats.item() / torch.log(torch.tensor(2.0)).item()


for name, words, a, b in (
    ("network", nets[0].dictionary.words, tokens_of(nets[0], train), tokens_of(nets[0], test)),
    ("k-means", WORDS, nearest(patches(train.unit()), WORDS), tokens),
):
    t0 = time.time()
    for e in (2,):
        prior = train_prior(words, a, e)
        print(name, "table", price(a, b), "prior", e, bits(prior, b), bits(prior, a[:500]), time.time() - t0)
    if name == "network":
        kept = prior

# %% [markdown]
# ## Three quarters hidden

# %%
def draw(n, share, seed=0):
    """Number the patches that stay, (n, V); 50 images share a mask."""
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(-(-n // 50), 64, generator=random).argsort(1)
    stay = order[:, : 64 - round(64 * share)]
    return stay.repeat_interleave(50, 0)[:n]


def holes(stay):
    """Mark hidden pixels: (N, V) -> (N, 1, 32, 32)."""
    hidden = torch.ones(len(stay), 64).scatter(1, stay, 0).bool()
    hidden = hidden.view(-1, 1, 8, 8).repeat_interleave(4, 2)
    return hidden.repeat_interleave(4, 3)


def error(guess, x, stay):
    return (guess - x).square()[holes(stay).expand_as(x)].mean().item()


# %%
learn, validation = data.hold_out(train, 200)
x_learn = learn.unit()
mean = x_learn.mean(0)  # (3, 32, 32)
t0 = time.time()
centred = (x_learn - mean).flatten(1)
covariance = (centred.T @ centred / len(centred)).double()
print("cov", time.time() - t0)


def mean_image(x, stay):
    return mean.expand_as(x)


def mean_colour(x, stay):
    seen = ~holes(stay)
    return ((x * seen).sum((2, 3)) / seen.sum((2, 3)))[..., None, None].expand_as(x)


def heat(x, stay, steps=150):
    hidden = holes(stay)
    x_hat = torch.where(hidden, mean_colour(x, stay), x)
    for _ in range(steps):
        around = F.avg_pool2d(F.pad(x_hat, 4 * [1], "replicate"), 3, 1)
        x_hat = torch.where(hidden, around, x_hat)
    return x_hat


def linear(x, stay, noise=0.01):
    x_hat = x.clone().flatten(1)
    off = (x_hat - mean.flatten()).double()
    for rows in torch.arange(len(x)).split(50):
        hidden = holes(stay[rows[:1]]).expand(1, 3, 32, 32).flatten()
        seen = ~hidden
        A = covariance[seen][:, seen] + noise * torch.eye(int(seen.sum()), dtype=torch.double)
        w = torch.linalg.solve(A, off[rows][:, seen].T)  # (V, 50)
        guess = (covariance[hidden][:, seen] @ w).T.float() + mean.flatten()[hidden]
        x_hat[rows[:, None], hidden.nonzero()[:, 0]] = guess
    return x_hat.view_as(x)


x_test, x_val = test.unit(), validation.unit()
for noise in (0.0003, 0.001, 0.003, 0.01, 0.03):
    print(noise, psnr(error(linear(x_val, draw(200, 0.75, 1), noise), x_val, draw(200, 0.75, 1))))
stay = draw(500, 0.75)
for f in (mean_image, mean_colour, heat, linear):
    t0 = time.time()
    print(f.__name__, psnr(error(f(x_test, stay), x_test, stay)), time.time() - t0)


# %%
def attention(width, depth):
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Masked(nn.Module):
    """Encode the patches that stay; decode them with blanks for the rest."""

    def __init__(self, mean, width=96, depth=3):
        super().__init__()
        self.register_buffer("mean", mean)
        self.place = nn.Parameter(0.3 * torch.randn(1, 64, width))
        self.blank = nn.Parameter(torch.zeros(1, 1, width))
        self.first, self.last = nn.Linear(48, width), nn.Linear(width, 48)
        self.encoder = attention(width, depth)
        self.decoder = attention(width, 2)
        nn.init.zeros_(self.last.weight)

    def encode(self, x, stay):
        p = fold(x - self.mean).flatten(2).mT  # (B, 64, 48)
        h = self.first(4 * p) + self.place  # (B, 64, width)
        rows = torch.arange(len(x))[:, None]
        return self.encoder(h[rows, stay])  # (B, V, width)

    def guess(self, x, stay):
        known = self.encode(x, stay)
        h = self.blank.expand(len(x), 64, -1).to(known.dtype)
        h = h.scatter(1, stay[..., None].expand_as(known), known)
        p = self.last(self.decoder(h + self.place))  # (B, 64, 48)
        return unfold(p.mT.unflatten(2, (8, 8))).float() + self.mean

    def forward(self, x):
        stay = torch.rand(len(x), 64, device=x.device).argsort(1)[:, :16]
        return self.guess(x, stay), holes(stay)


def hidden_only(output, x):
    x_hat, hidden = output
    return ((x_hat - x).square() * hidden).sum() / (3 * hidden.sum())


masked = []
for seed in SEEDS:
    t0 = time.time()
    torch.manual_seed(seed)
    model = Masked(mean)
    fit(model, learn, loss=hidden_only, epochs=pick(quick=5, full=40), batch_size=50, seed=seed, verbose=False, watch=0)
    masked.append(model)
    with torch.no_grad():
        print("masked", psnr(error(model.guess(x_test, stay), x_test, stay)), time.time() - t0)

# %%
RATIOS = (0.25, 0.5, 0.75, 0.9)
for r in RATIOS:
    st = draw(500, r)
    with torch.no_grad():
        print(r, [round(psnr(error(f(x_test, st), x_test, st)), 2) for f in (mean_image, mean_colour, heat, linear, masked[0].guess)])

# %%
from ae_lib.features import linear_probe, extract
from ae_lib.baselines import PCA
def pooled(model):
    return lambda x: model.encode(x, torch.arange(64).expand(len(x), 64)).mean(1)
torch.manual_seed(0)
t0 = time.time()
pca = PCA.fit(learn[:1500], 96)
print("pca", time.time() - t0)
big = data.load("cifar10", "test", limit=1000)
from ae_lib.models import ConvAutoencoder
torch.manual_seed(0)
plain = ConvAutoencoder(96)
t0 = time.time()
fit(plain, learn, epochs=3, batch_size=50, verbose=False, watch=0)
print("plain", time.time() - t0)
for name, enc in {"pixels": nn.Flatten(), "PCA": pca.encode, "plain": plain.encode, "untrained": pooled(Masked(mean).eval()), "masked0": pooled(masked[0]), "masked1": pooled(masked[1])}.items():
    t0 = time.time()
    print(name, linear_probe(extract(enc, learn), learn.labels, extract(enc, big), big.labels), time.time() - t0)
