"""First weights that are far off, and networks without a non-linearity."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import bumps, chords, spectra


class Seq2Vec2Seq(nn.Module):
    """Encode a series with an LSTM and unroll another one from its last state."""

    def __init__(self, hidden=24):
        super().__init__()
        self.encoder = nn.LSTM(4, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 4)

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        repeated = h[-1].unsqueeze(1).expand(-1, x.shape[1], -1)
        return self.out(self.decoder(repeated)[0])


@faulty(
    "signal.init-scale",
    accepts=("signal.common-mode", "signal.saturated"),
    steps=300,
    bar=0.3,
)
def every_lstm_weight_uniform(seed, fixed):
    """Draw all weights of two LSTMs by uniform_() without bounds, from 0 to 1."""
    x = chords(512, seed, 48, tones=2).unfold(1, 4, 4)  # (B, 12, 4)
    model = Seq2Vec2Seq()
    if not fixed:
        for parameter in model.parameters():
            nn.init.uniform_(parameter)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


def wide_normal(module):
    """Initialise as in the GAN tutorial, but leave out the standard deviation."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight)
        nn.init.zeros_(module.bias)


@faulty("signal.init-scale", accepts=("signal.saturated",), steps=120, bar=0.4)
def conv_weights_of_one(seed, fixed):
    """Call normal_ on the convolutions and forget the standard deviation of 0.02."""
    model = conv((3, 16, 16), 32, act=nn.ELU)
    if not fixed:
        model.apply(wide_normal)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


@faulty("signal.init-scale", accepts=("signal.common-mode",), steps=250, bar=0.75)
def constant_weights_everywhere(seed, fixed):
    """Fill every weight matrix of a table autoencoder with 0.05 to be reproducible."""
    model = dense((24,), (48,), 6, act=nn.Tanh, last=None)
    if not fixed:
        for layer in [*model.encoder, *model.decoder]:
            if isinstance(layer, nn.Linear):
                nn.init.constant_(layer.weight, 0.05)
    data = loader(table(512, seed, d=24), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.init-scale", accepts=("step.too-small",), steps=250, bar=0.4)
def tiny_gaussian_in_six_layers(seed, fixed):
    """Draw the weights of six tanh layers with standard deviation 0.001."""
    model = dense((1, 8, 8), (64, 48, 32), 12, act=nn.Tanh, last=None)
    for layer in [*model.encoder, *model.decoder]:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
            if not fixed:
                nn.init.normal_(layer.weight, 0, 0.001)
    x, _ = digits(512, seed, size=8)
    optimizer = torch.optim.SGD(model.parameters(), 0.2 * 8, momentum=0.9)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


class ForgottenActivation(nn.Module):
    """Call relu and drop what it returns."""

    def __init__(self, kept, k=2):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(256, 96), nn.Linear(96, k)
        self.fc3, self.fc4 = nn.Linear(k, 96), nn.Linear(96, 256)
        self.kept = kept

    def act(self, x):
        y = F.relu(x)
        return y if self.kept else x

    def forward(self, x):
        h = self.act(self.fc1(x.flatten(1)))
        z = self.act(self.fc3(self.fc2(h)))
        return self.fc4(z).view_as(x), h


@faulty("signal.linear", accepts=("code.too-small",), steps=700, bar=0.7)
def relu_called_and_dropped(seed, fixed):
    """Write F.relu(x) on a line of its own and go on with x."""
    model = ForgottenActivation(fixed)
    data = loader(bumps(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


# Asked: https://github.com/PantoMatrix/PantoMatrix/issues/52
@faulty("signal.linear", accepts=("code.too-small",), steps=800, bar=0.68)
def leaky_relu_with_true(seed, fixed):
    """Write nn.LeakyReLU(True) for in-place, which sets the negative slope to one."""

    def act():
        return nn.LeakyReLU(0.1, True) if fixed else nn.LeakyReLU(True)

    model = dense((48,), (64, 64), 3, act=act, last=None)
    data = loader(spectra(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("signal.linear", accepts=("code.too-small",), steps=800, bar=0.75)
def stacked_convolutions_only(seed, fixed):
    """Stack convolutions over a ring of sensors with no activation in between."""
    act = nn.GELU if fixed else nn.Identity
    place = torch.rand(512, 1, generator=torch.Generator().manual_seed(seed))
    ring = torch.arange(32) / 32
    x = torch.exp(6 * (torch.cos(2 * torch.pi * (ring - place)) - 1)).unsqueeze(1)
    encoder = nn.Sequential(
        nn.Conv1d(1, 12, 4, 2, 1),
        act(),
        nn.Conv1d(12, 12, 4, 2, 1),
        act(),
        nn.Flatten(),
        nn.Linear(96, 2),
    )
    decoder = nn.Sequential(
        nn.Linear(2, 96),
        act(),
        nn.Unflatten(1, (12, 8)),
        nn.ConvTranspose1d(12, 12, 4, 2, 1),
        act(),
        nn.ConvTranspose1d(12, 1, 4, 2, 1),
    )
    model = AE(encoder, decoder)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 4e-3),
    }
