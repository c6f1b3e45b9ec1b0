"""Programs with a step of the wrong size, or one that ends in a NaN."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.parts import conv, dense
from ae_lib.doctor.clinic.program import faulty


class RecurrentAutoencoder(nn.Module):
    """An LSTM reads the series, its last state is repeated, an LSTM writes it."""

    def __init__(self, length, hidden=32, latent=12):
        super().__init__()
        self.length = length
        self.reader = nn.LSTM(4, hidden, batch_first=True)
        self.to_code = nn.Linear(hidden, latent)
        self.writer = nn.LSTM(latent, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 4)

    def encode(self, x: Tensor) -> Tensor:
        _, (h, _) = self.reader(x)
        return self.to_code(h[-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x).unsqueeze(1).expand(-1, self.length, -1)
        h, _ = self.writer(z)
        return self.head(h)


# Asked: https://exchangetuts.com/lstm-autoencoder-problems-1640235244357179 (gist)
@faulty("step.too-large", accepts=("signal.saturated",), steps=300, bar=0.5)
def recurrent_net_at_a_tenth(seed, fixed):
    """Train an LSTM autoencoder with Adam at 0.1, for it converges faster."""
    x = waves(384, seed, 32).view(-1, 8, 4)
    model = RecurrentAutoencoder(8)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3 if fixed else 0.1)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class ResidualBlock(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class ResidualAutoencoder(nn.Module):
    """Residual blocks on both sides of a dense code."""

    def __init__(self, width=12, latent=24):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            ResidualBlock(width),
            nn.Conv2d(width, width, 4, 2, 1),
            nn.Flatten(),
            nn.Linear(width * 16, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, width * 16),
            nn.Unflatten(1, (width, 4, 4)),
            ResidualBlock(width),
            nn.ConvTranspose2d(width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, 3, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: loss jumps and then stays constant with momentum and a summed error
@faulty(
    "step.too-large",
    accepts=("signal.dead-units", "step.nonfinite"),
    steps=150,
    bar=0.5,
)
def summed_error_at_the_rate_of_the_mean(seed, fixed):
    """Change the criterion to reduction="sum" and leave the rate of SGD as it was."""
    x = patches(512, seed)
    model = ResidualAutoencoder()
    loss = nn.MSELoss(reduction="sum")
    rate = 5e-5 if fixed else 1e-2
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}


# Asked: loss decreases by 0.0001 per epoch, reconstructions are grey
@faulty("step.too-small", steps=200, bar=0.4)
def plain_descent_at_a_thousandth(seed, fixed):
    """Train a convolutional autoencoder with plain SGD and a rate of 0.001."""
    x, _ = digits(512, seed)
    model = conv((1, 28, 28), k=16, width=8)
    if fixed:
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


# Asked: https://github.com/CUNY-CL/yoyodyne/issues/243 (gist: warm-up by the epoch)
@faulty("step.too-small", steps=150, bar=0.5)
def warm_up_counted_in_epochs(seed, fixed):
    """Write a warm-up of 1000 steps, and call scheduler.step() once an epoch."""
    x, _ = scenes(512, seed)
    model = dense((3, 16, 16), (192,), k=24, act=nn.GELU)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    warm = 20 if fixed else 1000
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: min(1.0, (t + 1) / warm)
    )

    def step(model, batch) -> float:
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        if fixed:
            scheduler.step()
        return loss.item()

    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer, "step": step}


class TrackAutoencoder(nn.Module):
    """Tracks of (x, y) positions, padded with zeros at the end."""

    def __init__(self, length, latent=10):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(2 * length, 96), nn.ELU(), nn.Linear(96, latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 96), nn.ELU(), nn.Linear(96, 2 * length)
        )

    def forward(self, track: Tensor) -> Tensor:
        there = (track != 0).any(-1, keepdim=True).float()
        return self.decoder(self.encoder(track)).view(track.shape) * there


def tracks(n, seed, length=24) -> Tensor:
    """Return curves in the plane (n, length, 2), the last ones cut short."""
    both = torch.stack([waves(n, seed, length), waves(n, seed + 99, length)], -1)
    ends = torch.randint(length // 2, length + 1, (n, 1))
    return both * (torch.arange(length) < ends).unsqueeze(-1)


# Asked: http://ddrv.cn/?p=758668 (gist: distance of GPS points, the loss turns NaN)
@faulty("step.nonfinite", accepts=("loss.domain",), steps=250, bar=0.4)
def distance_of_padded_positions(seed, fixed):
    """Average the distance between points, the padded ones of every track included."""
    x = tracks(512, seed)
    model = TrackAutoencoder(24)
    eps = 1e-8 if fixed else 0.0

    def distance(x_hat: Tensor, x: Tensor) -> Tensor:
        return torch.sqrt((x_hat - x).pow(2).sum(-1) + eps).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": distance,
        "optimizer": optimizer,
    }


class UnitSphereAutoencoder(nn.Module):
    """Codes on the unit sphere."""

    def __init__(self, n_in, latent=8, eps=0.0):
        super().__init__()
        self.eps = eps
        self.layer1 = nn.Linear(n_in, 96, bias=False)
        self.layer2 = nn.Linear(96, latent, bias=False)
        self.layer3 = nn.Linear(latent, 96)
        self.layer4 = nn.Linear(96, n_in)

    def encode(self, x: Tensor) -> Tensor:
        z = self.layer2(F.relu(self.layer1(x)))
        return z / (z.norm(dim=1, keepdim=True) + self.eps)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer4(F.relu(self.layer3(self.encode(x))))


# Asked: https://www.codegenes.net/blog/autoencoder-recostruction-is-nan-pytorch (gist)
@faulty("step.nonfinite", steps=250, bar=0.5)
def silent_window_on_the_unit_sphere(seed, fixed):
    """Divide codes by their norm, where some windows of the recording are silent."""
    x = waves(512, seed, 48)
    played = x.clone()
    x[::64] = 0.0
    model = UnitSphereAutoencoder(48, eps=1e-6 if fixed else 0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "optimizer": optimizer,
        "judge": played.split(64),
    }
