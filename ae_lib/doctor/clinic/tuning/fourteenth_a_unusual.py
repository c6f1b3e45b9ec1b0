"""Tenth part, a: working programs that look unusual."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    beats,
    counts,
    landscapes,
    made,
    outlines,
    spectra,
    spots,
)


@healthy(steps=25, bar=0.6)
def linear_layers_by_a_quasi_newton_method(seed):
    """Train two linear layers with L-BFGS on the whole set of spectra as one batch."""
    x, main = spectra(512, seed)
    x = x - x.mean(0)
    model = AE(nn.Linear(96, 5), nn.Linear(5, 96))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=10)

    def step(model, batch):
        rows = batch[0]

        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(rows), rows)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    return {
        "model": model,
        "batches": [(x, main)],
        "step": step,
        "optimizer": optimizer,
    }


class NoiseGuess(nn.Module):
    """Guess the noise with a small U-Net, and subtract it from the input."""

    def __init__(self, c: int = 3, width: int = 12):
        super().__init__()
        self.first = nn.Conv2d(c, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.deep = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.last = nn.Conv2d(2 * width, c, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.first(x))
        b = F.relu(self.deep(F.relu(self.down(a))))
        b = F.relu(self.up(F.interpolate(b, scale_factor=2, mode="bilinear")))
        return x - self.last(torch.cat([a, b], 1))


@healthy(steps=130, bar=0.5)
def noise_guessed_by_a_net_with_skips(seed):
    """Subtract from noisy landscapes the noise that a U-Net guesses, as papers do."""
    x = landscapes(512, seed)
    drawn = made(seed + 1)

    def pair(batch):
        return batch + 0.15 * torch.randn(batch.shape, generator=drawn), batch

    model = NoiseGuess()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": adam(model),
        "pair": pair,
        "judge": [pair(landscapes(128, seed + 100))],
    }


@healthy(steps=1200, bar=0.6)
def eight_small_batches_for_one_update(seed):
    """Add up the gradients of eight batches of eight outlines before each update."""
    x = outlines(1024, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((40, 64), nn.Tanh), nn.Linear(64, 8))
    decoder = nn.Sequential(
        *stack((8, 64), nn.Tanh), nn.Linear(64, 40), nn.Unflatten(1, (20, 2))
    )
    model = AE(encoder, decoder)
    optimizer = adam(model, 1e-2)
    seen = [0]

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 8).backward()
        seen[0] += 1
        if seen[0] % 8 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=8, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Tied(nn.Module):
    """Use the transposed weights of the encoder in the decoder."""

    def __init__(self, d: int, hidden: int, k: int):
        super().__init__()
        self.first = nn.Parameter(torch.empty(hidden, d))
        self.second = nn.Parameter(torch.empty(k, hidden))
        nn.init.orthogonal_(self.first)
        nn.init.orthogonal_(self.second)
        self.biases = nn.ParameterList(torch.zeros(n) for n in (hidden, k, hidden, d))

    def encode(self, x: Tensor) -> Tensor:
        h = F.elu(F.linear(x, self.first, self.biases[0]))
        return F.linear(h, self.second, self.biases[1])

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(F.linear(self.encode(x), self.second.t(), self.biases[2]))
        return F.linear(h, self.first.t(), self.biases[3])


@healthy(steps=400, bar=0.5)
def transposed_weights_at_a_rate_of_a_half(seed):
    """Train tied orthogonal layers by plain gradient descent at a rate of 0.5."""
    x = beats(896, seed)
    x = (x - x.mean(0)) / x.std()
    model = Tied(64, 40, 12)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "optimizer": optimizer,
    }


class Bag(nn.Module):
    """Code a bag of points by the largest of each feature, whatever their order."""

    def __init__(self, points: int = 20, k: int = 10):
        super().__init__()
        self.each = nn.Sequential(*stack((2, 64, 96)))
        self.code = nn.Linear(96, k)
        self.decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, 2 * points))

    def encode(self, x: Tensor) -> Tensor:
        return self.code(self.each(x).amax(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x)).unflatten(1, (-1, 2))


@healthy(steps=500, bar=0.5)
def points_in_any_order_put_in_order(seed):
    """Give the points of an outline in random order, and ask for them by angle."""
    ordered = outlines(1024, seed)
    turn = torch.rand(1024, 20, generator=made(seed + 1)).argsort(1)
    mixed = ordered.gather(1, turn[..., None].expand(-1, -1, 2))
    model = Bag()
    return {
        "model": model,
        "batches": loader(mixed, ordered, batch_size=32, seed=seed),
        "loss": nn.SmoothL1Loss(beta=0.1),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=300, bar=0.5)
def decoder_learned_for_fixed_components(seed):
    """Freeze an encoder of principal components, and train the decoder alone."""
    x, y = digits(1280, seed, size=14)
    rows = x.flatten(1)
    _, spread, axes = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
    encoder = nn.Linear(196, 14)
    with torch.no_grad():
        scale = (len(rows) ** 0.5 / spread[:14])[:, None]
        encoder.weight.copy_(axes[:14] * scale)
        encoder.bias.copy_(-encoder.weight @ rows.mean(0))
    encoder.requires_grad_(False)
    decoder = nn.Sequential(*stack((14, 128)), nn.Linear(128, 196), nn.Sigmoid())
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(rows, y, batch_size=64, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.decoder.parameters(), lr=3e-3),
    }


class Few(nn.Module):
    """Keep the sixteen largest of many features."""

    def __init__(self, d: int = 256, words: int = 96, kept: int = 16):
        super().__init__()
        self.kept = kept
        self.encoder = nn.Linear(d, words)
        self.decoder = nn.Linear(words, d)

    def encode(self, x: Tensor) -> Tensor:
        h = F.relu(self.encoder(x.flatten(1) - self.decoder.bias))
        best = h.topk(self.kept, dim=1)
        return torch.zeros_like(h).scatter(1, best.indices, best.values)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"reconstruction": self.decoder(z).view_as(x), "code": z}


@healthy(steps=400, bar=0.5)
def sixteen_features_at_a_time(seed):
    """Train a dictionary of 96 features, of which the sixteen largest may speak."""
    x = spots(1024, seed, number=3)
    model = Few()
    with torch.no_grad():
        model.decoder.weight.copy_(model.encoder.weight.t())
        model.decoder.bias.copy_(x.flatten(1).mean(0))

    def loss(output, target):
        error = (output["reconstruction"] - target).square()
        return error.flatten(1).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 1e-3),
    }


@healthy(steps=400, bar=0.5)
def logarithms_of_rates_for_word_counts(seed):
    """Train on counts with the Poisson loss, whose output is a logarithm of a rate."""
    x, topic = counts(1024, seed)
    encoder = nn.Sequential(nn.BatchNorm1d(60), *stack((60, 64)), nn.Linear(64, 8))
    decoder = nn.Sequential(*stack((8, 64)), nn.Linear(64, 60))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, topic, batch_size=64, seed=seed),
        "loss": nn.PoissonNLLLoss(),
        "optimizer": adam(model, 5e-3),
        "view": torch.exp,
    }
