"""Programs about the size of the code and the upsampling of the decoder."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import logbook, tumours


class PooledAutoencoder(nn.Module):
    """Pool until one pixel is left, and upsample again."""

    def __init__(self, channels=3):
        super().__init__()
        self.down1 = nn.Conv2d(1, 12, 3, padding=1)
        self.down2 = nn.Conv2d(12, 24, 3, padding=1)
        self.down3 = nn.Conv2d(24, channels, 4)
        self.up1 = nn.ConvTranspose2d(channels, 24, 4)
        self.up2 = nn.Conv2d(24, 12, 3, padding=1)
        self.up3 = nn.Conv2d(12, 1, 3, padding=1)

    def encode(self, x: Tensor) -> Tensor:
        h = F.max_pool2d(F.relu(self.down1(x)), 2)
        h = F.max_pool2d(F.relu(self.down2(h)), 2)
        return self.down3(h)

    def decode(self, z: Tensor) -> Tensor:
        h = F.relu(self.up1(z))
        h = F.relu(self.up2(F.interpolate(h, scale_factor=2)))
        return torch.sigmoid(self.up3(F.interpolate(h, scale_factor=2)))

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


# Asked: convolutional autoencoder reconstructs only blobs, digits cannot be read
@faulty("code.too-small", accepts=("fit.blurry",), steps=0, bar=0.62)
def digit_in_three_numbers(seed, fixed):
    """Pool digits down to one pixel of three channels."""
    x, _ = digits(512, seed, 16)
    model = PooledAutoencoder(32 if fixed else 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 220)
    return case


# Asked: two latent dimensions for a scatter plot, reconstruction of a table is poor
@faulty("code.too-small", steps=300, bar=0.8)
def two_numbers_for_a_plot_of_a_table(seed, fixed):
    """Compress thirty measurements to two for a scatter plot, then use the output."""
    x, _ = tumours(seed)
    model = dense((30,), (48,), k=12 if fixed else 2, act=nn.ELU, last=None)
    batches = loader(x, batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "optimizer": adam(model, 3e-3),
        "loss": nn.MSELoss(),
    }


class SensorAutoencoder(nn.Module):
    """Dense layers for a row of sensors, for finding anomalies."""

    def __init__(self, n_in, hidden, latent):
        super().__init__()
        self.enc1 = nn.Linear(n_in, hidden)
        self.enc2 = nn.Linear(hidden, latent)
        self.dec1 = nn.Linear(latent, hidden)
        self.dec2 = nn.Linear(hidden, n_in)

    def encode(self, x: Tensor) -> Tensor:
        return self.enc2(F.leaky_relu(self.enc1(x), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        return self.dec2(F.leaky_relu(self.dec1(self.encode(x)), 0.2))


# Asked: https://arxiv.org/html/2501.13864v1 (gist: anomalies come back perfectly)
@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.5)
def anomaly_detector_wider_than_its_rows(seed, fixed):
    """Widen a detector of anomalies from layer to layer, for more is better."""
    x = table(640, seed, 16, rank=12)
    model = SensorAutoencoder(16, 64, 4) if fixed else SensorAutoencoder(16, 96, 64)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    x, held = x[:512], x[512:]
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    history = logbook(case, 60, held)
    return {**case, "history": history}


class SameSizeAutoencoder(nn.Module):
    """Convolutions at full resolution."""

    def __init__(self, shrink):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(12, 12, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(12, 12, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(12, 1, 3, padding=1),
        )
        if shrink:
            self.encoder.extend([nn.Flatten(), nn.Linear(14 * 14 * 12, 16)])
            self.decoder.insert(0, nn.Linear(16, 14 * 14 * 12))
            self.decoder.insert(1, nn.Unflatten(1, (12, 14, 14)))
            self.decoder.insert(2, nn.LeakyReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: loss is almost zero after one epoch and every unknown picture comes back too
@faulty("code.identity", steps=0, measure=measures.refuses_noise, bar=0.8)
def convolutions_that_keep_the_size(seed, fixed):
    """Use padding="same" everywhere and never pool, so that the code is larger."""
    x, _ = digits(512, seed, 14)
    model = SameSizeAutoencoder(shrink=fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 250)
    return case


def decoder_of_odd_kernels() -> nn.Sequential:
    """Return transposed convolutions of kernel 3 and stride 2."""
    return nn.Sequential(
        nn.Linear(24, 32 * 16),
        nn.ReLU(),
        nn.Unflatten(1, (32, 4, 4)),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 3, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )


def decoder_of_resizing() -> nn.Sequential:
    """Return resizing and convolutions."""
    return nn.Sequential(
        nn.Linear(24, 32 * 16),
        nn.ReLU(),
        nn.Unflatten(1, (32, 4, 4)),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(32, 16, 3, padding=1),
        nn.ReLU(),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(16, 3, 3, padding=1),
        nn.Sigmoid(),
    )


class PhotoAutoencoder(nn.Module):
    """Strided convolutions, a code and a decoder of choice."""

    def __init__(self, decoder):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 16, 24),
        )
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: https://community.deeplearning.ai/t/tranposed-convolutions/83524 (gist)
@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.3)
def odd_kernels_behind_even_strides(seed, fixed):
    """Upsample with transposed convolutions whose kernel the stride does not divide."""
    x = F.avg_pool2d(patches(448, seed, 18), 3, 1)
    model = PhotoAutoencoder(
        decoder_of_resizing() if fixed else decoder_of_odd_kernels()
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 150)
    return case


class HalvingAutoencoder(nn.Module):
    """Halve the picture twice, and double it again."""

    def __init__(self, up):
        super().__init__()
        self.enc1 = nn.Conv2d(3, 16, 5, stride=2, padding=2)
        self.enc2 = nn.Conv2d(16, 8, 5, stride=2, padding=2)
        self.dec1 = up(8, 16)
        self.dec2 = up(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.enc2(F.relu(self.enc1(x))))
        h = F.relu(self.dec1(z))
        return self.dec2(h)


def up_by_transpose(a, b) -> nn.Module:
    """Double the size with a transposed convolution of kernel 5."""
    return nn.ConvTranspose2d(a, b, 5, stride=2, padding=2, output_padding=1)


def up_by_resize(a, b) -> nn.Module:
    """Double the size by interpolation, and convolve."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(a, b, 5, padding=2)
    )


# Asked: grid pattern in the restored pictures that does not go away with training
@faulty("decoder.checkerboard", steps=0, measure=measures.no_grid, bar=-0.3)
def kernel_of_five_at_stride_two(seed, fixed):
    """Double the size with kernels of five, as the first DCGAN did."""
    x = F.avg_pool2d(patches(384, seed, 28), 5, 1)
    model = HalvingAutoencoder(up_by_resize if fixed else up_by_transpose)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 100)
    return case
