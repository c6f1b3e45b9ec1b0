"""Programs whose parameters are not trained, or get the wrong gradient or none."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal

from ae_lib.doctor.clinic.material import digits, loader, scenes, standardise, waves
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_a_material import (
    PoolNet,
    Strided,
    sensors,
)


class Encoder(nn.Module):
    """Shrink an image to k numbers."""

    def __init__(self, k: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.fc = nn.Linear(32 * 16, k)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc(x.flatten(1))


class Decoder(nn.Module):
    """Grow an image from k numbers."""

    def __init__(self, k: int):
        super().__init__()
        self.fc = nn.Linear(k, 32 * 16)
        self.deconv1 = nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.deconv2 = nn.ConvTranspose2d(16, 3, 4, 2, 1)

    def forward(self, z):
        x = F.relu(self.fc(z)).view(-1, 32, 4, 4)
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(x))))


class Both(nn.Module):
    """Hold an encoder and a decoder that were written apart."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: https://github.com/zdebruine/MMVAE/issues/39
@faulty("wiring.unoptimised", steps=200, bar=0.45)
def only_the_encoder_was_handed_over(seed, fixed):
    """Give the optimizer the encoder's parameters and forget the decoder's."""
    x = scenes(512, seed, 16)[0]
    encoder, decoder = Encoder(48), Decoder(48)
    trained = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(trained if fixed else encoder.parameters(), lr=2e-3)
    return {
        "model": Both(encoder, decoder),
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class Chosen(nn.Module):
    """Make an encoder of as many layers as there are widths, and mirror it."""

    def __init__(self, widths, container):
        super().__init__()
        ways = [*zip(widths[:-1], widths[1:], strict=True)]
        self.encoder_layers = container([nn.Linear(a, b) for a, b in ways])
        layers = []
        for a, b in ways[::-1]:
            layers += [nn.Linear(b, a), nn.ReLU()]
        self.decoder = nn.Sequential(*layers[:-1])

    def forward(self, x):
        for layer in self.encoder_layers[:-1]:
            x = F.relu(layer(x))
        return self.decoder(self.encoder_layers[-1](x))


# Asked: gist: layers in a plain list do not show up in model.parameters()
@faulty("wiring.unoptimised", steps=400, bar=0.5)
def encoder_layers_in_a_plain_list(seed, fixed):
    """Keep the encoder's layers in a Python list instead of a ModuleList."""
    x = standardise(digits(640, seed, 14)[0].flatten(1))
    widths = (196, 96, 48, 10)
    model = Chosen(widths, nn.ModuleList if fixed else list)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


# Asked: gist: optimizer made first, then model.decoder replaced by a larger one
@faulty("wiring.unoptimised", steps=150, bar=0.4)
def decoder_exchanged_after_the_optimizer_was_made(seed, fixed):
    """Exchange the decoder for another one when the optimizer already exists."""
    x, y = digits(640, seed, 16)
    model = Strided(1, 16, k=20)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.decoder = nn.Sequential(
        nn.Linear(20, 100), nn.Tanh(), nn.Linear(100, 256), nn.Unflatten(1, (1, 16, 16))
    )
    if fixed:
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class DigitVAE(nn.Module):
    """Draw the code of flat digits from torch.distributions."""

    def __init__(self, d: int, k: int, draw: str):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, 160), nn.ReLU())
        self.mu, self.logvar = nn.Linear(160, k), nn.Linear(160, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 160), nn.ReLU(), nn.Linear(160, d), nn.Sigmoid()
        )
        self.draw = draw

    def forward(self, x):
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = getattr(Normal(mu, (0.5 * logvar).exp()), self.draw)()
        return self.decoder(z), mu, logvar


# Asked: gist: VAE with torch.distributions, sample or rsample
@faulty("wiring.no-gradient", steps=250, bar=0.35)
def code_drawn_by_sample(seed, fixed):
    """Draw the latent code with sample() of the distribution."""
    x = digits(640, seed, 16)[0].flatten(1)

    def loss(output, target):
        recon, mu, logvar = output
        kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).sum()
        return F.binary_cross_entropy(recon, target, reduction="sum") + kl

    model = DigitVAE(256, 10, "rsample" if fixed else "sample")
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }


class Seq2Seq(nn.Module):
    """Start the decoder of a series from the encoder's last state."""

    def __init__(self, d: int, hidden: int, cut: bool):
        super().__init__()
        self.encoder = nn.GRU(d, hidden, batch_first=True)
        self.decoder = nn.GRU(hidden, hidden, batch_first=True)
        self.out, self.cut = nn.Linear(hidden, d), cut

    def forward(self, x):
        _, state = self.encoder(x)
        if self.cut:
            state = state.detach()
        rows = state[-1][:, None].repeat(1, x.shape[1], 1)
        return self.out(self.decoder(rows)[0])


# Asked: gist: seq2seq autoencoder, hidden = hidden.detach() as in the language model
@faulty("wiring.no-gradient", steps=300, bar=0.75)
def state_detached_as_in_the_language_model(seed, fixed):
    """Detach the hidden state between encoder and decoder, as seen elsewhere."""
    x = sensors(400, seed, d=5, length=20)
    model = Seq2Seq(5, 24, cut=not fixed)
    return {
        "model": model,
        "batches": loader(x, batch_size=40, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3),
    }


class Binary(nn.Module):
    """Write an image as bits; `through` lets the gradient pass the rounding."""

    def __init__(self, bits: int, through: bool):
        super().__init__()
        self.encoder, self.decoder, self.through = Encoder(bits), Decoder(bits), through

    def forward(self, x):
        soft = torch.sigmoid(self.encoder(x))
        hard = torch.round(soft)
        if self.through:
            hard = soft + (hard - soft).detach()
        return self.decoder(hard)


# Asked: gist: autoencoder with a binary code, encoder weights do not change
@faulty("wiring.no-gradient", steps=250, bar=0.4)
def bits_by_rounding(seed, fixed):
    """Round the code to bits in the forward pass and train on."""
    x = scenes(512, seed, 16)[0]
    model = Binary(16, through=fixed)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


# Asked: gist: loss goes down, then up again; optimizer.zero_grad without parentheses
@faulty("wiring.zero-grad", steps=150, bar=0.3)
def zero_grad_without_its_parentheses(seed, fixed):
    """Name the method that clears the gradients and never call it."""
    x = scenes(448, seed, 24)[0]
    model = PoolNet(3, 24, k=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(model, batch):
        optimizer.zero_grad() if fixed else optimizer.zero_grad
        loss = F.binary_cross_entropy(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": step,
    }


# Asked: https://github.com/pytorch/pytorch/issues/47175
@faulty("wiring.zero-grad", steps=200, bar=0.4)
def cleared_between_backward_and_step(seed, fixed):
    """Clear the gradients after the backward pass and before the optimizer's step."""
    x = waves(700, seed, 64)
    model = Chosen((64, 32, 8), nn.ModuleList)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def train_step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        if fixed:
            optimizer.zero_grad()
        loss.backward()
        if not fixed:
            optimizer.zero_grad()
        optimizer.step()
        return float(loss.detach())

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": train_step,
    }


# Asked: https://github.com/gaozhihan/PreDiff/pull/33
@faulty("wiring.zero-grad", steps=200, bar=0.4)
def one_of_two_optimizers_is_cleared(seed, fixed):
    """Train with an optimizer for each half and clear only the encoder's."""
    x = digits(640, seed, 16)[0]
    model = Strided(1, 16, k=32)
    first = torch.optim.Adam(model.encoder.parameters(), lr=2e-3)
    second = torch.optim.Adam(model.decoder.parameters(), lr=2e-3)

    def step(model, batch):
        first.zero_grad()
        if fixed:
            second.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        first.step()
        second.step()
        return loss.item()

    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "step": step}
