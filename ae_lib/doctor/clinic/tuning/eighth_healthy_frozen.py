"""Healthy programs: encoders and layers that are frozen on purpose."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, waves
from ae_lib.doctor.clinic.parts import conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import beats, fit, grey


class Encoder(nn.Module):
    """Strided convolutions with batch norm."""

    def __init__(self, k=32):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),
            nn.BatchNorm2d(24),
            nn.ReLU(),
        )
        self.fc = nn.Linear(24 * 4 * 4, k)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


class Decoder(nn.Module):
    """A dense layer and two transposed convolutions."""

    def __init__(self, k=32):
        super().__init__()
        self.fc = nn.Linear(k, 24 * 4 * 4)
        self.up1 = nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1)

    def forward(self, z):
        h = F.relu(self.fc(z)).view(-1, 24, 4, 4)
        return torch.sigmoid(self.up2(F.relu(self.up1(h))))


class Inverter(nn.Module):
    """A frozen encoder and a decoder that learns."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.encoder.requires_grad_(False)

    def train(self, mode=True):
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            z = self.encoder(x)
        return self.decoder(z)


def classifier_features(x, y, seed, epochs=4):
    """Train a classifier of digits and return its features."""
    encoder = Encoder()
    head = nn.Linear(32, 10)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=3e-3)
    for _ in range(epochs):
        for xb, yb in loader(x, y, seed=seed):
            optimizer.zero_grad()
            F.cross_entropy(head(F.relu(encoder(xb))), yb).backward()
            optimizer.step()
    return encoder


# Asked: https://github.com/jzenn/Image-AutoEncoder/issues/1
@healthy(steps=250, bar=0.5)
def pictures_rebuilt_from_classifier_features(seed):
    """Train only a decoder, on the frozen features of a digit classifier."""
    x, y = digits(1024, seed, 16)
    model = Inverter(classifier_features(x, y, seed), Decoder())
    optimizer = torch.optim.Adam(model.decoder.parameters(), lr=3e-3)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


# Asked: https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix/issues/1251
@healthy(steps=220, bar=0.5)
def encoder_frozen_decoder_started_afresh(seed):
    """Train a fresh decoder on the frozen encoder of a trained autoencoder."""
    x, _ = scenes(512, seed, 16)
    model = conv((3, 16, 16), k=48, width=12)
    batches = loader(x, batch_size=32, seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    fit({"model": model, "batches": batches, "optimizer": optimizer}, 14)
    for param in model.encoder.parameters():
        param.requires_grad = False
    for layer in model.decoder:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    trainable = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.Adam(trainable, lr=3e-3)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class PCAEncoder(nn.Module):
    """Whitened principal components of the data."""

    def __init__(self, x, k):
        super().__init__()
        _, s, v = torch.pca_lowrank(x, q=k, niter=6)
        self.register_buffer("mean", x.mean(0))
        self.register_buffer("basis", v / s * len(x) ** 0.5)

    def forward(self, x):
        return (x - self.mean) @ self.basis


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.85)
def whitened_components_into_a_dense_decoder(seed):
    """Use fixed whitened principal components as encoder and learn the decoder."""
    x = waves(768, seed, 64)
    model = nn.Sequential(
        PCAEncoder(x, 16),
        nn.Linear(16, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.5)
def first_filters_taken_over_and_kept(seed):
    """Keep the first convolution as it was learned on photographs, and trained on."""
    photos, x = grey(448, seed, 16), digits(1200, seed, 16)[0]
    model = conv((1, 16, 16), k=32, width=10)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(photos, batch_size=32, seed=seed)
    fit({"model": model, "batches": batches, "optimizer": optimizer}, 6)
    model.encoder[0].requires_grad_(False)
    groups = [
        {"params": model.encoder[1:].parameters(), "lr": 4e-3},
        {"params": model.decoder.parameters(), "lr": 6e-3},
    ]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)
    case = {
        "model": model,
        "batches": loader(x[:1088], seed=seed),
        "optimizer": optimizer,
    }
    return fit(case, 20, [x[1088:]], schedule=schedule)


class RandomFeatures(nn.Module):
    """A random layer and a linear read-out."""

    def __init__(self, d=96, width=400):
        super().__init__()
        self.projection = nn.Linear(d, width)
        nn.init.normal_(self.projection.weight, std=2 / d**0.5)
        self.projection.requires_grad_(False)
        self.readout = nn.Linear(width, d)

    def forward(self, x):
        h = torch.tanh(self.projection(x.flatten(1)))
        return self.readout(h).view_as(x)


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.7)
def extreme_learning_machine_of_beats(seed):
    """Leave the random first layer as it is; only the read-out learns."""
    clean = beats(768, seed)
    model = RandomFeatures()
    optimizer = torch.optim.Adam(model.readout.parameters(), lr=2e-3)

    def pair(batch):
        return batch + 0.1 * torch.randn_like(batch), batch

    batches = loader(clean, batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "optimizer": optimizer,
        "pair": pair,
        "judge": [pair(clean)],
    }
