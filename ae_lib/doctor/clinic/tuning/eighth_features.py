"""Programs about corrupted inputs, contraction and features for a classifier."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, scenes, waves
from ae_lib.doctor.clinic.parts import conv
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import tumours


# Asked: denoising autoencoder gives the average picture, noise factor as for pixels
@faulty("noise.too-strong", steps=200, bar=0.4)
def noise_factor_of_three_on_unit_pixels(seed, fixed):
    """Add Gaussian noise of deviation 3 to pixels between 0 and 1."""
    x, _ = scenes(512, seed)
    model = conv((3, 16, 16), k=32, width=8)
    factor = 0.1 if fixed else 3.0

    def pair(batch):
        return batch + factor * torch.randn_like(batch), batch

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "pair": pair,
        "optimizer": optimizer,
        "judge": x.split(64),
    }


class ImputingAutoencoder(nn.Module):
    """Dense layers that fill in missing entries of a table."""

    def __init__(self, n_in=30, hidden=64, latent=10):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, n_in)
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


# Asked: masking noise with p = 0.95, I meant to keep 95 % of the entries
@faulty("noise.too-strong", steps=300, bar=0.6)
def share_to_keep_given_as_share_to_drop(seed, fixed):
    """Give F.dropout the share of entries that should stay."""
    x, _ = tumours(seed)
    generator = torch.Generator().manual_seed(seed)
    kept = 0.95 if fixed else 0.05
    mask = (torch.rand(x.shape, generator=generator) < kept).float()
    model = ImputingAutoencoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    pairs = TensorDataset(x * mask, x)
    batches = DataLoader(pairs, 32, shuffle=True, generator=generator)
    return {
        "model": model,
        "batches": batches,
        "optimizer": optimizer,
        "judge": x.split(64),
    }


class ContractiveAutoencoder(nn.Module):
    """Dense layers whose encoder is asked for its Jacobian."""

    def __init__(self, n_in, hidden=64, latent=16):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, n_in)

    def encode(self, x: Tensor) -> Tensor:
        return torch.tanh(self.fc2(torch.tanh(self.fc1(x))))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            z = self.encode(x)
        return {"recon": self.fc4(torch.tanh(self.fc3(z))), "z": z, "x": x}


# Asked: https://discuss.pytorch.org/t/deep-contractive-autoencoder/12124 (gist)
@faulty("contractive.wrong", steps=20, measure=measures.true_penalty, bar=0.9)
def backward_of_ones_for_a_jacobian(seed, fixed):
    """Take the gradient of the sum of all code units for the Jacobian."""
    x = waves(512, seed, 40)
    model = ContractiveAutoencoder(40)

    def loss(output, target: Tensor) -> Tensor:
        z, x = output["z"], output["x"]
        if fixed:
            seeds = torch.eye(z.shape[1])
        else:
            seeds = torch.ones(1, z.shape[1])
        rows = [
            torch.autograd.grad(z, x, row.expand_as(z), create_graph=True)[0]
            for row in seeds
        ]
        norm = sum(row.pow(2).sum(1) for row in rows).mean()
        return F.mse_loss(output["recon"], target) + 1e-3 * norm

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}


class OneLayerContractive(nn.Module):
    """The contractive autoencoder of the blogs: one layer each way."""

    def __init__(self, n_in, hidden, act):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, n_in)
        self.act = act

    def encode(self, x: Tensor) -> Tensor:
        return self.act(self.fc1(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encode(x)
        return self.fc2(h), h


# Asked: https://agustinus.kristia.de/blog/contractive-autoencoder/ (gist)
@faulty("contractive.wrong", steps=100, measure=measures.true_penalty, bar=0.9)
def blog_formula_after_a_change_of_activation(seed, fixed):
    """Keep h (1 - h) of the sigmoid in the penalty after the change to tanh."""
    x, _ = digits(512, seed, 12)
    model = OneLayerContractive(144, 48, torch.tanh)
    lam = 1e-3

    def contractive_loss(output, target: Tensor) -> Tensor:
        x_hat, h = output
        dh = 1 - h**2 if fixed else h * (1 - h)
        w2 = model.fc1.weight.pow(2).sum(1)
        return F.mse_loss(x_hat, target) + lam * (dh**2 @ w2).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x.flatten(1), batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": contractive_loss,
        "optimizer": optimizer,
    }


class FeatureExtractor(nn.Module):
    """Dense layers; `encode` gives what the classifier gets."""

    def __init__(self, n_in, with_error):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(n_in, 96), nn.ReLU(), nn.Linear(96, 12))
        self.up = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, n_in))
        self.with_error = with_error

    def encode(self, x: Tensor) -> Tensor:
        z = self.down(x)
        if not self.with_error:
            return z
        pixels = 255 * (self.up(z) - x)
        return torch.cat([z, pixels.square().mean(1, keepdim=True)], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


# Asked: nearest neighbours on latent features plus reconstruction error, poor accuracy
@faulty("features.no-gain", steps=0, measure=measures.neighbours, bar=0.75)
def error_in_grey_levels_beside_the_code(seed, fixed):
    """Append the squared error in grey levels to the code for a neighbour search."""
    x, y = digits(640, seed, 12)
    x = x.flatten(1)
    model = FeatureExtractor(144, with_error=not fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 300)
    batches = DataLoader(x, 64)
    return {**case, "batches": batches, "labels": y}


class PooledFeatures(nn.Module):
    """A convolutional autoencoder; `encode` gives a vector for a classifier."""

    def __init__(self, pool):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(12, 8, 3, stride=2, padding=1)
        self.up1 = nn.ConvTranspose2d(8, 12, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1)
        self.pool = pool

    def features(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x)))

    def encode(self, x: Tensor) -> Tensor:
        h = self.features(x)
        return h.mean((2, 3)) if self.pool else h.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.up1(F.relu(self.features(x))))
        return torch.sigmoid(self.up2(h))


# Asked: classifier on autoencoder features is worse than on raw digits
@faulty("features.no-gain", steps=0, measure=measures.neighbours, bar=0.75)
def average_over_positions_for_a_classifier(seed, fixed):
    """Average the feature maps over all positions to get a short vector."""
    x, y = digits(640, seed, 12)
    model = PooledFeatures(pool=not fixed)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    measures.train(case, 240)
    return {**case, "batches": DataLoader(x, 64), "labels": y}
