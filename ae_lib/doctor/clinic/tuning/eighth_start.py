"""Programs with weights that cannot start, and networks without a bend."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, waves
from ae_lib.doctor.clinic.parts import adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import tumours


class TabularAutoencoder(nn.Module):
    """Dense layers for a table of measurements."""

    def __init__(self, n_features=30, latent=6):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_features, 24), nn.Tanh(), nn.Linear(24, latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 24), nn.Tanh(), nn.Linear(24, n_features)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: https://pages.dogdog.run/machine_learning/weight_initialization.html (gist)
@faulty("signal.init-scale", steps=300, bar=0.65)
def every_weight_starts_at_the_same_value(seed, fixed):
    """Set all weights to 0.05 and all biases to zero so that runs are repeatable."""
    x, _ = tumours(seed)
    model = TabularAutoencoder()
    if not fixed:
        for name, p in model.named_parameters():
            nn.init.constant_(p, 0.05 if name.endswith("weight") else 0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class PlainConvAutoencoder(nn.Module):
    """Convolutions without normalisation, linear output."""

    def __init__(self, latent=32):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, latent),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, 32 * 16),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(32, 16, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(16, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def weights_init_normal(m: nn.Module) -> None:
    """Draw weights from the standard normal distribution."""
    if isinstance(m, nn.Conv2d | nn.Linear):
        nn.init.normal_(m.weight)
        nn.init.zeros_(m.bias)


def weights_init_he(m: nn.Module) -> None:
    """Draw weights of He's scale."""
    if isinstance(m, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(m.bias)


# Asked: reconstruction loss in the millions from the first batch
@faulty("signal.init-scale", steps=150, bar=0.4)
def normal_weights_without_a_standard_deviation(seed, fixed):
    """Apply an initialiser that forgets the std argument of nn.init.normal_."""
    x, _ = scenes(512, seed)
    model = PlainConvAutoencoder()
    model.apply(weights_init_he if fixed else weights_init_normal)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": F.mse_loss,
        "optimizer": optimizer,
    }


def block(n_in, n_out, bend):
    """Return a linear layer, with a bend or without."""
    return (
        [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
        if bend
        else [nn.Linear(n_in, n_out)]
    )


class FunnelAutoencoder(nn.Module):
    """Six layers that narrow to a code of three numbers, and widen again."""

    def __init__(self, n_in, latent=3, bend=False):
        super().__init__()
        self.encoder = nn.Sequential(
            *block(n_in, 96, bend), *block(96, 48, bend), nn.Linear(48, latent)
        )
        self.decoder = nn.Sequential(
            *block(latent, 48, bend), *block(48, 96, bend), nn.Linear(96, n_in)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


# Asked: my deep autoencoder gives exactly the error of PCA, what is the depth for
@faulty("signal.linear", steps=500, bar=0.8)
def six_layers_that_equal_pca(seed, fixed):
    """List six nn.Linear in a row and expect more of them than of PCA."""
    x = waves(512, seed, 48)
    model = FunnelAutoencoder(48, bend=fixed)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


class ForgetfulConvAutoencoder(nn.Module):
    """Convolutions whose activations may be computed and dropped."""

    def __init__(self, latent=4, keep=False):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 4, stride=2, padding=1)
        self.fc = nn.Linear(24 * 9, latent)
        self.fc_up1 = nn.Linear(latent, 64)
        self.fc_up2 = nn.Linear(64, 24 * 9)
        self.deconv1 = nn.ConvTranspose2d(24, 12, 4, stride=2, padding=1)
        self.deconv2 = nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.keep = keep

    def act(self, h: Tensor) -> Tensor:
        if self.keep:
            return self.relu(h)
        self.relu(h)
        return h

    def encode(self, x: Tensor) -> Tensor:
        h = self.act(self.conv1(x))
        h = self.act(self.conv2(h))
        return self.fc(h.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.fc_up1(self.encode(x)))
        h = self.act(self.fc_up2(h)).view(-1, 24, 3, 3)
        h = self.act(self.deconv1(h))
        return self.deconv2(h)


# Asked: code review of a convolutional autoencoder that stops early at a high loss
@faulty("signal.linear", steps=400, bar=0.66)
def activations_called_without_an_assignment(seed, fixed):
    """Call self.relu(h) on a line of its own and go on with h."""
    x, _ = digits(512, seed, 12)
    model = ForgetfulConvAutoencoder(keep=fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}
