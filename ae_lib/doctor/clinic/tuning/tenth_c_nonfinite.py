"""Runs in which the first NaN comes from a root, a quotient, a logarithm."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, VAE, adam, dense, kl, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_c_material import chords, counts


class WithCode(AE):
    """Return the code with the reconstruction."""

    def forward(self, x):
        z = self.encode(x)
        return self.decode(z), z


# Asked: https://discuss.pytorch.org/t/function-mselossbackward-returned-nan-values-in-its-0th-output/94875
@faulty("step.nonfinite", steps=200, bar=0.35)
def distances_to_oneself(seed, fixed):
    """Keep all distances within a batch, the root of zero on the diagonal included."""
    x, _ = digits(512, seed, size=8)
    inner = dense((1, 8, 8), (64,), 12)
    model = WithCode(inner.encoder, inner.decoder)
    tiny = 1e-8 if fixed else 0.0

    def distances(rows):
        gap = rows.unsqueeze(0) - rows.unsqueeze(1)
        return (gap.square().sum(2) + tiny).sqrt()

    def loss(output, target):
        recon, z = output
        stress = (distances(z) - distances(target.flatten(1))).square().mean()
        return F.mse_loss(recon, target) + 1e-3 * stress

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class OnTheSphere(AE):
    """Divide the code by its length."""

    safe = False

    def encode(self, x):
        z = F.relu(self.encoder(x))
        length = z.norm(dim=1, keepdim=True)
        return z / (length + 1e-6 if self.safe else length)


@faulty("step.nonfinite", steps=200, bar=0.4)
def code_divided_by_its_length(seed, fixed):
    """Divide a ReLU code by its length, with a few black frames among the pictures."""
    x = patches(512, seed, 8)
    x[torch.randperm(512, generator=torch.Generator().manual_seed(seed))[:5]] = 0
    encoder = nn.Sequential(
        nn.Flatten(),
        nn.Linear(192, 96, bias=False),
        nn.ReLU(),
        nn.Linear(96, 24, False),
    )
    model = OnTheSphere(encoder, dense((3, 8, 8), (96,), 24).decoder)
    model.safe = fixed
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("step.nonfinite", accepts=("loss.domain",), steps=250, bar=0.62)
def logarithm_of_a_relu(seed, fixed):
    """Write a Poisson likelihood with the logarithm of a rate that ReLU makes zero."""
    model = dense((40,), (64,), 6, last=nn.Softplus if fixed else nn.ReLU)

    def loss(rate, target):
        return (rate - target * torch.log(rate)).mean()

    case = {"model": model, "batches": loader(counts(512, seed), seed=seed)}
    return {**case, "loss": loss, "optimizer": adam(model, 3e-3)}


class StandardisedInside(AE):
    """Standardise each batch in forward."""

    def encode(self, x):
        return self.encoder((x - x.mean(0)) / (x.std(0) + 1e-6))


@faulty("step.nonfinite", accepts=("wiring.mode",), steps=120, bar=0.4)
def last_batch_divided_by_nothing(seed, fixed):
    """Standardise each batch by its own deviation; the last batch has a single row."""
    x = table(577, seed, d=20)
    inner = dense((20,), (48,), 6, last=None)
    model = StandardisedInside(inner.encoder, inner.decoder)
    data = loader(x[:576] if fixed else x, seed=seed)
    case = {"model": model, "batches": data, "judge": [x[:512]]}
    return {**case, "optimizer": adam(model, 3e-3)}


def two_heads(shape, k, hidden=64, last=nn.Sigmoid):
    """Return a dense VAE."""
    d = torch.Size(shape).numel()
    encoder = nn.Sequential(nn.Flatten(), *stack((d, hidden)))
    decoder = [*stack((k, hidden)), nn.Linear(hidden, d), last()]
    return VAE(encoder, nn.Sequential(*decoder, nn.Unflatten(1, shape)), hidden, k)


@faulty("vae.logvar", accepts=("loss.domain", "step.nonfinite"), steps=250, bar=0.3)
def plus_before_the_exponential(seed, fixed):
    """Write the KL term with a plus before logvar.exp()."""
    x, _ = digits(512, seed, size=8)
    model = two_heads((1, 8, 8), 8)
    sign = -1 if fixed else 1

    def loss(output, target):
        recon, mu, logvar = output
        error = F.mse_loss(recon, target, reduction="sum") / len(target)
        each = 1 + logvar - mu.square() + sign * logvar.exp()
        return 10 * error - 0.5 * each.sum(1).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class ReluHeads(VAE):
    """Activate the head of the log-variance like any other layer."""

    positive = True

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        if self.positive:
            logvar = F.relu(logvar)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return {"recon": self.decoder(z), "mu": mu, "logvar": logvar}


@faulty(
    "vae.logvar", accepts=("vae.collapse", "signal.dead-units"), steps=400, bar=0.86
)
def relu_on_the_log_variance(seed, fixed):
    """Put a ReLU on the log-variance, so that no deviation can be below one."""
    plain = two_heads((40,), 6, last=nn.Identity)
    model = ReluHeads(plain.encoder, plain.decoder, 64, 6)
    model.positive = not fixed

    def loss(output, target):
        error = F.mse_loss(output["recon"], target, reduction="sum") / len(target)
        each = kl(output["mu"], output["logvar"]).sum(1).mean()
        return error + each

    data = loader(chords(512, seed, 40, tones=2), seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    return {**case, "optimizer": adam(model)}


class PixelVariance(nn.Module):
    """Decode a mean and a log-variance for each value."""

    def __init__(self, d, k, floor):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 64)), nn.Linear(64, k))
        self.trunk = nn.Sequential(*stack((k, 64)))
        self.mean, self.spread = nn.Linear(64, d), nn.Linear(64, d)
        self.floor = floor

    def forward(self, x):
        h = self.trunk(self.encoder(x))
        log_sigma2 = self.spread(h)
        return {
            "x_hat": F.relu(self.mean(h)),
            "log_sigma2": log_sigma2.clamp(min=self.floor)
            if self.floor
            else log_sigma2,
        }


@faulty(
    "vae.logvar", accepts=("step.nonfinite", "loss.scale", "loss.domain"), steps=500
)
def variance_of_black_pixels(seed, fixed):
    """Learn a log-variance for every pixel, also for those that are always black."""
    x, _ = digits(512, seed, size=8)
    model = PixelVariance(64, 12, -6.0 if fixed else None)

    def loss(output, target):
        spread = output["log_sigma2"]
        error = (output["x_hat"] - target).square()
        return 0.5 * (spread + error / spread.exp()).mean()

    case = {"model": model, "batches": loader(x.flatten(1), seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 5e-3)}
