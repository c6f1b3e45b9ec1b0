"""Programs whose sparsity term drowns the picture, or does nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.program import faulty


class SparseAutoencoder(nn.Module):
    """One hidden layer; the forward pass gives the picture and the code."""

    def __init__(self, n_in, hidden, act, last=None):
        super().__init__()
        self.encoder = nn.Linear(n_in, hidden)
        self.decoder = nn.Linear(hidden, n_in)
        self.act = act
        self.last = last or nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        return self.act(self.encoder(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.last(self.decoder(z)), "z": z}


# Asked: L1 penalty of a sparse autoencoder makes all codes zero
@faulty(
    "sparse.too-strong",
    accepts=("loss.scale",),
    steps=300,
    bar=0.5,
)
def absolute_values_summed_over_batch_and_units(seed, fixed):
    """Add a thousandth of the sum of all code values to a mean squared error."""
    x, _ = scenes(512, seed, 12)
    model = SparseAutoencoder(432, 256, nn.ReLU(), nn.Sigmoid())
    weight = 1e-7 if fixed else 1e-3

    def loss(output, target: Tensor) -> Tensor:
        return F.mse_loss(output["x_hat"], target) + weight * output["z"].abs().sum()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x.flatten(1), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}


def bernoulli_kl(rho: float, rho_hat: Tensor) -> Tensor:
    """Return the divergence between Bernoulli variables, one value per unit."""
    return rho * torch.log(rho / rho_hat) + (1 - rho) * torch.log(
        (1 - rho) / (1 - rho_hat)
    )


# Asked: beta = 3 from the UFLDL notes, output of the sparse autoencoder is constant
@faulty("sparse.too-strong", accepts=("loss.scale",), steps=400, bar=0.35)
def weight_of_the_lecture_notes_on_another_error(seed, fixed):
    """Keep beta = 3 of the lecture notes, but average the squared error over pixels."""
    x, _ = digits(512, seed, 14)
    model = SparseAutoencoder(196, 100, nn.Sigmoid())
    beta = 1e-4 if fixed else 3.0

    def step(model, batch) -> float:
        output = model(batch)
        sparsity = bernoulli_kl(0.05, output["z"].mean(0)).sum()
        cost = F.mse_loss(output["x_hat"], batch) + beta * sparsity
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        return cost.item()

    def loss(output, target: Tensor) -> Tensor:
        sparsity = bernoulli_kl(0.05, output["z"].mean(0)).sum()
        return F.mse_loss(output["x_hat"], target) + beta * sparsity

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x.flatten(1), batch_size=64, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": loss,
        "step": step,
        "optimizer": optimizer,
    }


# Asked: https://discuss.pytorch.org/t/autoencoder-sparsity-term/96005 (gist)
@faulty(
    "sparse.inert",
    accepts=("wiring.no-gradient",),
    steps=300,
    measure=measures.quiet_units,
    bar=0.75,
)
def frequency_of_firing_by_counting(seed, fixed):
    """Count how often each unit is above zero, and penalise the count."""
    x = patches(512, seed, 12).flatten(1)
    x = x - x.mean(0)
    model = SparseAutoencoder(432, 64, nn.ReLU())

    def loss(output, target: Tensor) -> Tensor:
        z = output["z"]
        if fixed:
            return F.mse_loss(output["x_hat"], target) + 0.3 * z.abs().mean()
        rate = (z > 0).float().mean(0).clamp(1e-3, 1 - 1e-3)
        sparsity = bernoulli_kl(0.05, rate).mean()
        return F.mse_loss(output["x_hat"], target) + 0.3 * sparsity

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}


class DeepSparseAutoencoder(nn.Module):
    """Two dense layers to a wide code, two back."""

    def __init__(self, n_in, hidden=96, code=128):
        super().__init__()
        self.enc1 = nn.Linear(n_in, hidden)
        self.enc2 = nn.Linear(hidden, code)
        self.dec1 = nn.Linear(code, hidden)
        self.dec2 = nn.Linear(hidden, n_in)

    def encode(self, x: Tensor) -> Tensor:
        return self.enc2(F.relu(self.enc1(x))).relu()

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.dec2(F.relu(self.dec1(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x)
        return self.decode(z), z


# Asked: https://blog.keras.io/building-autoencoders-in-keras.html (ported, gist)
@faulty("sparse.inert", steps=300, measure=measures.quiet_units, bar=0.75)
def weight_of_the_keras_blog_on_a_mean(seed, fixed):
    """Port activity_regularizer=l1(10e-5) as 1e-5 times the mean of the code."""
    x, _ = digits(512, seed, 12)
    model = DeepSparseAutoencoder(144)
    weight = 0.02 if fixed else 1e-5

    def loss(output, target: Tensor) -> Tensor:
        x_hat, z = output
        return F.mse_loss(x_hat, target) + weight * torch.mean(torch.abs(z))

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x.flatten(1), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}
