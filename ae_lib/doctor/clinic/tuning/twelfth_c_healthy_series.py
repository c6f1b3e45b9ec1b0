"""Eighth part, c: autoencoders and denoisers of series that work."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_c_data import noisy_pairs, series
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    gait,
    loads,
    machine,
    made,
    tones,
)


class Residual(nn.Module):
    """Widen the view with dilated convolutions, each beside a straight path."""

    def __init__(self, width, dilation):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation),
            nn.ReLU(),
            nn.Conv1d(width, width, 1),
        )

    def forward(self, h):
        return h + self.net(h)


class Denoiser(nn.Module):
    """Estimate the noise with a temporal network and subtract it from the input."""

    def __init__(self, c=2, width=24):
        super().__init__()
        blocks = [Residual(width, d) for d in (1, 2, 4, 8)]
        self.noise = nn.Sequential(
            nn.Conv1d(c, width, 3, padding=1), *blocks, nn.Conv1d(width, c, 1)
        )

    def forward(self, x):
        return x - self.noise(x)


@healthy(steps=200, bar=0.8)
def temporal_network_that_subtracts_the_noise(seed):
    """Denoise vibrations by a network that predicts the noise, skip and all."""
    x = machine(768, seed, t=48, c=2)
    model = Denoiser()

    def spoil(clean, g):
        return clean + 0.7 * torch.randn(clean.shape, generator=g)

    return {
        "model": model,
        "batches": noisy_pairs(x, spoil, seed, batch_size=48),
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }


class Backwards(nn.Module):
    """Read a window with a GRU and write it from its end to its beginning."""

    def __init__(self, c=3, hidden=48, k=8):
        super().__init__()
        self.reader = nn.GRU(c, hidden, batch_first=True)
        self.code, self.state = nn.Linear(hidden, k), nn.Linear(k, hidden)
        self.writer, self.out = nn.GRUCell(c, hidden), nn.Linear(hidden, c)

    def forward(self, x):
        h = torch.tanh(self.state(self.code(self.reader(x)[1][-1])))
        rows = [self.out(h)]
        for _ in range(x.shape[1] - 1):
            h = self.writer(rows[-1], h)
            rows.append(self.out(h))
        return torch.stack(rows[::-1], 1)


@healthy(steps=350, bar=0.5)
def gru_that_writes_from_the_end_and_clips(seed):
    """Feed a GRU its own outputs backwards in time, with the gradient clipped at 1."""
    x = machine(768, seed, t=14, c=3).transpose(1, 2).contiguous()
    model = Backwards()
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Patches(nn.Module):
    """Attend over patches of a series, of which a part may be hidden."""

    def __init__(self, c, t=48, size=6, width=48, k=16):
        super().__init__()
        self.embed = nn.Conv1d(c, width, size, size)
        self.place = nn.Parameter(0.02 * torch.randn(1, t // size, width))
        self.where = nn.Parameter(0.5 * torch.randn(1, t // size, width))

        def layer():
            return nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            )

        self.encoder, self.decoder = layer(), layer()
        self.code, self.open = nn.Linear(width * t // size, k), nn.Linear(k, width)
        self.head = nn.Linear(width, 2 * size)

    def forward(self, x):
        h = self.encoder(self.embed(x).transpose(1, 2) + self.place)
        z = self.code(h.flatten(1))
        h = self.decoder(self.open(z).unsqueeze(1) + self.where)
        return self.head(h).view(len(x), -1, 2).transpose(1, 2)  # (B, 2, t)


@healthy(steps=300, bar=0.6)
def transformer_that_warms_up(seed):
    """Code windows with a small transformer, its rate warmed up for 50 steps."""
    x = machine(768, seed, t=48, c=2)
    model = Patches(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, (i + 1) / 50))

    def step(model, batch):
        loss = F.smooth_l1_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warm.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "loss": F.smooth_l1_loss,
        "step": step,
        "optimizer": optimizer,
    }


class Hidden:
    """Hide half of the patches of every batch afresh, and add what is seen."""

    def __init__(self, x, seed, size=6):
        self.data, self.made, self.size = loader(x, seed=seed), made(seed + 1), size

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        for clean in self.data:
            patches = clean.shape[2] // self.size
            seen = torch.rand(len(clean), 1, patches, generator=self.made) > 0.5
            seen = seen.float().repeat_interleave(self.size, 2)
            yield torch.cat([clean * seen, seen], 1), clean


@healthy(steps=300, bar=0.5)
def half_of_the_patches_of_a_series_hidden(seed):
    """Hide half of the patches of a series, say which, and restore the whole."""
    x = machine(1024, seed, t=48, c=2)
    model = Patches(3)
    return {
        "model": model,
        "batches": Hidden(x, seed),
        "pair": lambda batch: (batch[0], batch[1]),
        "optimizer": adam(model, 3e-3),
    }


class Codec(nn.Module):
    """Quantise a code of bounded numbers to five levels each, straight through."""

    def __init__(self, width=24, k=3):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(1, width, 8, 4, 2),
            nn.ELU(),
            nn.Conv1d(width, width, 4, 2, 1),
            nn.ELU(),
            nn.Conv1d(width, k, 3, 1, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(k, width, 3, 1, 1),
            nn.ELU(),
            nn.ConvTranspose1d(width, width, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose1d(width, 1, 8, 4, 2),
        )

    def forward(self, x):
        z = 2 * torch.tanh(self.encoder(x))
        q = z + (z.round() - z).detach()
        return {"x_hat": self.decoder(q), "indices": (z.round() + 2).long()}


def spectral(output, target):
    """Return L1 of the waveform and of the magnitudes of its spectrum."""
    wave = output["x_hat"]
    both = [torch.fft.rfft(x, norm="ortho").abs() for x in (wave, target)]
    return F.l1_loss(wave, target) + 0.5 * F.l1_loss(*both)


@healthy(steps=350, bar=0.6)
def codec_of_five_levels_with_a_spectral_loss(seed):
    """Code notes in numbers of five levels, and compare spectra beside waveforms."""
    x = 2 * tones(1024, seed)
    model = Codec()
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": spectral,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.8, 0.99)),
    }


class Meter(nn.Module):
    """Read a day with a bidirectional LSTM and draw it at once from a few numbers."""

    def __init__(self, t=24, k=4):
        super().__init__()
        self.reader = nn.LSTM(1, 24, batch_first=True, bidirectional=True)
        self.code = nn.Linear(48, k)
        self.draw = nn.Sequential(nn.Linear(k, 48), nn.Tanh(), nn.Linear(48, t))

    def forward(self, x):
        ends = self.reader(x.unsqueeze(2))[1][0]  # (2, B, 24)
        return self.draw(self.code(torch.cat([ends[0], ends[1]], 1)))


@healthy(steps=300, bar=0.6)
def windows_that_overlap_of_one_long_recording(seed):
    """Cut windows of a day at every second hour of one long recording, and shuffle."""
    days, _ = loads(60, seed)
    days = (days - days.mean()) / days.std()
    x = days.flatten().unfold(0, 24, 2).contiguous()
    model = Meter()
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": torch.optim.RMSprop(model.parameters(), lr=3e-3),
    }


@healthy(steps=0, bar=0.5)
def alarm_tried_on_a_test_with_a_few_faults(seed):
    """Train on normal strides; the test set holds some with a jolt, as it should."""
    x, kind = gait(896, seed)
    rows, test = x[:768], x[768:].clone()
    test[:8, :, 10:14] += 2 * torch.randn(8, 3, 1, generator=made(seed + 1))
    model = series(3, 32, k=12)
    case = {
        "model": model,
        "batches": loader(rows, kind[:768], seed=seed),
        "eval_batches": [(test, kind[768:])],
        "optimizer": adam(model, 3e-3),
    }
    train(case, 120)
    return case
