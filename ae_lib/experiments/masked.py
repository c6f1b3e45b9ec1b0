"""The masked autoencoder of chapter 19 on all images, beside a formula and as features.

The chapter writes the network out and says why it is as it is. A mask is given by the
numbers of the V patches that stay, of 64 in reading order: `stay` (N, V).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from ae_lib import results
from ae_lib.blocks import fold, unfold
from ae_lib.data import Images, hold_out, load
from ae_lib.experiments.features import named
from ae_lib.training import fit

SHARE = 0.75  # of the patches, hidden
NOISES = (0.0003, 0.001, 0.003, 0.01)
EPOCHS, BATCH = 4, 50
GROUP = 50  # images that share a mask


def draw(n: int, share: float, seed: int = 0) -> Tensor:
    """Choose the patches that stay, alike for each 50 images in a row: (n, V)."""
    random = torch.Generator().manual_seed(seed)
    order = torch.rand(-(-n // GROUP), 64, generator=random).argsort(1)
    stay = order[:, : 64 - round(64 * share)]
    return stay.repeat_interleave(GROUP, 0)[:n]


def holes(stay: Tensor) -> Tensor:
    """Mark hidden pixels: (N, V) -> (N, 1, 32, 32)."""
    hidden = torch.ones(len(stay), 64, device=stay.device)
    hidden = hidden.scatter(1, stay, 0).bool().view(-1, 1, 8, 8)
    return hidden.repeat_interleave(4, 2).repeat_interleave(4, 3)


def error(guess: Tensor, x: Tensor, stay: Tensor) -> float:
    """Average the squared error over hidden pixels."""
    return (guess - x).square()[holes(stay).expand_as(x)].mean().item()


class BestLinear:
    """Guess hidden pixels from seen ones by the mean and covariance of images."""

    def __init__(self, images: Images):
        self.mean = images.unit().mean(0)  # (3, 32, 32)
        off = (images.unit() - self.mean).flatten(1)  # (N, 3072)
        self.covariance = (off.T @ off / len(off)).double()

    def __call__(self, x: Tensor, stay: Tensor, noise: float = 0.003) -> Tensor:
        """Fill the holes of x (N, 3, 32, 32); each 50 in a row share a mask."""
        y = (x - self.mean).flatten(1).double()
        for rows in torch.arange(len(x)).split(GROUP):
            hidden = holes(stay[rows[:1]]).expand(1, 3, 32, 32).flatten()
            own, h = y[rows], ~hidden
            C = self.covariance[h][:, h]
            C = C + noise * torch.eye(len(C), dtype=C.dtype)
            w = torch.linalg.solve(C, own[:, h].T)  # (V, 50)
            own[:, hidden] = (self.covariance[hidden][:, h] @ w).T
            y[rows] = own
        return y.float().view_as(x) + self.mean


def places(width: int) -> Tensor:
    """Describe the 64 places by waves of growing frequency: (64, width)."""
    f = torch.pi / 16 * torch.linspace(0.5, 8, width // 4)
    angle = torch.arange(8)[:, None] * f  # (8, width / 4)
    wave = torch.cat([angle.sin(), angle.cos()], 1)  # (8, width / 2)
    return torch.cat([wave.repeat_interleave(8, 0), wave.repeat(8, 1)], 1)


def attention(width: int, depth: int) -> nn.Module:
    """Stack layers of a transformer, of four heads each."""
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Masked(nn.Module):
    """Encode the patches that stay; decode them, with blanks for the rest."""

    def __init__(self, mean: Tensor, width: int = 64):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("place", places(width)[None])
        self.blank = nn.Parameter(torch.zeros(1, 1, width))
        self.first, self.last = nn.Linear(48, width), nn.Linear(width, 48)
        nn.init.zeros_(self.last.weight)  # at first: the mean image
        self.encoder = attention(width, 3)
        self.decoder = attention(width, 1)

    def encode(self, x: Tensor, stay: Tensor) -> Tensor:
        """Describe the patches that stay: (B, V, width)."""
        p = fold(x - self.mean).flatten(2).mT  # (B, 64, 48)
        h = self.first(4 * p) + self.place  # (B, 64, width)
        return self.encoder(h[torch.arange(len(x))[:, None], stay])

    def guess(self, x: Tensor, stay: Tensor) -> Tensor:
        """Draw all patches: (B, 3, 32, 32)."""
        known = self.encode(x, stay)  # (B, V, width)
        h = self.blank.expand(len(x), 64, -1)
        h = h.scatter(1, stay[..., None].expand_as(known), known)
        p = self.last(self.decoder(h + self.place))  # (B, 64, 48)
        return unfold(p.mT.unflatten(2, (8, 8))) + self.mean

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        order = torch.rand(len(x), 64, device=x.device).argsort(1)
        return self.guess(x, order[:, :16]), holes(order[:, :16])

    def pooled(self, x: Tensor) -> Tensor:
        """Average the vectors of all 64 patches: (B, width)."""
        return self.encode(x, torch.arange(64).expand(len(x), 64)).mean(1)


def hidden_only(output: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
    """Average the squared error over hidden pixels."""
    x_hat, hidden = output
    return ((x_hat - x).square() * hidden).sum() / (3 * hidden.sum())


def masked_cifar10(seeds: tuple[int, ...]) -> None:
    """Train the masked autoencoder of chapter 19 on all images but 1,000, and use it.

    It guesses three quarters of the patches of the first 2,000 test images, beside the
    best linear guess from the same training images, whose noise is chosen on the 1,000.
    Its 64 features and those of the untrained network are read by the probe of the
    record features_cifar10_64: the same labels, all test images.
    """
    everything, test = load("cifar10", "train"), load("cifar10", "test")
    learn, validation = hold_out(everything, 1_000)
    x, x_val = test[:2_000].unit(), validation.unit()
    stay, stay_val = draw(len(x), SHARE), draw(len(x_val), SHARE, seed=1)
    linear, runs = BestLinear(learn), []
    scores = {s: error(linear(x_val, stay_val, s), x_val, stay_val) for s in NOISES}
    noise = min(scores, key=lambda s: scores[s])
    formula = error(linear(x, stay, noise), x, stay)
    print(f"formula {formula:.5f}, noise {noise}", flush=True)
    for seed in seeds:
        torch.manual_seed(seed)
        model = Masked(linear.mean)
        start = copy.deepcopy(model).eval()
        options = {"epochs": EPOCHS, "batch_size": BATCH, "precision": "float32"}
        history = fit(model, learn, loss=hidden_only, seed=seed, **options)
        with torch.no_grad():
            guesses = [
                model.guess(*pair)
                for pair in zip(x.split(500), stay.split(500), strict=True)
            ]
        for name, net in {"untrained": start, "masked": model}.items():
            shares = named(net.pooled, everything, test, seed)
            runs.append({"model": name, "seed": seed, "shares": shares})
        runs[-1] |= {"mse": error(torch.cat(guesses), x, stay)}
        runs[-1] |= {"seconds": sum(history.seconds)}
        print(*runs[-2:], sep="\n", flush=True)
    data = {"runs": runs, "formula": {"mse": formula, "noise": noise, "tried": scores}}
    data |= {"epochs": EPOCHS, "share": SHARE, "train_images": len(learn)}
    data |= {"guessed_images": len(x), "test_images": len(test)}
    results.save("masked_cifar10", data, source=test.source, seeds=seeds)
