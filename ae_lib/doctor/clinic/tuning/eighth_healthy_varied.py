"""Healthy programs: variational models of several kinds, and ways of training."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, waves
from ae_lib.doctor.clinic.parts import conv, dense, dense_vae, kl
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.eighth_healthy_material import fit, grey


class ConditionalVAE(nn.Module):
    """A VAE that is told the class."""

    def __init__(self, d=256, classes=10, h=160, k=8):
        super().__init__()
        self.d = d
        self.enc = nn.Sequential(nn.Linear(d + classes, h), nn.ReLU())
        self.mu = nn.Linear(h, k)
        self.logvar = nn.Linear(h, k)
        self.dec = nn.Sequential(
            nn.Linear(k + classes, h), nn.ReLU(), nn.Linear(h, d), nn.Sigmoid()
        )

    def forward(self, x_and_y):
        y = x_and_y[:, self.d :]
        h = self.enc(x_and_y)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(torch.cat([z, y], 1)), mu, logvar


def bernoulli_elbo(beta=1.0):
    """Return cross-entropy and divergence for a beta."""

    def loss(output, target):
        recon, mu, logvar = output
        bce = F.binary_cross_entropy(recon, target, reduction="none")
        return bce.flatten(1).sum(1).mean() + beta * kl(mu, logvar).sum(1).mean()

    return loss


# Asked: after the list in doctor.md
@healthy(steps=300, bar=0.4)
def class_given_to_both_halves(seed):
    """Give encoder and decoder of a VAE the class of the digit as one-hot columns."""
    x, y = digits(1400, seed, 16)
    x = x.flatten(1)

    def pair(batch):
        images, labels = batch
        return torch.cat([images, F.one_hot(labels, 10).float()], 1), images

    model = ConditionalVAE()
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": bernoulli_elbo(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "pair": pair,
    }


class LogitVAE(nn.Module):
    """A convolutional VAE that returns logits."""

    def __init__(self, k=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 4, 2, 1)
        self.conv2 = nn.Conv2d(16, 24, 4, 2, 1)
        self.fc_mu = nn.Linear(384, k)
        self.fc_logvar = nn.Linear(384, k)
        self.fc = nn.Linear(k, 384)
        self.up1 = nn.ConvTranspose2d(24, 16, 4, 2, 1)
        self.up2 = nn.ConvTranspose2d(16, 1, 4, 2, 1)

    def forward(self, x):
        h = F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        h = F.relu(self.fc(z)).view(-1, 24, 4, 4)
        return self.up2(F.relu(self.up1(h))), mu, logvar


# Asked: after the list in doctor.md
@healthy(steps=260, bar=0.35)
def logits_with_summed_cross_entropy(seed):
    """Leave the sigmoid of a convolutional VAE to the loss and sum both terms."""
    x, y = digits(1280, seed, 16)
    model = LogitVAE()

    def loss(output, target):
        logits, mu, logvar = output
        bce = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return bce + kl(mu, logvar).sum()

    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "view": torch.sigmoid,
    }


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.3)
def divergence_weighted_by_two(seed):
    """Weigh the divergence twice, for a tidier code of the digits."""
    x, _ = digits(1500, seed, 16)
    model = dense_vae((1, 16, 16), hidden=160, k=6)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": bernoulli_elbo(2.0),
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


class LearnedVariance(nn.Module):
    """A VAE with a learned spread."""

    def __init__(self, d=64, h=96, k=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, h), nn.SiLU(), nn.Linear(h, 2 * k))
        self.dec = nn.Sequential(nn.Linear(k, h), nn.SiLU(), nn.Linear(h, d))
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


# Asked: after the list in doctor.md
@healthy(steps=350, bar=0.5)
def spread_of_the_decoder_learned(seed):
    """Learn the spread of the decoder along with a VAE of sine waves."""
    x = waves(1024, seed, 64)
    model = LearnedVariance()

    def loss(output, target):
        x_hat, mu, logvar = output
        s = model.log_sigma
        nll = (x_hat - target).square() / (2 * torch.exp(2 * s)) + s
        return nll.sum(1).mean() + kl(mu, logvar).sum(1).mean()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.45)
def average_of_the_weights_kept_beside(seed):
    """Keep a moving average of the weights beside the model while it trains."""
    x, _ = scenes(512, seed, 16)
    model = conv((3, 16, 16), k=48, width=12, norm=True)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            rows = zip(average.parameters(), model.parameters(), strict=True)
            for slow, fast in rows:
                slow.lerp_(fast, 0.01)
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": optimizer,
        "step": step,
    }


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.5)
def flipped_pictures_as_their_own_target(seed):
    """Flip each batch at random; input and target are the same flipped picture."""
    x = patches(448, seed, 16)

    def augment(batch):
        if torch.rand(()) < 0.5:
            batch = batch.flip(-1)
        return batch, batch

    model = conv((3, 16, 16), k=64, width=12)
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.NAdam(model.parameters(), lr=2e-3),
        "pair": augment,
    }


def with_a_hole(batch):
    """Return pictures with a hole and the mask, and the pictures."""
    mask = torch.ones_like(batch[:, :1])
    top, left = (int(torch.randint(2, 10, ())) for _ in range(2))
    mask[:, :, top : top + 5, left : left + 5] = 0
    return torch.cat([batch * mask, mask], 1), batch


# Asked: after the list in doctor.md
@healthy(steps=200, bar=0.6)
def hole_filled_with_the_mask_as_a_channel(seed):
    """Cut a hole into each picture, show the mask as a channel, ask for all."""
    x = grey(448, seed, 16)
    model = nn.Sequential(
        nn.Conv2d(2, 20, 5, 1, 2),
        nn.ELU(),
        nn.Conv2d(20, 24, 4, 2, 1),
        nn.ELU(),
        nn.Conv2d(24, 24, 3, 1, 2, dilation=2),
        nn.ELU(),
        nn.ConvTranspose2d(24, 16, 4, 2, 1),
        nn.ELU(),
        nn.Conv2d(16, 1, 3, 1, 1),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": F.l1_loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
        "pair": with_a_hole,
    }


# Asked: after the list in doctor.md
@healthy(steps=0, bar=0.6)
def layers_trained_one_after_the_other(seed):
    """Trained the outer pair of layers first, then all four together."""
    x, _ = digits(1408, seed, 16)
    x = x.flatten(1)
    outer = dense((256,), hidden=(), k=96)
    first = torch.optim.Adam(outer.parameters(), lr=3e-3)
    batches = loader(x[:1280], seed=seed)
    fit({"model": outer, "batches": batches, "optimizer": first}, 8)
    model = nn.Sequential(
        outer.encoder, nn.ReLU(), nn.Linear(96, 32), nn.Linear(32, 96), nn.ReLU()
    )
    model.append(outer.decoder)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return fit(case, 30, [x[1280:]], schedule=schedule)


class OnTheSphere(nn.Module):
    """A code of constant length."""

    def __init__(self, k=24):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Flatten(), nn.Linear(256, 128), nn.PReLU(), nn.Linear(128, k)
        )
        self.dec = nn.Sequential(
            nn.Linear(k, 128), nn.PReLU(), nn.Linear(128, 256), nn.Sigmoid()
        )
        self.scale = k**0.5

    def forward(self, x):
        z = self.scale * F.normalize(self.enc(x), dim=1)
        return {"reconstruction": self.dec(z).view_as(x), "z": z}


# Asked: after the list in doctor.md
@healthy(steps=250, bar=0.6)
def code_of_constant_length(seed):
    """Normalise every code to the same length, on batches cut from a plain list."""
    x, _ = digits(1280, seed, 16)
    model = OnTheSphere()
    return {
        "model": model,
        "batches": list(x.split(64)),
        "loss": lambda out, x: F.mse_loss(out["reconstruction"], x),
        "optimizer": torch.optim.Adam(model.parameters(), lr=2e-3),
    }
