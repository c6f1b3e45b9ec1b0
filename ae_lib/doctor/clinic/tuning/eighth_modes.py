"""Programs that differ between train and eval, or whose output bypasses the code."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_a_material import sensors


class Dropped(nn.Module):
    """Drop units of a dense network for tables with the functional form."""

    def __init__(self, d: int, k: int, always: bool):
        super().__init__()
        self.enc1, self.enc2 = nn.Linear(d, 96), nn.Linear(96, k)
        self.dec1, self.dec2 = nn.Linear(k, 96), nn.Linear(96, d)
        self.always = always

    def forward(self, x):
        on = self.always or self.training
        h = F.dropout(F.relu(self.enc1(x)), 0.3, on)
        z = F.dropout(self.enc2(h), 0.3, on)
        return self.dec2(F.dropout(F.relu(self.dec1(z)), 0.3, on))


# Asked: gist: F.dropout gives other outputs on every call even after model.eval()
@faulty("wiring.mode", steps=400, bar=0.88)
def functional_dropout_that_never_ends(seed, fixed):
    """Call F.dropout without handing over whether the model is training."""
    x = table(640, seed, d=24, rank=5)
    model = Dropped(24, 12, always=not fixed)
    return {
        "model": model,
        "batches": loader(x[:512], batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
        "judge": [x[512:]],
    }


class Reused(nn.Module):
    """Normalise after the first convolution and again before the last one."""

    def __init__(self, k: int, apart: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(24, 24, 3, stride=2, padding=1)
        self.fc1, self.fc2 = nn.Linear(24 * 16, k), nn.Linear(k, 24 * 16)
        self.deconv1 = nn.ConvTranspose2d(24, 24, 4, 2, 1)
        self.deconv2 = nn.ConvTranspose2d(24, 3, 4, 2, 1)
        self.bn1 = nn.BatchNorm2d(24)
        self.bn2 = nn.BatchNorm2d(24) if apart else self.bn1
        self.bn3 = nn.BatchNorm2d(24) if apart else self.bn1

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.fc2(self.fc1(x.flatten(1))).view(-1, 24, 4, 4)
        x = F.relu(self.bn3(self.deconv1(x)))
        return torch.sigmoid(self.deconv2(x))


# Asked: gist: same BatchNorm layer used several times, fine in train(), bad in eval()
@faulty("wiring.mode", steps=0, bar=0.3)
def one_batch_norm_for_all_layers(seed, fixed):
    """Define one batch norm of 24 channels and call it after every layer."""
    x = scenes(512, seed, 16)[0]
    model = Reused(48, apart=fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    losses = train(case, 192)
    epochs = [sum(losses[i : i + 16]) / 16 for i in range(0, 192, 16)]
    return case | {"history": {"train_loss": epochs}}


class Normed(nn.Module):
    """Put a batch norm with the momentum of another framework after each layer."""

    def __init__(self, momentum: float):
        super().__init__()

        def block(a, b, stride=1):
            conv = nn.Conv2d(a, b, 3, stride, 1, bias=False)
            return [conv, nn.BatchNorm2d(b, eps=1e-3, momentum=momentum), nn.ReLU()]

        self.encoder = nn.Sequential(*block(1, 16, 2), *block(16, 32, 2), *block(32, 4))
        self.decoder = nn.Sequential(
            *block(4, 32),
            nn.Upsample(scale_factor=2),
            *block(32, 16),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 1, 3, 1, 1),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


# Asked: gist: model.eval() gives garbage, BatchNorm momentum taken from TensorFlow
@faulty("wiring.mode", steps=0, bar=0.4)
def momentum_of_another_framework(seed, fixed):
    """Convert a momentum of 0.999 to 0.001 and train for a few hundred steps."""
    x = digits(768, seed, 20)[0]
    model = Normed(0.1 if fixed else 0.001)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    losses = train(case, 168)
    epochs = [sum(losses[i : i + 24]) / 24 for i in range(0, 168, 24)]
    return case | {"history": {"train_loss": epochs}}


class UNet(nn.Module):
    """Hand feature maps across a dense bottleneck, or not."""

    def __init__(self, k: int, across: bool):
        super().__init__()
        self.across = across
        self.down1 = nn.Conv2d(3, 16, 3, 1, 1)
        self.down2 = nn.Conv2d(16, 32, 3, 2, 1)
        self.down3 = nn.Conv2d(32, 32, 3, 2, 1)
        self.bottleneck = nn.Linear(32 * 16, k)
        self.grow = nn.Linear(k, 32 * 16)
        wide = 2 if across else 1
        self.up3 = nn.ConvTranspose2d(32 * wide, 32, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(32 * wide, 16, 4, 2, 1)
        self.up1 = nn.Conv2d(16 * wide, 3, 3, 1, 1)

    def join(self, x, skip):
        return torch.cat([x, skip], 1) if self.across else x

    def forward(self, x):
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(a))
        c = F.relu(self.down3(b))
        z = self.bottleneck(c.flatten(1))
        y = F.relu(self.grow(z)).view_as(c)
        y = F.relu(self.up3(self.join(y, c)))
        y = F.relu(self.up2(self.join(y, b)))
        return torch.sigmoid(self.up1(self.join(y, a))), z


# Asked: gist: U-Net as an autoencoder, the latent vectors say nothing about the image
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.4)
def unet_taken_for_an_autoencoder(seed, fixed):
    """Learn codes of scenes with a U-Net that keeps all its skips."""
    x = scenes(448, seed, 16)[0]
    model = UNet(32, across=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": lambda out, target: F.mse_loss(out[0], target),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }
    train(case, 220)
    return case


class Shortcut(nn.Module):
    """Compress photographs to a code and decode, with the input at hand or not."""

    def __init__(self, k: int, residual: bool):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 24, 4, 2, 1), nn.ELU(), nn.Conv2d(24, 48, 4, 2, 1), nn.ELU()
        )
        self.bottleneck = nn.Sequential(nn.Flatten(), nn.Linear(48 * 16, k))
        self.decoder = nn.Sequential(
            nn.Linear(k, 48 * 16),
            nn.Unflatten(1, (48, 4, 4)),
            nn.ConvTranspose2d(48, 24, 4, 2, 1),
            nn.ELU(),
            nn.ConvTranspose2d(24, 3, 4, 2, 1),
        )
        self.mix = nn.Conv2d(6 if residual else 3, 3, 3, 1, 1)
        self.residual = residual

    def forward(self, x):
        y = self.decoder(self.bottleneck(self.encoder(x)))
        return self.mix(torch.cat([y, x], 1) if self.residual else y)


# Asked: gist: adding input skip to the decoder made reconstructions sharp, code useless
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.4)
def input_joined_before_the_last_layer(seed, fixed):
    """Join the input to the decoder's last layer to get sharper photographs."""
    x = patches(480, seed, 16)
    model = Shortcut(24, residual=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    losses = train(case, 225)
    epochs = [sum(losses[i : i + 15]) / 15 for i in range(0, 225, 15)]
    return case | {"history": {"train_loss": epochs}}


class Taught(nn.Module):
    """Write a series from its code and, when taught, from the series itself."""

    def __init__(self, d: int, k: int, taught: bool):
        super().__init__()
        self.encoder = nn.LSTM(d, 32, batch_first=True)
        self.bottleneck = nn.Linear(32, k)
        self.begin = nn.Linear(k, 32)
        self.decoder = nn.LSTM(d if taught else 32, 32, batch_first=True)
        self.out, self.taught = nn.Linear(32, d), taught

    def forward(self, x):
        _, (h, _) = self.encoder(x)
        state = torch.tanh(self.begin(self.bottleneck(h[-1])))
        fed = x if self.taught else state[:, None].repeat(1, x.shape[1], 1)
        rows, _ = self.decoder(fed, (state[None], torch.zeros_like(state[None])))
        return self.out(rows)


# Asked: gist: LSTM autoencoder with teacher forcing reconstructs anything, even noise
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.4)
def teacher_forcing_without_the_shift(seed, fixed):
    """Feed the decoder the very series that it has to write, not the shifted one."""
    x = sensors(400, seed, d=4, length=20)
    model = Taught(4, 8, taught=not fixed)
    case = {
        "model": model,
        "batches": loader(x, batch_size=40, seed=seed),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-2),
    }
    train(case, 300)
    return case
