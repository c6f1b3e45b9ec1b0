"""Healthy programs on series and spectra, as found before training."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, waves
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_e_material import beats, sensors, spectra


class SensorLSTM(nn.Module):
    """Summarise a window by the last hidden state and unroll it again."""

    def __init__(self, features, hidden=48, latent=8):
        super().__init__()
        self.encoder = nn.LSTM(features, hidden, batch_first=True)
        self.to_latent = nn.Linear(hidden, latent)
        self.decoder = nn.LSTM(latent, hidden, batch_first=True)
        self.output = nn.Linear(hidden, features)

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        z = self.to_latent(h[-1])  # (B, latent)
        h, _ = self.decoder(z[:, None].repeat(1, x.shape[1], 1))
        return self.output(h)


# Asked: https://www.codegenes.net/blog/lstm-autoencoder-pytorch
@healthy(steps=300, bar=0.4)
def sensor_windows_through_two_lstms(seed):
    """Reconstruct sensor windows with two LSTMs and clip the gradient norm to 1."""
    model = SensorLSTM(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def train_step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    data = loader(sensors(512, seed), seed=seed)
    case = {"model": model, "batches": data, "optimizer": optimizer}
    return {**case, "step": train_step}


class SpectrumNet(nn.Module):
    """Halve a spectrum twice by convolution and grow it again by interpolation."""

    def __init__(self, latent=10):
        super().__init__()
        self.c1 = nn.Conv1d(1, 16, 7, stride=2, padding=3)
        self.c2 = nn.Conv1d(16, 32, 5, stride=2, padding=2)
        self.fc = nn.Linear(32 * 24, latent)
        self.grow = nn.Linear(latent, 32 * 24)
        self.up = nn.Upsample(scale_factor=2, mode="linear")
        self.d1 = nn.Conv1d(32, 16, 5, padding=2)
        self.d2 = nn.Conv1d(16, 1, 7, padding=3)

    def forward(self, x):
        h = F.leaky_relu(self.c1(x), 0.1)
        h = F.leaky_relu(self.c2(h), 0.1)
        z = self.fc(h.flatten(1))
        h = F.leaky_relu(self.grow(z), 0.1).view(-1, 32, 24)
        h = F.leaky_relu(self.d1(self.up(h)), 0.1)
        return {"recon": self.d2(self.up(h)), "z": z}


@healthy(steps=200, bar=0.5)
def raman_spectra_with_smooth_l1(seed):
    """Compress Raman-like spectra with Conv1d layers under a smooth L1 loss."""
    model = SpectrumNet()

    def criterion(out, target):
        return F.smooth_l1_loss(out["recon"], target, beta=0.1)

    data = loader(spectra(512, seed)[:, None], batch_size=32, seed=seed)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return {"model": model, "batches": data, "loss": criterion, "optimizer": optimizer}


class PaddedGRU(nn.Module):
    """Encode series of unequal lengths; the padding is NaN-free zeros at the end."""

    def __init__(self, steps=24, features=4):
        super().__init__()
        self.gru = nn.GRU(features, 48, batch_first=True, bidirectional=True)
        self.code = nn.Linear(96, 10)
        self.head = nn.Sequential(
            nn.Linear(10, 96), nn.ELU(), nn.Linear(96, steps * features)
        )

    def forward(self, x):
        lengths = (x != 0).any(-1).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, h = self.gru(packed)
        z = self.code(torch.cat([h[0], h[1]], -1))
        return self.head(z).view_as(x) * (x != 0).any(-1, keepdim=True)


# Asked: https://apxml.com/courses/rnns-and-sequence-modeling/chapter-8-preparing-sequence-data/masking-padded-values
@healthy(steps=120, bar=0.45)
def unequal_lengths_packed_and_masked(seed):
    """Pack series of 12 to 24 steps and leave the padding out of the error."""
    x = sensors(512, seed)
    length = torch.randint(12, 25, (512, 1))
    x = x * (torch.arange(24) < length)[..., None]
    model = PaddedGRU()

    def masked_mse(output, target):
        mask = (target != 0).any(-1, keepdim=True).expand_as(target)
        return (output - target).square()[mask].mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": masked_mse}
    return {**case, "optimizer": optimizer}


class PatchTransformer(nn.Module):
    """Cut a series into eight tokens, mix them by attention, squeeze the lot."""

    def __init__(self, d=32):
        super().__init__()
        self.embed = nn.Linear(8, d)
        self.position = nn.Parameter(torch.randn(1, 8, d) * 0.02)
        layer = nn.TransformerEncoderLayer(
            d, 4, 64, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.squeeze = nn.Linear(8 * d, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 128), nn.GELU(), nn.Linear(128, 64))

    def forward(self, x):
        tokens = self.embed(x.view(-1, 8, 8)) + self.position
        return self.decoder(self.squeeze(self.encoder(tokens).flatten(1)))


@healthy(steps=250, bar=0.5)
def wave_tokens_through_attention(seed):
    """Encode waves with a small transformer on eight patches of eight samples."""
    model = PatchTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    data = loader(waves(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=250, bar=0.5)
def heartbeats_and_a_decoder_of_its_own_rate(seed):
    """Step Adam for the encoder and momentum SGD for the decoder of heartbeats."""
    x = beats(512, seed)
    x = (x - x.mean(0)) / x.std()
    encoder = nn.Sequential(nn.Linear(48, 64), nn.SiLU(), nn.Linear(64, 10))
    decoder = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 48))
    opt_enc = torch.optim.Adam(encoder.parameters(), lr=2e-3)
    opt_dec = torch.optim.SGD(decoder.parameters(), lr=0.2, momentum=0.9)

    def train_step(model, batch):
        opt_enc.zero_grad()
        opt_dec.zero_grad()
        loss = nn.functional.mse_loss(model(batch), batch)
        loss.backward()
        opt_enc.step()
        opt_dec.step()
        return loss.item()

    model = nn.Sequential(encoder, decoder)
    return {"model": model, "batches": loader(x, seed=seed), "step": train_step}
