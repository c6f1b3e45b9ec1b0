"""Small data and networks for the fourth held-back part of the clinic."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.measures import outputs


def _made(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed + 90210)


def beats(n: int = 512, seed: int = 0, d: int = 96) -> Tensor:
    """Return heartbeats (n, d): a tall wave, a low one, and a slow drift."""
    made, time = _made(seed), torch.linspace(0, 1, d)
    place, tall, lag, low, phase = torch.rand(5, n, 1, generator=made)
    first = torch.exp(-(((time - 0.2 - 0.2 * place) / 0.06) ** 2))
    second = torch.exp(-(((time - 0.6 - 0.15 * lag) / 0.09) ** 2))
    drift = 0.15 * torch.sin(2 * torch.pi * (time + phase))
    return (0.6 + 0.6 * tall) * first + (0.1 + 0.4 * low) * second + drift


def lines(n: int = 512, seed: int = 0, d: int = 64) -> Tensor:
    """Return spectra (n, d) of eight lines of random height, not negative."""
    made, place = _made(seed), torch.linspace(0.05, 0.95, 8)[:, None]
    shape = torch.exp(-(((torch.linspace(0, 1, d) - place) / 0.05) ** 2))
    return torch.rand(n, 8, generator=made).square() @ shape


def climate(n: int = 512, seed: int = 0, d: int = 48, causes: int = 8) -> Tensor:
    """Return smooth records (n, d) of `causes` tides, mean 0 and deviation 1."""
    made, time = _made(seed), torch.linspace(0, 1, d)
    tides = torch.cos(torch.pi * torch.arange(1, causes + 1)[:, None] * time)
    x = torch.randn(n, causes, generator=made) @ tides
    return (x - x.mean()) / x.std()


def cohort(n: int = 512, seed: int = 0, d: int = 14, causes: int = 4) -> Tensor:
    """Return a table (n, d) of bent mixtures of a few causes, columns N(0, 1)."""
    made = _made(seed)
    x = torch.randn(n, causes, generator=made) @ torch.randn(causes, d, generator=made)
    x = torch.cat([x[:, : d // 2], torch.tanh(x[:, d // 2 :])], 1)
    x = x + 0.1 * torch.randn(n, d, generator=made)
    return (x - x.mean(0)) / x.std(0)


def lamps(n: int = 448, seed: int = 0, size: int = 24, channels: int = 3) -> Tensor:
    """Return smooth pictures (n, channels, size, size) of lights before a wall."""
    made, axis = _made(seed), torch.linspace(0, 1, size)
    x = 0.1 + 0.4 * torch.rand(n, channels, 1, 1, generator=made)
    for _ in range(3):
        u, v, r = torch.rand(3, n, 1, 1, 1, generator=made)
        colour = torch.rand(n, channels, 1, 1, generator=made) - 0.3
        away = (axis[:, None] - u).square() + (axis - v).square()
        x = x + 0.5 * colour * torch.exp(-away / (0.2 + 0.15 * r) ** 2)
    return x.clamp(0, 1)


def fit_log(case: dict, epochs: int, train, held: list[Tensor]) -> dict:
    """Train for some epochs; return the case with its history of both losses."""
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    loss = case.get("loss", F.mse_loss)
    for _ in range(epochs):
        losses = train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        _, target, picture = outputs({**case, "judge": held})
        history["val_loss"].append(loss(picture, target).item())
    return {**case, "eval_batches": held, "history": history}


class Fc(nn.Module):
    """Be the four dense layers of a first tutorial; flattens and unflattens."""

    def __init__(self, shape, hidden=128, k=16, act=F.relu, last=torch.sigmoid):
        super().__init__()
        d = torch.Size(shape).numel()
        self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, k)
        self.fc3, self.fc4 = nn.Linear(k, hidden), nn.Linear(hidden, d)
        self.act, self.last = act, last

    def encode(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x.flatten(1))))

    def decode(self, z: Tensor) -> Tensor:
        x_hat = self.fc4(self.act(self.fc3(z)))
        return self.last(x_hat) if self.last else x_hat

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x)).view_as(x)


class Cae(nn.Module):
    """Halve the picture twice, squeeze it through a dense layer, double it twice."""

    def __init__(self, shape, k=32, w=12, norm=None, act=nn.ReLU, last=nn.Sigmoid):
        super().__init__()
        c, s = shape[0], shape[-1] // 4

        def then(channels):
            return [norm(channels), act()] if norm else [act()]

        self.down = nn.Sequential(
            *(nn.Conv2d(c, w, 4, 2, 1), *then(w)),  # (B, w, S/2, S/2)
            *(nn.Conv2d(w, 2 * w, 4, 2, 1), *then(2 * w)),  # (B, 2w, S/4, S/4)
        )
        self.to_code = nn.Linear(2 * w * s * s, k)
        self.from_code = nn.Linear(k, 2 * w * s * s)
        self.up = nn.Sequential(
            *(nn.Unflatten(1, (2 * w, s, s)), act()),
            *(nn.ConvTranspose2d(2 * w, w, 4, 2, 1), *then(w)),
            nn.ConvTranspose2d(w, c, 4, 2, 1),
            *([last()] if last else []),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.to_code(self.down(x).flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        return self.up(self.from_code(z))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class ResUnit(nn.Module):
    """Add two convolutions with batch normalisation to what comes in."""

    def __init__(self, w: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w)
        self.conv2, self.bn2 = nn.Conv2d(w, w, 3, padding=1), nn.BatchNorm2d(w)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(h)))


class ResNet(nn.Module):
    """Put residual units before and after a dense code; upsample by neighbours."""

    def __init__(self, shape, k=32, w=12, last=nn.Sigmoid):
        super().__init__()
        c, s = shape[0], shape[-1] // 4
        self.stem = nn.Conv2d(c, w, 4, 4)  # (B, w, S/4, S/4)
        self.enc_units = nn.ModuleList([ResUnit(w), ResUnit(w)])
        self.squeeze = nn.Linear(w * s * s, k)
        self.expand = nn.Linear(k, w * s * s)
        self.dec_units = nn.ModuleList([ResUnit(w), ResUnit(w)])
        self.head = nn.Sequential(
            *(nn.Upsample(scale_factor=2), nn.Conv2d(w, w, 3, padding=1), nn.ReLU()),
            *(nn.Upsample(scale_factor=2), nn.Conv2d(w, c, 3, padding=1)),
            *([last()] if last else []),
        )
        self.grid = (w, s, s)

    def encode(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        for unit in self.enc_units:
            h = unit(h)
        return self.squeeze(h.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        h = self.expand(z).unflatten(1, self.grid)
        for unit in self.dec_units:
            h = unit(h)
        return self.head(h)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Wave(nn.Module):
    """Encode a signal (B, T) by three strided convolutions and a dense layer."""

    def __init__(self, d=96, k=8, w=12, act=nn.ReLU):
        super().__init__()
        self.enc = nn.Sequential(
            *(nn.Conv1d(1, w, 5, 2, 2), act(), nn.Conv1d(w, w, 5, 2, 2), act()),
            *(nn.Conv1d(w, w, 5, 2, 2), act(), nn.Flatten(), nn.Linear(w * d // 8, k)),
        )
        self.dec = nn.Sequential(nn.Linear(k, 96), act(), nn.Linear(96, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.enc(x.unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.dec(self.encode(x))


class Recurrent(nn.Module):
    """Read a signal (B, T) in steps of `step` samples and write it again."""

    def __init__(self, hidden=32, k=12, step=6):
        super().__init__()
        self.reader = nn.LSTM(step, hidden, batch_first=True)
        self.squeeze, self.step = nn.Linear(hidden, k), step
        self.writer = nn.LSTM(k, hidden, batch_first=True)
        self.out = nn.Linear(hidden, step)

    def encode(self, x: Tensor) -> Tensor:
        _, (state, _) = self.reader(x.unflatten(1, (-1, self.step)))
        return self.squeeze(state[-1])

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x).unsqueeze(1).expand(-1, x.shape[1] // self.step, -1)
        return self.out(self.writer(z)[0]).flatten(1)


class Vae(nn.Module):
    """Return (x_hat, mu, log_var) as the usual examples do, dense layers inside."""

    def __init__(self, shape, hidden=128, k=8, last=nn.Sigmoid):
        super().__init__()
        d = torch.Size(shape).numel()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(d, hidden), nn.ReLU())
        self.fc_mu, self.fc_var = nn.Linear(hidden, k), nn.Linear(hidden, k)
        layers = [nn.Linear(k, hidden), nn.ReLU(), nn.Linear(hidden, d)]
        self.decoder = nn.Sequential(*layers, *([last()] if last else []))

    def encode(self, x: Tensor) -> Tensor:
        return self.fc_mu(self.hidden(x))

    def reparameterize(self, mu: Tensor, log_var: Tensor) -> Tensor:
        return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.hidden(x)
        mu, log_var = self.fc_mu(h), self.fc_var(h)
        x_hat = self.decoder(self.reparameterize(mu, log_var))
        return x_hat.view_as(x), mu, log_var


class ConvVae(Vae):
    """Use the layers of `Cae` around the Gaussian code."""

    def __init__(self, shape, k=8, w=12, last=nn.Sigmoid):
        super().__init__(shape, 8, k)
        plain = Cae(shape, k, w, last=last)
        d = plain.to_code.in_features
        self.hidden = nn.Sequential(plain.down, nn.Flatten())
        self.fc_mu, self.fc_var = nn.Linear(d, k), nn.Linear(d, k)
        self.decoder = nn.Sequential(plain.from_code, plain.up)


def kld(mu: Tensor, log_var: Tensor) -> Tensor:
    """Return the divergence from N(0, 1) of each sample, summed over its units."""
    return -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)


def squared(x_hat: Tensor, x: Tensor) -> Tensor:
    """Return the squared error of each sample, summed over its values."""
    return (x_hat - x).square().flatten(1).sum(1)
