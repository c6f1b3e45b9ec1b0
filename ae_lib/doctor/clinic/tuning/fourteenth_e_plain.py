"""Tenth part, e: plain programs that work, and unusual ones that work as well."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_e_material import (
    beats,
    blobs,
    counts,
    made,
    peaks,
    rings,
)


@healthy(steps=250, bar=0.6)
def scenes_through_a_batch_normalised_pyramid(seed):
    """Train a convolutional pyramid with batch norm on drawn scenes, with Adam."""
    x, y = scenes(768, seed, 16)
    encoder = nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.LeakyReLU(0.1),
        nn.Conv2d(24, 48, 3, 2, 1, bias=False),
        nn.BatchNorm2d(48),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Linear(768, 32),
    )
    decoder = nn.Sequential(
        nn.Linear(32, 768),
        nn.Unflatten(1, (48, 4, 4)),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(48, 24, 4, 2, 1),
        nn.BatchNorm2d(24),
        nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(24, 3, 4, 2, 1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=300, bar=0.7)
def centred_spectra_through_a_code_of_twelve(seed):
    """Train a dense net with a linear output on spectra less their mean, over 0.2."""
    x = peaks(1280, seed)
    x = (x - x.mean(0)) / 0.2
    encoder = nn.Sequential(*stack((80, 128, 64), nn.ELU), nn.Linear(64, 12))
    decoder = nn.Sequential(*stack((12, 64, 128), nn.ELU), nn.Linear(128, 80))
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": F.smooth_l1_loss,
        "optimizer": torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-3),
    }


class Sequence(nn.Module):
    """Read a series with an LSTM and write it from its code and a clock."""

    def __init__(self, t=24, channels=2, hidden=48, k=8):
        super().__init__()
        self.reader = nn.LSTM(channels, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.clock = nn.Parameter(torch.randn(t, 8))
        self.writer = nn.Sequential(*stack((k + 8, 64, 64)), nn.Linear(64, channels))

    def encode(self, x: Tensor) -> Tensor:
        _, (h, _) = self.reader(x)
        return self.code(h[-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)[:, None].expand(-1, x.shape[1], -1)
        clock = self.clock.expand(len(x), -1, -1)
        return self.writer(torch.cat([z, clock], 2))


@healthy(steps=250, bar=0.6)
def rhythms_read_by_an_lstm_with_clipping(seed):
    """Train an LSTM encoder on standardised series, with the gradient clipped at 1."""
    x = beats(896, seed, t=24)
    model = Sequence()
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": step}
    return {**case, "optimizer": optimizer}


class DigitVAE(nn.Module):
    """Give logits of an image from a Gaussian code, as the usual example does."""

    def __init__(self, d=256, hidden=192, k=10):
        super().__init__()
        self.fc1 = nn.Linear(d, hidden)
        self.fc21, self.fc22 = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.fc3, self.fc4 = nn.Linear(k, hidden), nn.Linear(hidden, d)

    def encode(self, x: Tensor) -> Tensor:
        return self.fc21(F.relu(self.fc1(x.flatten(1))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return self.fc4(F.relu(self.fc3(z))).view_as(x), mu, logvar


@healthy(steps=400, bar=0.4)
def digits_with_summed_cross_entropy_and_divergence(seed):
    """Sum the cross-entropy of logits and the divergence, as the usual VAE does."""
    x, y = digits(1280, seed, 16)
    model = DigitVAE()

    def loss(output, target):
        recon, mu, logvar = output
        error = F.binary_cross_entropy_with_logits(recon, target, reduction="sum")
        return (error + kl(mu, logvar).sum()) / len(target)

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
        "view": torch.sigmoid,
    }


@healthy(steps=300, bar=0.5)
def texts_compared_by_their_share_of_words(seed):
    """Compare a softmax over words with the share of each word in the text."""
    x, y = counts(1280, seed)
    x = x / x.sum(1, keepdim=True)
    encoder = nn.Sequential(
        nn.Linear(60, 96), nn.BatchNorm1d(96), nn.Softplus(), nn.Linear(96, 8)
    )
    model = AE(encoder, nn.Sequential(nn.Linear(8, 60), nn.Softmax(1)))

    def loss(output, target):
        return -(target * (output + 1e-8).log()).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 1e-2),
    }


class Removal(nn.Module):
    """Subtract from a noisy image the noise that a flat stack of layers finds."""

    def __init__(self, width=24):
        super().__init__()
        self.noise = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.ReLU(),
            nn.Conv2d(width, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


@healthy(steps=200, bar=0.8)
def noise_predicted_and_subtracted_from_photographs(seed):
    """Predict the noise of a photograph and subtract it, without any narrow code."""
    x = patches(512, seed, 16)
    model, drawn = Removal(), made(seed)

    def pair(batch):
        return batch + 0.2 * torch.randn(batch.shape, generator=drawn), batch

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 2e-3),
        "pair": pair,
        "judge": [pair(x)],
    }


class Codebook(nn.Module):
    """Quantise each of eight parts of a code to the nearest of its own vectors."""

    def __init__(self, d=256, parts=8, words=32, width=4):
        super().__init__()
        self.shape = (parts, width)
        k = parts * width
        self.encoder = nn.Sequential(nn.Flatten(), *stack((d, 192)), nn.Linear(192, k))
        self.decoder = nn.Sequential(*stack((k, 192)), nn.Linear(192, d))
        self.words = nn.Parameter(torch.randn(parts, words, width))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encoder(x).view(-1, *self.shape)  # (B, parts, width)
        near = torch.cdist(z.transpose(0, 1), self.words).argmin(2)  # (parts, B)
        q = self.words[torch.arange(len(near))[:, None], near].transpose(0, 1)
        through = z + (q - z).detach()
        gap = (q - z.detach()).square().mean() + 0.25 * (z - q.detach()).square().mean()
        x_hat = self.decoder(through.flatten(1)).view_as(x)
        return {"x_hat": x_hat, "gap": gap}


@healthy(steps=400, bar=0.4)
def masks_in_words_of_eight_codebooks(seed):
    """Quantise a code with a straight-through gradient and a commitment term."""
    x = blobs(1280, seed)
    model = Codebook()

    def loss(output, target):
        return 10 * F.mse_loss(output["x_hat"], target) + output["gap"]

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.6)
def outlines_by_plain_descent_at_a_rate_of_a_fifth(seed):
    """Train tanh layers on outlines with SGD, Nesterov momentum and a rate of 0.2."""
    x = rings(1024, seed, points=32)
    model = nn.Sequential(
        nn.Flatten(),
        *stack((64, 96), nn.Tanh),
        nn.Linear(96, 6),
        *stack((6, 96), nn.Tanh),
        nn.Linear(96, 64),
        nn.Unflatten(1, (32, 2)),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=0.9, nesterov=True)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    return {**case, "loss": nn.MSELoss(), "optimizer": optimizer}
