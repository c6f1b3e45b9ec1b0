"""Healthy programs: series, by recurrent, convolutional and attentive networks."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, waves
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import (
    beats,
    fit,
    sensors,
)


class Encoder(nn.Module):
    """The last hidden state of an LSTM."""

    def __init__(self, n_features, embedding):
        super().__init__()
        self.rnn = nn.LSTM(n_features, embedding, batch_first=True)

    def forward(self, x):
        _, (hidden, _) = self.rnn(x)
        return hidden[-1]


class Decoder(nn.Module):
    """An LSTM that is given the code at every step."""

    def __init__(self, embedding, n_features, seq_len):
        super().__init__()
        self.seq_len = seq_len
        self.rnn = nn.LSTM(embedding, 48, batch_first=True)
        self.output_layer = nn.Linear(48, n_features)

    def forward(self, z):
        h, _ = self.rnn(z.unsqueeze(1).repeat(1, self.seq_len, 1))
        return self.output_layer(h)


class RecurrentAutoencoder(nn.Module):
    """A sequence to a vector and back."""

    def __init__(self, seq_len, n_features, embedding=32):
        super().__init__()
        self.encoder = Encoder(n_features, embedding)
        self.decoder = Decoder(embedding, n_features, seq_len)

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: after the list in doctor.md
@healthy(steps=260, bar=0.4)
def sequence_folded_into_its_last_state(seed):
    """Fold sensor windows into the last LSTM state and repeat it for the decoder."""
    x = sensors(512, seed, 20)
    model = RecurrentAutoencoder(20, 4)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class Backwards(nn.Module):
    """GRU halves; the decoder writes from the end."""

    def __init__(self, d=2, h=40, k=12):
        super().__init__()
        self.encoder = nn.GRU(d, h, batch_first=True)
        self.to_code = nn.Linear(h, k)
        self.to_state = nn.Linear(k, h)
        self.decoder = nn.GRU(k, h, batch_first=True)
        self.out = nn.Linear(h, d)

    def forward(self, x):
        _, h = self.encoder(x)
        code = self.to_code(h[-1])
        steps = code[:, None].repeat(1, x.shape[1], 1)
        y, _ = self.decoder(steps, torch.tanh(self.to_state(code))[None])
        return self.out(y).flip(1)


# Asked: after the list in doctor.md
@healthy(steps=220, bar=0.5)
def window_written_from_its_end(seed):
    """Let the recurrent decoder write the window from its end, then turn it round."""
    x = sensors(512, seed, 20, 2)
    model = Backwards()
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class ConvOverTime(nn.Module):
    """Convolutions along time."""

    def __init__(self, channels=4, k=24):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(channels, 16, 5, stride=2, padding=2),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Conv1d(16, 24, 5, stride=2, padding=2),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(192, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 192),
            nn.Unflatten(1, (24, 8)),
            nn.ReLU(),
            nn.ConvTranspose1d(24, 16, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose1d(16, channels, 4, stride=2, padding=1),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x.transpose(1, 2))).transpose(1, 2)


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.8)
def filters_along_the_time_axis(seed):
    """Trained filters along the time of sensor windows, axes swapped in and out."""
    x = sensors(704, seed)
    model = ConvOverTime()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 25)
    case = {
        "model": model,
        "batches": loader(x[:640], batch_size=32, seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 25, [x[640:]], schedule=schedule)


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def normal_beats_only_for_finding_faults(seed):
    """Train on normal beats only, judged on other normal beats, to find odd ones."""
    x = beats(704, seed)
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(96, 48),
        nn.ReLU(),
        nn.Linear(48, 12),
        nn.ReLU(),
        nn.Linear(12, 48),
        nn.ReLU(),
        nn.Linear(48, 96),
        nn.Unflatten(1, (1, 96)),
    )
    return {
        "model": model,
        "batches": loader(x[:576], batch_size=32, seed=seed),
        "loss": F.mse_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "eval_batches": loader(x[576:], batch_size=32, shuffle=False),
    }


class AttentivePool(nn.Module):
    """Pieces of a series through attention."""

    def __init__(self, d=64, width=24, k=12):
        super().__init__()
        self.lift = nn.Linear(4, width)
        self.place = nn.Parameter(0.1 * torch.randn(1, d // 4, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 48, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.pool = nn.Linear(width * d // 4, k)
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.GELU(), nn.Linear(64, d))

    def forward(self, x):
        h = self.lift(x.view(len(x), -1, 4)) + self.place
        return self.decoder(self.pool(self.encoder(h).flatten(1)))


# Asked: after the list in doctor.md
@healthy(steps=180, bar=0.6)
def pieces_of_a_wave_as_tokens(seed):
    """Cut waves into pieces of four values and encode them by attention."""
    x = waves(640, seed, 64)
    model = AttentivePool()
    warm = 30
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min(1.0, (i + 1) / warm)
    )

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": optimizer,
        "step": step,
    }
