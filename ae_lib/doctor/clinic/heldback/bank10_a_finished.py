"""Tenth part, a: working programs that have been trained already."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank10_a_losses import Quantised
from ae_lib.doctor.clinic.heldback.bank10_a_material import (
    beats,
    clients,
    fit,
    landscapes,
    made,
    masks,
    outlines,
    spectra,
    spots,
    waves_of_kinds,
)
from ae_lib.doctor.clinic.heldback.bank10_a_plain import Sequence
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy


def _slower(optimizer, rate: float) -> None:
    """Give all parameters of an optimizer another learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@healthy(steps=0, bar=0.6)
def landscapes_trained_with_a_held_back_fifth(seed):
    """Train upsampling convolutions on landscapes, with a fifth held back."""
    x = landscapes(1280, seed)
    model = AE(
        nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 16),
        ),
        nn.Sequential(
            nn.Linear(16, 512),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 24, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(24, 3, 3, padding=1),
            nn.Sigmoid(),
        ),
    )
    held_back = loader(x[1024:], shuffle=False)
    case = {"model": model, "batches": loader(x[:1024], batch_size=32, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 4e-3)}
    history = fit(case, list(held_back), 11)
    _slower(case["optimizer"], 1e-3)
    later = fit(case, list(held_back), 3)
    history = {name: history[name] + later[name] for name in history}
    return {**case, "eval_batches": held_back, "history": history}


@healthy(steps=0, bar=0.6)
def variational_code_of_outlines(seed):
    """Train a VAE on outlines, with the spread of the data in the error's weight."""
    x = outlines(1024, seed)
    encoder = nn.Sequential(nn.Flatten(), *stack((40, 96), nn.SiLU))
    decoder = nn.Sequential(
        *stack((7, 96), nn.SiLU), nn.Linear(96, 40), nn.Unflatten(1, (20, 2))
    )
    model = VAE(encoder, decoder, 96, 7)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1) / (2 * 0.02**2)
        return (error + kl(mu, logvar).sum(1)).mean()

    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model, 5e-3)}
    train(case, 700)
    _slower(case["optimizer"], 1e-3)
    train(case, 200)
    return case


@healthy(steps=0, bar=0.5)
def recurrent_code_of_heart_beats(seed):
    """Train a GRU autoencoder on heart beats cut into sixteen steps of four."""
    x = beats(1024, seed).unflatten(1, (16, 4))
    model = Sequence(4, 16, k=14, hidden=48)
    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 1e-2)}
    train(case, 300)
    _slower(case["optimizer"], 2e-3)
    train(case, 100)
    return case


@healthy(steps=0, bar=0.6)
def clients_stopped_when_validation_settled(seed):
    """Train a table until the validation loss has not improved for five epochs."""
    rows = clients(2560, seed)
    x = (rows - rows[:2048].mean(0)) / rows[:2048].std(0)
    encoder = nn.Sequential(*stack((12, 64, 32), nn.GELU), nn.Linear(32, 3))
    decoder = nn.Sequential(*stack((3, 32, 64), nn.GELU), nn.Linear(64, 12))
    model = AE(encoder, decoder)
    held_back = loader(x[2048:], batch_size=256, shuffle=False)
    case = {"model": model, "batches": loader(x[:2048], batch_size=64, seed=seed)}
    case |= {"loss": F.mse_loss, "optimizer": adam(model, 3e-3)}
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    best, waited = float("inf"), 0
    while waited < 5 and len(history["val_loss"]) < 60:
        for name, found in fit(case, list(held_back), 1).items():
            history[name] += found
        waited += 1
        if history["val_loss"][-1] < 0.995 * best:
            best, waited = history["val_loss"][-1], 0
            kept = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return {**case, "eval_batches": held_back, "history": history}


class Words(nn.Module):
    """Code a spectrum with non-negative features, of which few are large."""

    def __init__(self, d: int, k: int):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96)), nn.Linear(96, k), nn.ReLU())
        self.decoder = nn.Sequential(*stack((k, 96)), nn.Linear(96, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decoder(z), z


@healthy(steps=0, bar=0.6)
def few_features_for_each_spectrum(seed):
    """Train non-negative features of spectra with a small mean absolute value."""
    x, main = spectra(1024, seed)
    model = Words(96, 16)

    def loss(output, target):
        recon, z = output
        return (recon - target).square().sum(1).mean() + 0.02 * z.abs().sum(1).mean()

    case = {"model": model, "batches": loader(x, main, batch_size=64, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model, 2e-3)}
    train(case, 600)
    return case


@healthy(steps=0, bar=0.6)
def patterns_found_beneath_a_drift(seed):
    """Train on windows after their line is taken off, and keep the pattern's label."""
    x, kind = waves_of_kinds(1024, seed)
    time = torch.linspace(-1, 1, x.shape[1])
    slope = (x @ time) / time.square().sum()
    x = x - x.mean(1, keepdim=True) - slope[:, None] * time
    x = (x - x.mean()) / x.std()
    encoder = nn.Sequential(*stack((48, 96), nn.GELU), nn.Linear(96, 4))
    decoder = nn.Sequential(*stack((4, 96), nn.GELU), nn.Linear(96, 48))
    model = AE(encoder, decoder)
    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 900)
    return {**case, "batches": loader(x, kind, shuffle=False), "labels": kind}


@healthy(steps=0, bar=0.6)
def quantised_spots_from_a_small_book(seed):
    """Train a vector-quantised autoencoder of spots, whose book begins with codes."""
    x = spots(768, seed, number=3)
    model = Quantised(words=48)
    with torch.no_grad():
        z = model.encoder(x[:64]).movedim(1, -1).flatten(0, 2)
        model.book.copy_(z[torch.randperm(len(z))[:48]])

    def loss(output, target):
        recon, z, q = output
        book, commit = F.mse_loss(q, z.detach()), F.mse_loss(z, q.detach())
        return F.mse_loss(recon, target) + book + 0.25 * commit

    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model)}
    train(case, 450)
    return case


@healthy(steps=0, bar=0.6)
def holes_in_masks_filled(seed):
    """Train a network to fill masks of which a quarter of the pixels is unknown."""
    x = masks(896, seed)
    drawn = made(seed + 1)

    def pair(batch):
        known = (torch.rand(batch.shape, generator=drawn) > 0.25).float()
        return torch.cat([batch * known, known], 1), batch

    model = nn.Sequential(
        nn.Conv2d(2, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(24, 1, 3, padding=1),
    )
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model, 5e-3)}
    case |= {"pair": pair, "view": torch.sigmoid}
    train(case, 250)
    return {**case, "judge": [pair(masks(128, seed + 100))]}
