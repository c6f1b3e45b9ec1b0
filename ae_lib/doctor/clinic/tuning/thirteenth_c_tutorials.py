"""Ninth part, c: working image autoencoders as tutorials post them."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import made


@healthy(steps=350, bar=0.45)
def four_linear_layers_with_bce(seed):
    """Train 784-128-64-12 and back with a sigmoid, BCELoss and a weight decay."""
    x, y = digits(1024, seed)
    encoder = nn.Sequential(*stack((784, 128, 64)), nn.Linear(64, 12))
    decoder = nn.Sequential(*stack((12, 64, 128)), nn.Linear(128, 784), nn.Sigmoid())
    model = AE(encoder, decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    return {
        "model": model,
        "batches": loader(x.flatten(1), y, batch_size=64, seed=seed),
        "loss": nn.BCELoss(),
        "optimizer": optimizer,
    }


@healthy(steps=0, bar=0.5)
def digits_in_minus_one_to_one_with_tanh(seed):
    """Normalise digits with mean and deviation 0.5 and end the decoder in a tanh."""
    x, y = digits(1024, seed, size=20)
    x = (x - 0.5) / 0.5
    encoder = nn.Sequential(nn.Flatten(), *stack((400, 128, 64)), nn.Linear(64, 16))
    decoder = nn.Sequential(
        *stack((16, 64, 128)),
        nn.Linear(128, 400),
        nn.Tanh(),
        nn.Unflatten(1, (1, 20, 20)),
    )
    model = AE(encoder, decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": optimizer}
    train(case, 400)
    return case


@healthy(steps=250, bar=0.5)
def pooling_down_and_upsampling_back(seed):
    """Alternate convolutions with max pooling, and with nearest upsampling back."""
    x, _ = digits(768, seed, size=16)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 8, 3, padding=1),
        nn.ReLU(True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 4, 3, padding=1),  # (B, 4, 4, 4)
        nn.Conv2d(4, 8, 3, padding=1),
        nn.ReLU(True),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(True),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(16, 1, 3, padding=1),
        nn.Sigmoid(),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": adam(model, 5e-3),
    }


@healthy(steps=0, bar=0.5)
def transposed_mirror_of_three_convolutions(seed):
    """Undo three convolutions, the last as wide as the map, with transposed ones."""
    x, y = digits(512, seed)
    encoder = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 7),  # (B, 32, 1, 1)
    )
    decoder = nn.Sequential(
        nn.ConvTranspose2d(32, 16, 7),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )
    model = AE(encoder, decoder)
    case = {"model": model, "batches": loader(x, y, batch_size=32, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 5e-3)}
    train(case, 200)
    return case


@healthy(steps=250, bar=0.35)
def noise_added_inside_the_loop(seed):
    """Add noise of 0.3 to each batch, clip it to [0, 1], compare with the clean one."""
    x, _ = digits(768, seed, size=16)
    drawn = made(seed + 1)
    model = AE(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(256, 192),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(192, 32),
        ),
        nn.Sequential(
            nn.Linear(32, 192),
            nn.ReLU(),
            nn.Linear(192, 256),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 16, 16)),
        ),
    )
    optimizer = adam(model)

    def noisy(batch):
        noise = torch.randn(batch.shape, generator=drawn)
        return (batch + 0.3 * noise).clamp(0, 1), batch

    def step(model, batch):
        x, clean = noisy(batch)
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(model(x), clean)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
        "pair": noisy,
        "judge": [noisy(x)],
    }


class SigmoidCode(nn.Module):
    """Return the reconstruction and the hidden activations, in [0, 1]."""

    def __init__(self, d=256, hidden=64):
        super().__init__()
        self.encoder = nn.Linear(d, hidden)
        self.decoder = nn.Linear(hidden, d)

    def encode(self, x):
        return torch.sigmoid(self.encoder(x.flatten(1)))

    def forward(self, x):
        h = self.encode(x)
        return torch.sigmoid(self.decoder(h)).view_as(x), h


@healthy(steps=0, bar=0.4)
def mean_activation_held_at_a_tenth(seed):
    """Hold the mean of each hidden sigmoid near a tenth with a divergence."""
    x, y = digits(768, seed, size=16)
    model, rho = SigmoidCode(), 0.1

    def loss(output, target):
        recon, h = output
        mean = h.mean(0).clamp(1e-6, 1 - 1e-6)
        off = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        error = (recon - target).square().flatten(1).sum(1).mean() / 2
        return error + 0.1 * off.sum()

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model, 5e-3)}
    train(case, 500)
    return case


@healthy(steps=350, bar=0.4)
def contractive_with_the_closed_form(seed):
    """Penalise a sigmoid layer by the closed form of its Jacobian's squared norm."""
    x, _ = digits(768, seed, size=16)
    model = SigmoidCode(hidden=48)

    def loss(output, target):
        recon, h = output
        slope = (h * (1 - h)).square()  # (B, 48)
        rows = model.encoder.weight.square().sum(1)  # (48,)
        error = (recon - target).square().flatten(1).sum(1).mean()
        return error + 0.05 * (slope @ rows).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 5e-3),
    }


@healthy(steps=0, bar=0.5)
def trained_layer_by_layer_then_together(seed):
    """Train one layer at a time, each on the codes of the last, then all together."""
    x, _ = digits(768, seed, size=16)
    x = x.flatten(1)
    downs = [nn.Linear(256, 96), nn.Linear(96, 20)]
    ups = [nn.Linear(96, 256), nn.Linear(20, 96)]
    rows = x
    for down, up in zip(downs, ups, strict=True):
        pair = nn.Sequential(down, nn.Tanh(), up)
        train({"model": pair, "batches": loader(rows, seed=seed)}, 120)
        with torch.no_grad():
            rows = torch.tanh(down(rows))
    encoder = nn.Sequential(downs[0], nn.Tanh(), downs[1], nn.Tanh())
    model = AE(encoder, nn.Sequential(ups[1], nn.Tanh(), ups[0]))
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 1e-3)}
    train(case, 200)
    return case
