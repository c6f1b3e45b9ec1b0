"""Programs whose signal is lost on the way: likeness, plateaus and dead units."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import alive


class DeepAutoencoder(nn.Module):
    """Nine fully connected layers for flattened digits."""

    def __init__(self, act):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(196, 128),
            act(),
            nn.Linear(128, 96),
            act(),
            nn.Linear(96, 64),
            act(),
            nn.Linear(64, 48),
            act(),
            nn.Linear(48, 16),
        )
        self.decoder = nn.Sequential(
            nn.Linear(16, 48),
            act(),
            nn.Linear(48, 64),
            act(),
            nn.Linear(64, 128),
            act(),
            nn.Linear(128, 196),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: stacked autoencoder on MNIST, every picture comes out as the same grey blob
@faulty("signal.common-mode", steps=300, bar=0.3)
def stacked_sigmoid_layers_of_a_classic_textbook(seed, fixed):
    """Stack nine dense layers with a sigmoid after each, as in older textbooks."""
    x, _ = digits(512, seed, 14)
    model = DeepAutoencoder(nn.ReLU if fixed else nn.Sigmoid)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x.flatten(1), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class SeriesAutoencoder(nn.Module):
    """One-dimensional convolutions around a dense code."""

    def __init__(self, act, width=16, latent=12):
        super().__init__()
        self.conv1 = nn.Conv1d(1, width, 5, stride=2, padding=2)
        self.conv2 = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.conv3 = nn.Conv1d(width, width, 5, stride=2, padding=2)
        self.fc1 = nn.Linear(width * 8, 64)
        self.fc2 = nn.Linear(64, latent)
        self.fc3 = nn.Linear(latent, 64)
        self.fc4 = nn.Linear(64, 64)
        self.act = act

    def encode(self, x: Tensor) -> Tensor:
        h = self.act(self.conv1(x))
        h = self.act(self.conv2(h))
        h = self.act(self.conv3(h))
        h = self.act(self.fc1(h.flatten(1)))
        return self.act(self.fc2(h))

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.fc3(self.encode(x)))
        return self.fc4(h).unsqueeze(1)


# Asked: 1-D convolutional autoencoder for vibration signals predicts a flat line
@faulty("signal.common-mode", accepts=("signal.saturated",), steps=250, bar=0.4)
def vibration_signal_through_logistic_convolutions(seed, fixed):
    """Use a sigmoid after each 1-D convolution of a net for vibration signals."""
    x = waves(512, seed).unsqueeze(1)
    model = SeriesAutoencoder(F.elu if fixed else torch.sigmoid)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": nn.MSELoss(),
        "optimizer": optimizer,
    }


class HashingAutoencoder(nn.Module):
    """Code of nearly binary units for retrieval."""

    def __init__(self, bits=24, slope=1.0):
        super().__init__()
        self.slope = slope
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.LayerNorm(32 * 16),
        )
        self.to_bits = nn.Linear(32 * 16, bits)
        self.decoder = nn.Sequential(
            nn.Linear(bits, 128),
            nn.LeakyReLU(0.1),
            nn.Linear(128, 3 * 16 * 16),
            nn.Sigmoid(),
            nn.Unflatten(1, (3, 16, 16)),
        )

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * self.to_bits(self.features(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


# Asked: binary hash codes from an autoencoder, the encoder does not learn
@faulty("signal.saturated", steps=220, bar=0.85)
def steep_gate_for_binary_hash_codes(seed, fixed):
    """Multiply the code's pre-activations by 100 so that the sigmoid gives bits."""
    x = patches(512, seed)
    model = HashingAutoencoder(slope=1.0 if fixed else 100.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class HandWrittenAutoencoder(nn.Module):
    """Plain matrices in place of nn.Linear."""

    def __init__(self, n_in, n_hidden, n_code, scaled):
        super().__init__()

        def matrix(rows, columns):
            w = torch.randn(rows, columns)
            return nn.Parameter(w / rows**0.5 if scaled else w)

        self.w1, self.b1 = matrix(n_in, n_hidden), nn.Parameter(torch.zeros(n_hidden))
        self.w2, self.b2 = matrix(n_hidden, n_code), nn.Parameter(torch.zeros(n_code))
        self.w3, self.b3 = matrix(n_code, n_hidden), nn.Parameter(torch.zeros(n_hidden))
        self.w4, self.b4 = matrix(n_hidden, n_in), nn.Parameter(torch.zeros(n_in))

    def encode(self, x: Tensor) -> Tensor:
        return torch.tanh(torch.tanh(x @ self.w1 + self.b1) @ self.w2 + self.b2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.encode(x) @ self.w3 + self.b3)
        return h @ self.w4 + self.b4


# Asked: autoencoder from scratch with nn.Parameter, loss stays near its start
@faulty("signal.saturated", accepts=("signal.init-scale",), steps=250, bar=0.5)
def matrices_by_hand_from_randn(seed, fixed):
    """Write the layers as parameters from torch.randn and squash them with tanh."""
    x, _ = digits(512, seed, 16)
    x = (x.flatten(1) - 0.5) / 0.5
    model = HandWrittenAutoencoder(256, 128, 16, scaled=fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class RectifiedCode(nn.Module):
    """Dense layers around a small code."""

    def __init__(self, latent, rectify):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 128),
            nn.ReLU(),
            nn.Linear(128, 32),
            nn.ReLU(),
            nn.Linear(32, latent),
        )
        if rectify:
            self.encoder.append(nn.ReLU())
        self.decoder = nn.Sequential(
            nn.Linear(latent, 32),
            nn.ReLU(),
            nn.Linear(32, 128),
            nn.ReLU(),
            nn.Linear(128, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


# Asked: https://whosebug.com/question/6205875 (gist)
@faulty("signal.dead-units", steps=0, measure=alive, bar=0.95)
def rectified_code_with_columns_of_zeros(seed, fixed):
    """End the encoder with a ReLU, and find columns of zeros in the trained code."""
    x, _ = digits(512, seed)
    model = RectifiedCode(12, rectify=not fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 200)
    return case


class ShrinkingEncoder(nn.Module):
    """Convolutions, a threshold for a sparse code, and a decoder."""

    def __init__(self, threshold):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 4, 2, 1)
        self.conv2 = nn.Conv2d(12, 24, 4, 2, 1)
        self.fc = nn.Linear(24 * 36, 64)
        self.threshold = threshold
        self.fc_back = nn.Linear(64, 24 * 36)
        self.up1 = nn.ConvTranspose2d(24, 12, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(12, 3, 4, 2, 1)

    def encode(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.threshold(self.fc(h.flatten(1)))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.fc_back(self.encode(x))).view(-1, 24, 6, 6)
        return torch.sigmoid(self.up2(F.relu(self.up1(h))))


# Asked: sparse codes with nn.Hardshrink, the network predicts one picture for all
@faulty("signal.dead-units", steps=150, bar=0.35)
def shrinkage_at_its_default_threshold(seed, fixed):
    """Take nn.Hardshrink as it comes to make the code sparse."""
    x, _ = scenes(448, seed, 24)
    model = ShrinkingEncoder(nn.Hardshrink(0.02) if fixed else nn.Hardshrink())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}
