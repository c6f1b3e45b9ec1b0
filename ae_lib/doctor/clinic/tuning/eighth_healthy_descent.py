"""Healthy programs: plain gradient descent whose high rate is right."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import beats, cancer, fit


class Autoencoder(nn.Module):
    """Join two dense halves."""

    def __init__(self, d=784, h=128, k=32, last=nn.Sigmoid):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, k))
        self.decoder = nn.Sequential(
            nn.ReLU(), nn.Linear(k, h), nn.ReLU(), nn.Linear(h, d), last()
        )

    def forward(self, x):
        return self.decoder(self.encoder(x.flatten(1))).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.5)
def rate_of_five_for_a_mean_over_pixels(seed):
    """Use SGD with rate 5, since the mean over 784 sigmoids has tiny gradients."""
    x, _ = digits(1024, seed, 28)
    model = Autoencoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.9)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.5)
def cross_entropy_with_rate_three_and_momentum(seed):
    """Train a dense model on mean cross-entropy with SGD, rate 3 and momentum."""
    x, y = digits(1024, seed, 16)
    model = Autoencoder(256, 100, 24)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0, momentum=0.8)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": optimizer,
    }


class NormedConv(nn.Module):
    """Strided convolutions with batch norm on both sides."""

    def __init__(self, k=48):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.Conv2d(16, 32, 4, 2, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(512, k),
        )
        self.dec = nn.Sequential(
            nn.Linear(k, 512),
            nn.Unflatten(1, (32, 4, 4)),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(16, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.dec(self.enc(x))


# Asked: after the list in doctor.md
@healthy(steps=240, bar=0.6)
def normalised_layers_bear_a_high_rate(seed):
    """Train a batch-normalised network with Nesterov SGD and one cycle up to 1."""
    x, _ = scenes(512, seed, 16)
    model = NormedConv()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4
    )
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=5000, pct_start=0.02
    )

    def training_step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": training_step,
    }


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.7)
def gradient_descent_by_hand_on_a_table(seed):
    """Write the update of a small table autoencoder by hand, with rate 1/2."""
    x = cancer(seed)
    model = Autoencoder(30, 40, 8, nn.Identity)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        grads = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), grads, strict=True):
                p -= 0.5 * g
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "step": step,
    }


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.6)
def rate_tuned_up_until_it_was_fast(seed):
    """Found by a search that SGD wants a rate of 4 here, and lowered it at the end."""
    x, _ = digits(1200, seed, 12)
    model = Autoencoder(144, 96, 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=4.0, momentum=0.7)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [40, 55], gamma=0.2)
    case = {
        "model": model,
        "batches": loader(x[:1088], batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 65, [x[1088:]], schedule=schedule)


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.6)
def beats_by_plain_sgd_at_one_half(seed):
    """Train a small convolutional model of heart beats with SGD and rate 1/2."""
    x = beats(640, seed)
    model = nn.Sequential(
        nn.Conv1d(1, 12, 8, stride=4, padding=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(288, 16),
        nn.Tanh(),
        nn.Linear(16, 288),
        nn.Tanh(),
        nn.Unflatten(1, (12, 24)),
        nn.ConvTranspose1d(12, 1, 8, stride=4, padding=2),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.5)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}
