"""Tenth part, a: working programs that have been trained already."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, VAE, adam, kl, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourteenth_a_losses import Quantised
from ae_lib.doctor.clinic.tuning.fourteenth_a_material import (
    beats,
    clients,
    fit,
    galaxies,
    made,
    masks,
    spots,
    waves_of_kinds,
)
from ae_lib.doctor.clinic.tuning.fourteenth_a_plain import Sequence


def _slower(optimizer, rate: float) -> None:
    """Give all parameters of an optimizer another learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@healthy(steps=0, bar=0.6)
def galaxies_trained_with_a_held_back_part(seed):
    """Train a code of six for tilted discs, with two hundred and more held back."""
    x = galaxies(1536, seed)
    model = AE(
        nn.Sequential(
            nn.Conv2d(1, 12, 4, 2, 1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(768, 96),
            nn.GELU(),
            nn.Linear(96, 6),
        ),
        nn.Sequential(
            *stack((6, 96, 192), nn.GELU),
            nn.Linear(192, 256),
            nn.Unflatten(1, (1, 16, 16)),
        ),
    )
    held_back = loader(x[1280:], shuffle=False)
    case = {"model": model, "batches": loader(x[:1280], batch_size=64, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 3e-3)}
    history = fit(case, list(held_back), 32)
    _slower(case["optimizer"], 5e-4)
    later = fit(case, list(held_back), 8)
    history = {name: history[name] + later[name] for name in history}
    return {**case, "eval_batches": held_back, "history": history}


@healthy(steps=0, bar=0.6)
def variational_code_of_single_spots(seed):
    """Train a VAE on single spots, with the grain's variance in the error's weight."""
    x = spots(1280, seed, number=1)
    encoder = nn.Sequential(nn.Flatten(), *stack((256, 96, 64), nn.SiLU))
    decoder = nn.Sequential(
        *stack((6, 64, 96), nn.SiLU),
        nn.Linear(96, 256),
        nn.Unflatten(1, (1, 16, 16)),
    )
    model = VAE(encoder, decoder, 64, 6)

    def loss(output, target):
        recon, mu, logvar = output
        error = (recon - target).square().flatten(1).sum(1) / (2 * 0.02**2)
        return (error + kl(mu, logvar).sum(1)).mean()

    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model, 4e-3)}
    train(case, 700)
    _slower(case["optimizer"], 1e-3)
    train(case, 200)
    return case


@healthy(steps=0, bar=0.6)
def heart_beats_through_a_code_of_five(seed):
    """Train dense layers on many heart beats, then once more at a lower rate."""
    x = beats(2048, seed)
    encoder = nn.Sequential(*stack((64, 96, 48), nn.GELU), nn.Linear(48, 5))
    decoder = nn.Sequential(*stack((5, 48, 96), nn.GELU), nn.Linear(96, 64))
    model = AE(encoder, decoder)
    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 4e-3)}
    train(case, 1000)
    _slower(case["optimizer"], 1e-3)
    train(case, 300)
    return case


@healthy(steps=0, bar=0.6)
def clients_stopped_when_validation_settled(seed):
    """Train a table until the validation loss has not improved for five epochs."""
    rows = clients(3328, seed)
    x = (rows - rows[:2816].mean(0)) / rows[:2816].std(0)
    encoder = nn.Sequential(*stack((12, 64, 32), nn.GELU), nn.Linear(32, 3))
    decoder = nn.Sequential(*stack((3, 32, 64), nn.GELU), nn.Linear(64, 12))
    model = AE(encoder, decoder)
    held_back = loader(x[2816:], batch_size=256, shuffle=False)
    case = {"model": model, "batches": loader(x[:2816], batch_size=128, seed=seed)}
    case |= {"loss": F.mse_loss, "optimizer": adam(model, 5e-3)}
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    best, waited = float("inf"), 0
    while waited < 5 and len(history["val_loss"]) < 40:
        for name, found in fit(case, list(held_back), 1).items():
            history[name] += found
        waited += 1
        if history["val_loss"][-1] < 0.995 * best:
            best, waited = history["val_loss"][-1], 0
            kept = {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    return {**case, "eval_batches": held_back, "history": history}


@healthy(steps=0, bar=0.6)
def recurrent_code_of_sine_waves(seed):
    """Train a GRU autoencoder on sine waves that are cut into eight pieces."""
    x = waves(1024, seed).unflatten(1, (8, 8))
    model = Sequence(8, 8, k=4, hidden=32)
    case = {"model": model, "batches": loader(x, batch_size=64, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 1e-2)}
    train(case, 420)
    _slower(case["optimizer"], 2e-3)
    train(case, 150)
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

    case = {"model": model, "batches": loader(x, batch_size=16, seed=seed)}
    case |= {"loss": loss, "optimizer": adam(model)}
    train(case, 360)
    _slower(case["optimizer"], 5e-4)
    train(case, 60)
    return case


@healthy(steps=0, bar=0.6)
def holes_in_masks_filled(seed):
    """Train a network to fill masks of which a quarter of the pixels is unknown."""
    x = masks(640, seed)
    drawn = made(seed + 1)

    def pair(batch):
        known = (torch.rand(batch.shape, generator=drawn) > 0.25).float()
        return torch.cat([batch * known, known], 1), batch

    model = nn.Sequential(
        nn.Conv2d(2, 24, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(24, 24, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(24, 1, 3, padding=1),
    )
    case = {"model": model, "batches": loader(x, batch_size=16, seed=seed)}
    case |= {"loss": nn.BCEWithLogitsLoss(), "optimizer": adam(model, 5e-3)}
    case |= {"pair": pair, "view": torch.sigmoid}
    train(case, 200)
    return case
