"""Ninth part, a: training loops of one's own that work."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    atoms,
    blobs,
    gait,
    made,
    sheet,
    turbine,
)


@healthy(steps=640, bar=0.6)
def four_small_batches_under_autocast(seed):
    """Gather four batches of 16 under bfloat16 autocast before a step is taken."""
    x = turbine(1024, seed, t=16).flatten(1)
    model = dense((80,), (128,), 10, act=nn.GELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-2)
    seen = [0]

    def step(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            output = model(batch)
        loss = F.mse_loss(output.float(), batch)
        (loss / 4).backward()
        seen[0] += 1
        if seen[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.item()

    data = loader(x, batch_size=16, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}


@healthy(steps=250, bar=0.6)
def averaged_weights_beside_a_cosine(seed):
    """Keep a moving average of the weights, and lower the rate by a cosine."""
    x = blobs(768, seed, colours=3)
    model = conv((3, 16, 16), 20, act=nn.SiLU)
    shadow = copy.deepcopy(model).requires_grad_(False)
    optimizer = adam(model, 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600, 1e-4)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for a, b in zip(shadow.parameters(), model.parameters(), strict=True):
                a.lerp_(b, 0.01)
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}


class Walk(nn.Module):
    """Encode a walk with a GRU over time, and draw it with convolutions."""

    def __init__(self, t=48, k=12):
        super().__init__()
        self.rnn = nn.GRU(3, 40, batch_first=True, bidirectional=True)
        self.code = nn.Linear(80, k)
        self.draw = nn.Sequential(
            nn.Linear(k, 24 * t // 4),
            nn.ReLU(),
            nn.Unflatten(1, (24, t // 4)),
            nn.ConvTranspose1d(24, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(16, 3, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.rnn(x.transpose(1, 2))
        return self.draw(self.code(h.mean(1)))


@healthy(steps=250, bar=0.5)
def walks_with_clipped_gradients(seed):
    """Clip the gradient at norm 1 for a loss that is summed over the window."""
    x = gait(768, seed)
    model = Walk()
    optimizer = torch.optim.Adam(model.parameters(), lr=6e-3)

    def criterion(output, target):
        return (output - target).square().sum((1, 2)).mean()

    def step(model, batch):
        optimizer.zero_grad()
        loss = criterion(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    data = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": data, "loss": criterion, "step": step}
    return {**case, "optimizer": optimizer}


class Spread(nn.Module):
    """Put a Gaussian code of ten units between two ordinary networks."""

    def __init__(self, d=30, k=10):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96), nn.SiLU), nn.Linear(96, 2 * k))
        self.decoder = nn.Sequential(*stack((k, 96), nn.SiLU), nn.Linear(96, d))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var = self.encoder(x).chunk(2, 1)
        log_var = log_var.clamp(-10, 5)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        return self.decoder(z if self.training else mu), mu, log_var


@healthy(steps=400, bar=0.6)
def beta_raised_over_the_first_epochs(seed):
    """Raise the weight of the KL term from 0 to 1 over 200 steps, with free bits."""
    x = sheet(1280, seed)
    model, seen = Spread(), [0]
    optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)

    def terms(output, target):
        recon, mu, log_var = output
        error = (recon - target).square().sum(1).mean() / (2 * 0.3**2)
        kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).mean(0)
        return error, kl.clamp(min=0.1).sum()

    def loss(output, target):
        error, kl = terms(output, target)
        return error + kl

    def step(model, batch):
        error, kl = terms(model(batch), batch)
        total = error + min(1.0, seen[0] / 200) * kl
        seen[0] += 1
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        return total.item()

    data = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": data, "loss": loss, "step": step}
    return {**case, "optimizer": optimizer}


@healthy(steps=25, bar=0.6)
def whole_table_by_lbfgs(seed):
    """Fit a small table as a single batch with L-BFGS, its closure in the step."""
    x = table(400, seed, d=16, rank=4)
    model = dense((16,), (24,), 4, act=nn.Tanh, last=None)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=8, line_search_fn="strong_wolfe"
    )

    def step(model, batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    case = {"model": model, "batches": [x], "step": step}
    return {**case, "optimizer": optimizer}


@healthy(steps=300, bar=0.5)
def decoder_learned_on_a_frozen_encoder(seed):
    """Freeze an encoder that was trained on other digits, and learn its inverse."""
    images, labels = digits(1500, seed, size=16)
    model = conv((1, 16, 16), 24)
    earlier = {"model": model, "batches": loader(images[:700], seed=seed)}
    train({**earlier, "optimizer": adam(model, 4e-3)}, 120)
    fresh = conv((1, 16, 16), 24)
    model.decoder = fresh.decoder
    model.encoder.requires_grad_(False)
    optimizer = torch.optim.Adam(
        (p for p in model.parameters() if p.requires_grad), lr=3e-3
    )
    return {
        "model": model,
        "batches": loader(images[700:], labels[700:], seed=seed),
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.6)
def orthogonalised_steps_without_biases(seed):
    """Train matrices only with Muon: no biases, and norms without parameters."""
    x = sheet(1152, seed)
    x = x + 0.1 * torch.randn(x.shape, generator=made(seed + 2))
    layers = []
    for a, b in ((30, 96), (96, 8), (8, 96), (96, 30)):
        layers.append(nn.Linear(a, b, bias=False))
        if b == 96:
            layers += [nn.RMSNorm(b, elementwise_affine=False), nn.GELU()]
    model = nn.Sequential(*layers)
    return {
        "model": model,
        "batches": loader(x, batch_size=96, seed=seed),
        "optimizer": torch.optim.Muon(model.parameters(), lr=2e-2, weight_decay=0.01),
    }


@healthy(steps=600, bar=0.5)
def l1_weight_raised_with_the_steps(seed):
    """Raise the weight of an L1 term slowly, after a warm-up of the rate."""
    x = atoms(1500, seed)
    model = nn.Sequential(nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, 32))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min(1.0, (i + 1) / 30) / math.sqrt(1 + i / 1000)
    )
    seen = [0]

    def step(model, batch):
        z = model[1](model[0](batch))
        recon = model[2](z)
        weight = 2e-2 * min(1.0, seen[0] / 200)
        size = model[2].weight.norm(dim=0)
        loss = F.mse_loss(recon, batch) + weight * (z * size).sum(1).mean()
        seen[0] += 1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm.step()
        return loss.item()

    data = loader(x, batch_size=100, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}
