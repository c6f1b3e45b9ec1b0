"""Ninth part, a: sound and series that work, though something looks unusual."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    days,
    gait,
    made,
    mels,
    tones,
    turbine,
)


class Frames(nn.Module):
    """Squeeze an audio frame with strided, gated convolutions along time."""

    def __init__(self, k=12, width=16):
        super().__init__()
        self.down = nn.ModuleList(
            [nn.Conv1d(1, 2 * width, 9, 4, 4), nn.Conv1d(width, 2 * width, 9, 4, 4)]
        )
        self.code = nn.Linear(8 * width, k)
        self.wide = nn.Linear(k, 8 * width)
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=4),
            nn.Conv1d(width, width, 9, 1, 4),
            nn.GELU(),
            nn.Upsample(scale_factor=4),
            nn.Conv1d(width, width, 9, 1, 4),
            nn.GELU(),
            nn.Conv1d(width, 1, 9, 1, 4),
            nn.Tanh(),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = x.unsqueeze(1)
        for layer in self.down:
            h = F.glu(layer(h), 1)
        z = self.code(h.flatten(1))
        return self.up(F.gelu(self.wide(z)).view(len(x), -1, 8)).squeeze(1)


def _spectrum(x: Tensor, width: int) -> Tensor:
    window = torch.hann_window(width)
    return torch.stft(x, width, width // 4, window=window, return_complex=True).abs()


@healthy(steps=300, bar=0.6)
def plucked_tones_by_wave_and_spectrum(seed):
    """Compare sound by L1 on the wave and on two spectrograms, with tanh at the end."""
    x = tones(1024, seed)
    model = Frames()

    def loss(output, target):
        total = 5 * F.l1_loss(output, target)
        for width in (16, 64):
            a, b = _spectrum(output, width), _spectrum(target, width)
            total = total + F.l1_loss(a, b)
        return total

    return {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "eval_batches": loader(x[896:], shuffle=False),
        "loss": loss,
        "optimizer": torch.optim.AdamW(model.parameters(), 4e-3, betas=(0.8, 0.99)),
    }


class Block(nn.Module):
    """Mix each channel over bands and frames, then the channels, beside a skip."""

    def __init__(self, c):
        super().__init__()
        self.spread = nn.Conv2d(c, c, 5, 1, 2, groups=c)
        self.norm = nn.GroupNorm(1, c)
        self.mix = nn.Sequential(nn.Conv2d(c, 2 * c, 1), nn.GELU())
        self.back = nn.Conv2d(2 * c, c, 1)
        self.gain = nn.Parameter(torch.full((c, 1, 1), 1e-2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gain * self.back(self.mix(self.norm(self.spread(x))))


@healthy(steps=250, bar=0.6)
def speechlike_mels_with_layer_scale(seed):
    """Encode log-mel patches with depthwise blocks whose branches start at 0.01."""
    x = mels(896, seed)
    model = nn.Sequential(
        nn.Conv2d(1, 24, 4, 4),
        Block(24),
        Block(24),
        nn.Conv2d(24, 4, 2, 2),
        nn.Flatten(),
        nn.Linear(16, 16),
        nn.Linear(16, 24 * 16),
        nn.Unflatten(1, (24, 4, 4)),
        Block(24),
        Block(24),
        nn.ConvTranspose2d(24, 1, 4, 4),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=1e-3),
    }


class Reverser(nn.Module):
    """Read a window forwards with an LSTM and write it backwards with another."""

    def __init__(self, c=5, hidden=64, k=10):
        super().__init__()
        self.encoder = nn.LSTM(c, hidden, batch_first=True)
        self.code = nn.Linear(hidden, k)
        self.h0, self.c0 = nn.Linear(k, hidden), nn.Linear(k, hidden)
        self.decoder = nn.LSTM(k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)

    def forward(self, x: Tensor) -> Tensor:
        z = self.code(self.encoder(x)[1][0][-1])
        state = torch.tanh(self.h0(z))[None], self.c0(z)[None]
        steps = z[:, None].expand(-1, x.shape[1], -1).contiguous()
        return self.head(self.decoder(steps, state)[0])


@healthy(steps=350, bar=0.4)
def windows_written_backwards(seed):
    """Let the decoder write the window in reverse order, last reading first."""
    x = turbine(1024, seed, t=16)
    model = Reverser()
    data = loader(x, seed=seed)
    return {
        "model": model,
        "batches": data,
        "pair": lambda batch: (batch, batch.flip(1)),
        "optimizer": torch.optim.Adam(model.parameters(), lr=8e-3),
        "judge": [(x, x.flip(1))],
    }


class Gapped(nn.Module):
    """Fill hidden patches of a window: tokens of four readings and a transformer."""

    def __init__(self, c=3, patch=4, t=48, dim=48):
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(c * patch, dim)
        self.place = nn.Parameter(0.02 * torch.randn(t // patch, dim))
        self.hidden = nn.Parameter(0.02 * torch.randn(dim))
        layer = nn.TransformerEncoderLayer(
            dim, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, c * patch))

    def forward(self, both: Tensor) -> Tensor:
        x, seen = both[:, :-1], both[:, -1, :: self.patch]  # (B, C, T), (B, T / patch)
        b, c, t = x.shape
        tokens = x.view(b, c, -1, self.patch).transpose(1, 2).flatten(2)
        h = torch.where(seen[..., None] > 0, self.embed(tokens), self.hidden)
        y = self.head(self.body(h + self.place))
        return y.view(b, -1, c, self.patch).transpose(1, 2).reshape(b, c, t)


@healthy(steps=400, bar=0.5)
def hidden_steps_of_walking_filled_in(seed):
    """Hide a third of the pieces of a walk, and learn all of it from the others."""
    x, g = gait(1024, seed), made(seed + 5)
    seen = (torch.rand(len(x), 1, 12, generator=g) > 0.34).float()
    seen = seen.repeat_interleave(4, 2)
    model = Gapped()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    return {
        "model": model,
        "batches": loader(torch.cat([x * seen, seen], 1), x, seed=seed),
        "pair": lambda batch: (batch[0], batch[1]),
        "optimizer": optimizer,
    }


class Levelled(nn.Module):
    """Take the level and spread of a window away, and give them back at the end."""

    def __init__(self, d=24, k=5):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 64), nn.SiLU(), nn.Linear(64, k))
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.SiLU(), nn.Linear(64, d))

    def forward(self, x: Tensor) -> Tensor:
        level, spread = x.mean(1, keepdim=True), x.std(1, keepdim=True) + 1e-5
        return self.decoder(self.encoder((x - level) / spread)) * spread + level


@healthy(steps=300, bar=0.7)
def daily_loads_levelled_in_the_model(seed):
    """Normalise each day inside of the model, as for series of drifting level."""
    x, weekend = days(1280, seed)
    model = Levelled()
    return {
        "model": model,
        "batches": loader(x, weekend, batch_size=128, seed=seed),
        "loss": nn.SmoothL1Loss(beta=0.2),
        "optimizer": torch.optim.NAdam(model.parameters(), lr=4e-3),
        "labels": weekend,
    }


class Quantiles(nn.Module):
    """Give three quantiles of every reading of a day; the middle one is x_hat."""

    def __init__(self, d=24, k=4):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 96), nn.ReLU(), nn.Linear(96, k))
        self.decoder = nn.Sequential(nn.Linear(k, 96), nn.ReLU())
        self.heads = nn.ModuleDict(
            {name: nn.Linear(96, d) for name in ("low", "recon", "high")}
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.decoder(self.encoder(x))
        return {name: head(h) for name, head in self.heads.items()}


@healthy(steps=350, bar=0.7)
def bands_around_daily_loads(seed):
    """Train the lower, middle and upper decile of a day with the pinball loss."""
    x, _ = days(1152, seed)
    x = x / 2
    model = Quantiles()

    def loss(output, target):
        total = torch.zeros(())
        for name, q in (("low", 0.1), ("recon", 0.5), ("high", 0.9)):
            e = target - output[name]
            total = total + torch.maximum(q * e, (q - 1) * e).mean()
        return total

    return {
        "model": model,
        "batches": loader(x[:1024], seed=seed),
        "eval_batches": [x[1024:]],
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
