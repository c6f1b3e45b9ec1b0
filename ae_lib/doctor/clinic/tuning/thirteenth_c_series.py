"""Ninth part, c: working autoencoders of series, tables and words, and a plain VAE."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_c_material import (
    accounts,
    bags,
    days,
    schedule,
    sentences,
)


class Plain(nn.Module):
    """Join two dense halves by a Gaussian code, as the well-known example does."""

    def __init__(self, d=784, hidden=200, k=10):
        super().__init__()
        self.fc1 = nn.Linear(d, hidden)
        self.fc21, self.fc22 = nn.Linear(hidden, k), nn.Linear(hidden, k)
        self.fc3, self.fc4 = nn.Linear(k, hidden), nn.Linear(hidden, d)

    def forward(self, x):
        h = F.relu(self.fc1(x.view(len(x), -1)))
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z)))), mu, logvar


@healthy(steps=400, bar=0.3)
def vae_with_entropy_and_divergence_summed(seed):
    """Add the summed cross entropy and the summed divergence of a batch."""
    x, y = digits(1024, seed)
    model = Plain()

    def loss_function(output, x):
        recon, mu, logvar = output
        bce = F.binary_cross_entropy(recon, x.view(len(x), -1), reduction="sum")
        kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return bce + kld

    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "loss": loss_function,
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
    }


class LoadVAE(nn.Module):
    """Describe a day's load by eight Gaussian units."""

    def __init__(self, d=48, k=8):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, 96), nn.SiLU(), nn.Linear(96, 2 * k))
        self.back = nn.Sequential(nn.Linear(k, 96), nn.SiLU(), nn.Linear(96, d))

    def forward(self, x):
        mu, log_var = self.body(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        return {"x_hat": self.back(z), "mu": mu, "log_var": log_var}


@healthy(steps=0, bar=0.6)
def divergence_warmed_up_over_ten_epochs(seed):
    """Raise the weight of the divergence linearly to one over ten epochs."""
    x, weekend = days(896, seed)
    train_x, val = x[:768], x[768:]
    model = LoadVAE()
    optimizer = adam(model, 3e-3)

    def loss(out, target, beta=1.0):
        error = (out["x_hat"] - target).square().sum(1) / (2 * 0.05**2)
        mu, log_var = out["mu"], out["log_var"]
        kl = (mu.square() + log_var.exp() - 1 - log_var).sum(1) / 2
        return (error + beta * kl).mean()

    count = [0]

    def step(model, batch):
        beta = min(1.0, count[0] / 120)
        count[0] += 1
        value = loss(model(batch), batch, beta)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value.item()

    schedule(model, train_x, 40, step, seed)
    return {
        "model": model,
        "batches": loader(train_x, weekend[:768], seed=seed),
        "eval_batches": [val],
        "loss": loss,
        "step": lambda model, batch: step(model, batch[0]),
        "optimizer": optimizer,
    }


def _dropped(a, b):
    return [nn.Linear(a, b), nn.SELU(), nn.AlphaDropout(0.02)]


@healthy(steps=350, bar=0.6)
def selu_and_alpha_dropout_on_accounts(seed):
    """Normalise itself with SELU and its dropout, on standardised columns."""
    x = accounts(1024, seed)
    model = nn.Sequential(
        *_dropped(24, 64), nn.Linear(64, 8), *_dropped(8, 64), nn.Linear(64, 24)
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    case = {"model": model, "batches": loader(x[:896], seed=seed)}
    return case | {"eval_batches": [x[896:]], "optimizer": optimizer}


@healthy(steps=0, bar=0.55)
def fraud_detector_of_ordinary_rows(seed):
    """Train tanh and ReLU layers on ordinary rows only; a threshold comes later."""
    x = accounts(1280, seed + 5, d=28, rank=6)
    train_x, val = x[:1024], x[1024:]
    model = nn.Sequential(
        nn.Linear(28, 20),
        nn.Tanh(),
        nn.Linear(20, 10),
        nn.LeakyReLU(),
        nn.Linear(10, 20),
        nn.Tanh(),
        nn.Linear(20, 28),
    )
    optimizer = adam(model, 4e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    train_loss, val_loss = [], []
    for epoch in range(30):
        train_loss += schedule(model, train_x, 1, step, seed + 100 * epoch)
        with torch.no_grad():
            val_loss.append(F.mse_loss(model(val), val).item())
    return {
        "model": model,
        "batches": loader(train_x, seed=seed),
        "eval_batches": [val],
        "optimizer": optimizer,
        "history": {"train_loss": train_loss, "val_loss": val_loss},
    }


class Words(nn.Module):
    """Read one-hot words and return the logits of each word."""

    def __init__(self, t=6, words=20, k=16):
        super().__init__()
        self.shape = (t, words)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(t * words, 96), nn.ReLU(), nn.Linear(96, k)
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, 96), nn.ReLU(), nn.Linear(96, t * words)
        )

    def forward(self, x):
        return self.decoder(self.encoder(x)).unflatten(1, self.shape)


@healthy(steps=350, bar=0.5)
def words_as_one_hot_and_cross_entropy(seed):
    """Classify the word of each place from the code of a one-hot sentence."""
    x = sentences(1024, seed)
    model = Words()

    def loss(logits, target):
        return F.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1).argmax(1))

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
        "view": lambda logits: logits.softmax(-1),
    }


@healthy(steps=0, bar=0.6)
def topics_of_texts_with_a_softmax(seed):
    """Fit word frequencies with a softmax and the multinomial likelihood."""
    x, main = bags(1024, seed)
    model = AE(
        nn.Sequential(nn.Linear(60, 64), nn.Softplus(), nn.Linear(64, 8)),
        nn.Sequential(
            nn.Linear(8, 64), nn.Softplus(), nn.Linear(64, 60), nn.LogSoftmax(1)
        ),
    )

    def loss(log_words, target):
        return -(target * log_words).sum(1).mean()

    case = {"model": model, "batches": loader(x, main, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model, 5e-3), "view": torch.exp, "labels": main}
    train(case, 350)
    return case


@healthy(steps=300, bar=0.5)
def convolutions_along_time_with_dropout(seed):
    """Halve a day twice with wide kernels and a little dropout, and double it back."""
    x, _ = days(1024, seed)
    x = ((x - x.mean()) / x.std()).unsqueeze(1)
    model = nn.Sequential(
        nn.Conv1d(1, 24, 7, 2, 3),
        nn.ReLU(),
        nn.Dropout(0.05),
        nn.Conv1d(24, 12, 7, 2, 3),
        nn.ReLU(),
        nn.Conv1d(12, 2, 3, 1, 1),  # (B, 2, 12)
        nn.ConvTranspose1d(2, 12, 8, 2, 3),
        nn.ReLU(),
        nn.Dropout(0.05),
        nn.ConvTranspose1d(12, 24, 8, 2, 3),
        nn.ReLU(),
        nn.Conv1d(24, 1, 7, 1, 3),
    )
    return {
        "model": model,
        "batches": loader(x[:896], batch_size=64, seed=seed),
        "eval_batches": [x[896:]],
        "loss": nn.MSELoss(),
        "optimizer": adam(model, 3e-3),
    }
