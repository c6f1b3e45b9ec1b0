"""Seventh part, c: healthy programs whose wiring or step looks suspicious."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table, waves
from ae_lib.doctor.clinic.parts import dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eleventh_c_material import clothes, ecg, faces, peaks


class OnFrozen(nn.Module):
    """Decode the features of an encoder that is not trained any more."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.decoder = nn.Sequential(nn.Linear(16, 96), nn.ReLU(), nn.Linear(96, 144))

    def forward(self, x):
        with torch.no_grad():
            z = self.encoder(x.flatten(1))
        return self.decoder(z).view_as(x)


@healthy(steps=300, bar=0.5)
def decoder_for_a_frozen_pca(seed):
    """Fix the encoder to principal components and train only a decoder."""
    x, y = digits(1024, seed, size=12)
    flat = x.flatten(1)
    centre = flat.mean(0)
    _, spread, axes = torch.linalg.svd(flat - centre, full_matrices=False)
    encoder = nn.Linear(144, 16)
    scale = spread[:16, None] / len(x) ** 0.5
    encoder.weight.data = axes[:16] / scale
    encoder.bias.data = -(encoder.weight.data @ centre)
    model = OnFrozen(encoder)
    trained = [p for p in model.parameters() if p.requires_grad]
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": torch.optim.Adam(trained, lr=2e-3),
    }


@healthy(steps=400, bar=0.6)
def four_small_batches_for_one_step(seed):
    """Collect the gradients of four batches of sixteen before each step."""
    x, _ = peaks(1024, seed)
    model = dense((80,), (64,), 6, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    seen = {"batches": 0}

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 4).backward()
        seen["batches"] += 1
        if seen["batches"] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=16, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.6)
def autocast_to_bfloat16(seed):
    """Run the forward pass of a table network in bfloat16."""
    x = table(1024, seed, d=30, rank=6)
    model = dense((30,), (96,), 8, act=nn.GELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            recon = model(batch)
        loss = F.mse_loss(recon.float(), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=400, bar=0.5)
def plain_sgd_with_a_rate_of_three(seed):
    """Use SGD with a rate of 3, right for a mean over so many pixels."""
    x, y = digits(1024, seed, size=20)
    model = dense((1, 20, 20), (100,), 16, act=nn.ReLU)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.SGD(model.parameters(), lr=3.0, momentum=0.8),
    }


@healthy(steps=400, bar=0.6)
def sums_over_everything_and_a_small_rate(seed):
    """Sum the squared errors of the batch and choose SGD's rate to match."""
    beats, kind = ecg(1024, seed)
    model = dense((64,), (96,), 8, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(model.parameters(), lr=2e-4, momentum=0.9)
    return {
        "model": model,
        "batches": loader(beats, kind, seed=seed),
        "loss": lambda output, target: (output - target).square().sum(),
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.6)
def clip_warm_up_and_average(seed):
    """Clip the gradient, warm the rate up over twenty steps and decay it."""
    x = waves(1024, seed)
    model = dense((64,), (128, 64), 8, act=nn.SiLU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min((t + 1) / 20, 0.998**t)
    )

    def step(model, batch):
        loss = F.smooth_l1_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Classed(nn.Module):
    """Reconstruct garments and tell their kind from the code with a linear head."""

    def __init__(self, k=12):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 96), nn.ReLU())
        self.code = nn.Linear(96, k)
        self.decoder = nn.Sequential(nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, 256))
        self.kind = nn.Linear(k, 4)

    def encode(self, x):
        return self.code(self.encoder(x))

    def forward(self, x):
        z = self.encode(x)
        return torch.sigmoid(self.decoder(z)).view_as(x), self.kind(z)


@healthy(steps=300, bar=0.6)
def a_head_for_the_kind_as_well(seed):
    """Train reconstruction and a classifier on the code together in one step."""
    x, y = clothes(896, seed, size=16)
    model = Classed()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(model, batch):
        images, kinds = batch
        recon, logits = model(images)
        error = F.mse_loss(recon, images)
        loss = error + 0.02 * F.cross_entropy(logits, kinds)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=300, bar=0.5)
def encoder_and_decoder_at_their_own_rates(seed):
    """Give the two halves their own optimizers and step both after one backward."""
    x = patches(768, seed, size=12)
    model = dense((3, 12, 12), (128,), 24, act=nn.LeakyReLU)
    first = torch.optim.Adam(model.encoder.parameters(), lr=1e-3)
    second = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        first.zero_grad()
        second.zero_grad()
        loss.backward()
        first.step()
        second.step()
        return loss.item()

    return {"model": model, "batches": loader(x, seed=seed), "step": step}


class Averaged(nn.Module):
    """Follow the encoder with a slow copy that only inference uses."""

    def __init__(self):
        super().__init__()
        self.fast = self._layers()
        self.slow = self._layers().requires_grad_(False)
        self.slow.load_state_dict(self.fast.state_dict())

    def _layers(self):
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 96),
            nn.ELU(),
            nn.Linear(96, 12),
            nn.Linear(12, 96),
            nn.ELU(),
            nn.Linear(96, 256),
            nn.Unflatten(1, (1, 16, 16)),
        )

    @torch.no_grad()
    def follow(self, rate=0.05):
        for a, b in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
            a.lerp_(b, rate)

    def forward(self, x):
        return (self.fast if self.training else self.slow)(x)


@healthy(steps=400, bar=0.5)
def moving_average_of_the_weights(seed):
    """Evaluate faces with a moving average of the weights that train."""
    x = faces(768, seed, size=16)
    model = Averaged()
    optimizer = torch.optim.Adam(model.fast.parameters(), lr=2e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.follow()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }
