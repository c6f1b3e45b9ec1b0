"""Programs with a second term that is too strong, without effect or overflowing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import conv_vae
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eighth_b_material import finite_losses


class DigitVAE(nn.Module):
    """A dense VAE for digits of 8 x 8 pixels."""

    def __init__(self, latent=6):
        super().__init__()
        self.fc1 = nn.Linear(64, 96)
        self.fc21 = nn.Linear(96, latent)
        self.fc22 = nn.Linear(96, latent)
        self.fc3 = nn.Linear(latent, 96)
        self.fc4 = nn.Linear(96, 64)

    def encode(self, x: Tensor) -> Tensor:
        return self.fc21(F.relu(self.fc1(x.flatten(1))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        x_hat = torch.sigmoid(self.fc4(F.relu(self.fc3(z))))
        return x_hat.view(x.shape), mu, logvar


# Asked: posterior collapse of a VAE with Gaussian likelihood on scikit-learn's digits
@faulty("vae.collapse", steps=500, measure=measures.used_units, bar=0.6)
def gaussian_likelihood_of_unit_variance(seed, fixed):
    """Write the likelihood as half the squared error, on pixels between 0 and 1."""
    x, _ = digits(640, seed, 8)
    model = DigitVAE()
    sigma = 0.2 if fixed else 1.0

    def elbo(output, x: Tensor) -> Tensor:
        x_hat, mu, logvar = output
        log_p = -0.5 * ((x - x_hat) / sigma).pow(2).flatten(1).sum(1)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1)
        return (kl - log_p).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "loss": elbo, "optimizer": optimizer}


# Asked: beta-VAE with beta 250 as in the paper gives the same picture for every code
@faulty("vae.collapse", steps=250, measure=measures.used_units, bar=0.25)
def beta_of_a_paper_on_smaller_pictures(seed, fixed):
    """Copy beta = 250 from a paper on pictures of 64 x 64 to pictures of 16 x 16."""
    x, _ = scenes(512, seed)
    model = conv_vae((3, 16, 16), k=8, width=8)
    beta = 1.0 if fixed else 250.0

    def loss(output, target: Tensor) -> Tensor:
        x_hat, mu, logvar = output
        recon = F.mse_loss(x_hat, target, reduction="sum") / len(target)
        kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp()) / len(target)
        return recon + beta * kl

    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}


class SigmaVAE(nn.Module):
    """The encoder gives a standard deviation, its logarithm goes to the loss."""

    def __init__(self, n_in, latent, positive):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(n_in, 128), nn.ReLU())
        self.mu = nn.Linear(128, latent)
        self.sigma = nn.Linear(128, latent)
        self.positive = positive
        self.decoder = nn.Sequential(
            nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, n_in), nn.Sigmoid()
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.mu(self.body(x))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        mu, sigma = self.mu(h), self.positive(self.sigma(h))
        z = mu + sigma * torch.randn_like(sigma)
        recon = self.decoder(z).view(x.shape)
        return {"recon": recon, "mu": mu, "logvar": 2 * torch.log(sigma)}


def bernoulli_elbo(output: dict, x: Tensor) -> Tensor:
    """Return binary cross-entropy plus KL, per sample."""
    mu, logvar = output["mu"], output["logvar"]
    bce = F.binary_cross_entropy(output["recon"], x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + kl) / len(x)


# Asked: https://thedebonair.co.uk/post/variational-autoencoder-kl-divergence (gist)
@faulty(
    "vae.logvar",
    accepts=("step.nonfinite", "loss.domain"),
    steps=100,
    measure=finite_losses,
    bar=0.9,
)
def logarithm_of_a_rectified_deviation(seed, fixed):
    """Make the standard deviation positive with a ReLU, then take its logarithm."""
    x, _ = digits(512, seed, 14)
    model = SigmaVAE(196, 10, nn.Softplus() if fixed else nn.ReLU())
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {
        "model": model,
        "batches": batches,
        "loss": bernoulli_elbo,
        "optimizer": optimizer,
    }


class SumPoolVAE(nn.Module):
    """Features are pooled over all positions before the two heads."""

    def __init__(self, pool, latent=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.pool = pool
        self.fc_mu = nn.Linear(32, latent)
        self.fc_logvar = nn.Linear(32, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 128),
            nn.ReLU(),
            nn.Linear(128, 3 * 24 * 24),
            nn.Sigmoid(),
            nn.Unflatten(1, (3, 24, 24)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.pool(self.features(x), dim=(2, 3))
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + (0.5 * logvar).exp() * torch.randn_like(mu)
        return self.decoder(z), mu, logvar


# Asked: https://www.codegenes.net/blog/logvarexp-goes-to-infinity-pytorch (gist)
@faulty("vae.logvar", accepts=("step.nonfinite",), steps=80, bar=0.25)
def variance_from_features_summed_over_positions(seed, fixed):
    """Sum the features over all positions, and take the log-variance from the sum."""
    x = patches(384, seed, 24)
    model = SumPoolVAE(torch.mean if fixed else torch.sum)

    def loss(output, target: Tensor) -> Tensor:
        x_hat, mu, logvar = output
        recon = 5 * (x_hat - target).pow(2).flatten(1).sum(1).mean()
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
        return recon + kl

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "loss": loss, "optimizer": optimizer}
