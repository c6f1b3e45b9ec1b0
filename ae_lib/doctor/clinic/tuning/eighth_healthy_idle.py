"""Healthy programs: a few idle latent units, and losses that are flat by right."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import (
    digits,
    loader,
    patches,
    table,
    waves,
)
from ae_lib.doctor.clinic.parts import dense, dense_vae, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import cancer, fit, loss_on


class TableVAE(nn.Module):
    """A small VAE for rows of a table."""

    def __init__(self, d=20, h=64, k=8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, h), nn.ReLU())
        self.mu = nn.Linear(h, k)
        self.logvar = nn.Linear(h, k)
        self.decoder = nn.Sequential(nn.Linear(k, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(logvar / 2)
        return self.decoder(z), mu, logvar


def nelbo(sigma2):
    """Return the negative evidence bound for a known variance."""

    def loss(output, target):
        x_hat, mu, logvar = output
        recon = (x_hat - target).square().sum(1) / (2 * sigma2)
        kld = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1)
        return (recon + kld).mean()

    return loss


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.6)
def eight_latents_for_five_causes(seed):
    """Gave eight latent units to a table of five causes; three are idle, as hoped."""
    x = table(1024, seed)
    model = TableVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    case = {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "loss": nelbo(0.1),
        "optimizer": optimizer,
    }
    return fit(case, 50, [x[896:]])


class BernoulliVAE(nn.Module):
    """The textbook VAE of digits."""

    def __init__(self, h=200, k=9):
        super().__init__()
        self.fc1 = nn.Linear(256, h)
        self.fc_mu = nn.Linear(h, k)
        self.fc_logvar = nn.Linear(h, k)
        self.fc3 = nn.Linear(k, h)
        self.fc4 = nn.Linear(h, 256)

    def encode(self, x):
        h = F.relu(self.fc1(x.view(-1, 256)))
        return self.fc_mu(h), self.fc_logvar(h)

    def reparameterize(self, mu, logvar):
        return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)

    def forward(self, x):
        mu, logvar = self.encode(x)
        h = F.relu(self.fc3(self.reparameterize(mu, logvar)))
        return torch.sigmoid(self.fc4(h)).view_as(x), mu, logvar


def bce_and_kld(output, target):
    """Return the summed cross-entropy and divergence."""
    recon, mu, logvar = output
    bce = F.binary_cross_entropy(recon, target, reduction="sum")
    return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.5)
def nine_units_of_which_some_rest(seed):
    """Trained the textbook VAE with summed BCE; a few of 9 units carry nothing."""
    x, y = digits(1500, seed, 16)
    model = BernoulliVAE()
    case = {
        "model": model,
        "batches": loader(x, y, batch_size=32, seed=seed),
        "loss": bce_and_kld,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
    return fit(case, 30)


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.6)
def more_units_than_a_wave_has_freedoms(seed):
    """Give a VAE of sine waves ten units, of which frequency and phase need some."""
    x = waves(1024, seed, 64)
    model = dense_vae((64,), hidden=96, k=10, last=None)
    model.encoder = model.encoder[1:]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": elbo(variance=0.05),
        "optimizer": optimizer,
    }


class AnnealedVAE(nn.Module):
    """A convolutional VAE that samples in training."""

    def __init__(self, k=16):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 24, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(384, 2 * k),
        )
        self.dec = nn.Sequential(
            nn.Linear(k, 384),
            nn.ReLU(),
            nn.Unflatten(1, (24, 4, 4)),
            nn.ConvTranspose2d(24, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return {"recon": self.dec(z), "mu": mu, "log_var": logvar}


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.45)
def divergence_warmed_up_over_epochs(seed):
    """Raise the weight of the divergence to one over ten epochs, then go on."""
    x, _ = digits(1408, seed, 16)
    model = AnnealedVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    weight = {"beta": 0.0}

    def loss(output, target):
        mu, logvar = output["mu"], output["log_var"]
        error = (output["recon"] - target).square().flatten(1).sum(1).mean()
        kld = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1).mean()
        return error / (2 * 0.04) + weight["beta"] * kld

    def raise_weight(history):
        weight["beta"] = min(1.0, len(history["train_loss"]) / 10)

    case = {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "loss": loss,
        "optimizer": optimizer,
    }
    case = fit(case, 18, after=raise_weight)
    del case["history"]
    return case


# Asked: https://stats.stackexchange.com/questions/441750/why-cant-this-autoencoder-reach-zero-loss
@healthy(steps=0, bar=0.8)
def cross_entropy_that_rests_on_its_floor(seed):
    """Trained until the cross-entropy no longer fell, well above zero."""
    x, _ = digits(1500, seed, 16)
    model = dense((1, 16, 16), hidden=(160,), k=40, act=nn.ELU)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 35)
    case = {
        "model": model,
        "batches": loader(x[:1372], seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": optimizer,
    }
    return fit(case, 35, [x[1372:]], schedule=schedule)


# Asked: https://stats.stackexchange.com/questions/245448/loss-function-for-autoencoders
@healthy(steps=0, bar=0.7)
def colour_pictures_at_a_high_cross_entropy(seed):
    """Trained photographs on cross-entropy, which stands near 0.46 for good."""
    x = patches(896, seed, 12)
    model = dense((3, 12, 12), hidden=(256,), k=96, act=nn.ELU)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 24)
    case = {
        "model": model,
        "batches": loader(x[:768], batch_size=32, seed=seed),
        "loss": F.binary_cross_entropy,
        "optimizer": optimizer,
    }
    return fit(case, 24, [x[768:]], schedule=schedule)


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.85)
def error_that_stays_at_the_noise_of_the_table(seed):
    """Trained as many units as the table has causes; only its noise is left over."""
    x = table(1024, seed)
    model = dense((20,), hidden=(), k=6, last=None)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batches = loader(x[:896], seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return fit(case, 40, [x[896:]])


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.75)
def best_weights_restored_after_early_stopping(seed):
    """Stop when validation no longer falls, and put the best weights back."""
    x = cancer(seed)
    train, held = x[:448], [x[448:]]
    model = dense((30,), hidden=(48,), k=10, act=nn.ELU, last=None)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.05)
    best = {"loss": float("inf"), "state": None}
    case = {
        "model": model,
        "batches": loader(train, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "eval_batches": held,
    }

    def remember(history):
        if (now := loss_on(case, held)) < best["loss"]:
            best["loss"] = now
            best["state"] = {k: v.clone() for k, v in model.state_dict().items()}

    case = fit(case, 90, held, after=remember)
    model.load_state_dict(best["state"])
    return case


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.8)
def run_resumed_after_it_had_converged(seed):
    """Load a converged model and run fifteen more epochs; nothing moves any more."""
    x = waves(768, seed, 64)
    model = dense((64,), hidden=(64,), k=12, act=nn.GELU, last=None)
    batches = loader(x[:640], seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    fit(case, 60)
    for group in optimizer.param_groups:
        group["lr"] = 2e-4
    fit(case, 25)
    return fit(case, 15, [x[640:]])
