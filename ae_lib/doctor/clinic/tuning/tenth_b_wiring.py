"""Tenth bank, b: codes wiring.unoptimised, wiring.no-gradient and wiring.zero-grad."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table, waves
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.tenth_b_kit import heartbeats, weather


class LazyOutput(nn.Module):
    """Build the last layer when the size of the images is known."""

    def __init__(self, k=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.LazyLinear(96), nn.ReLU())
        self.code = nn.Linear(96, k)
        self.decoder = nn.Sequential(nn.Linear(k, 64), nn.ReLU())
        self.out = None

    def forward(self, x):
        h = self.decoder(self.code(self.encoder(x)))
        if self.out is None:
            self.out = nn.Linear(h.shape[1], x[0].numel()).to(x.device)
        return torch.sigmoid(self.out(h)).view_as(x)


@faulty("wiring.unoptimised", bar=0.0)
def layer_built_on_first_use(seed, fixed):
    """Create the output layer in the first forward pass, after the optimizer."""
    x, y = digits(512, seed)
    model = LazyOutput()
    model.encoder(x[:1])
    if fixed:
        model(x[:2])
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


@faulty("wiring.unoptimised", bar=0.4)
def optimizer_of_the_first_fold(seed, fixed):
    """Cross-validate with a new model for each fold and the first fold's optimizer."""
    x = table(600, seed, d=24, rank=6)
    folds = x.split(200)
    model = dense((24,), (48,), 8, last=None)
    optimizer = adam(model, 4e-3)
    for fold in range(2):
        if fold:
            model = dense((24,), (48,), 8, last=None)
        if fixed:
            optimizer = adam(model, 4e-3)
    train = torch.cat([folds[0], folds[2]])
    case = {"model": model, "batches": loader(train, batch_size=32, seed=seed)}
    return {**case, "eval_batches": [folds[1]], "optimizer": optimizer}


class Dictionary(nn.Module):
    """Write a patch as a sum of atoms."""

    def __init__(self, d, k, learn):
        super().__init__()
        atoms = torch.randn(k, d) / d**0.5
        self.atoms = nn.Parameter(atoms) if learn else atoms
        self.encoder = nn.Sequential(nn.Linear(d, 96), nn.ReLU(), nn.Linear(96, k))

    def forward(self, x):
        return self.encoder(x) @ self.atoms


@faulty("wiring.unoptimised", bar=0.5)
def atoms_in_a_plain_tensor(seed, fixed):
    """Keep the dictionary of a decoder as a tensor instead of an nn.Parameter."""
    x = patches(512, seed, size=8).mean(1).flatten(1)
    x = x - x.mean()
    model = Dictionary(64, 16, learn=fixed)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


class Codebook(nn.Module):
    """Give each pair of code entries the nearest vector of a codebook."""

    def __init__(self, inner, entries=32):
        super().__init__()
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.codebook = nn.Embedding(entries, 2)

    def forward(self, x):
        z_e = self.encoder(x).unflatten(1, (-1, 2))
        index = torch.cdist(z_e.flatten(0, 1), self.codebook.weight).argmin(1)
        z = self.codebook(index).view_as(z_e)
        z_q = z_e + (z - z_e).detach()
        return {"x_hat": self.decoder(z_q.flatten(1)), "z_e": z_e, "z": z, "z_q": z_q}


# Asked: https://github.com/showlab/Olaf-World/issues/8
@faulty("wiring.no-gradient", steps=250, bar=0.6)
def codebook_loss_on_the_straight_through_code(seed, fixed):
    """Compute the codebook loss on the output of the straight-through estimator."""
    x = heartbeats(512, seed)
    model = Codebook(dense((32,), (64,), 8, last=None))
    model.codebook.weight.data.uniform_(-1 / 32, 1 / 32)

    def loss(out, target):
        found = out["z"] if fixed else out["z_q"]
        codebook = F.mse_loss(found, out["z_e"].detach())
        commitment = F.mse_loss(out["z_e"], out["z"].detach())
        return F.mse_loss(out["x_hat"], target) + codebook + 0.25 * commitment

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 4e-3)}


class Categorical(nn.Module):
    """Describe a wave by six categorical variables of eight values each."""

    def __init__(self, d, relaxed):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(d, 96), nn.ReLU(), nn.Linear(96, 48))
        self.decoder = nn.Sequential(nn.Linear(48, 96), nn.ReLU(), nn.Linear(96, d))
        self.relaxed = relaxed

    def forward(self, x):
        logits = self.encoder(x).view(-1, 6, 8)
        if self.relaxed:
            z = F.gumbel_softmax(logits, tau=1.0, hard=True)
        else:
            z = torch.distributions.OneHotCategorical(logits=logits).sample()
        return self.decoder(z.flatten(1)), logits


@faulty("wiring.no-gradient", steps=400, bar=0.4)
def categories_drawn_with_sample(seed, fixed):
    """Draw the categorical code with sample(), which passes no gradient."""
    x = waves(512, seed)
    model = Categorical(64, relaxed=fixed)
    data = loader(x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


# Asked: https://github.com/Hsintien-Ng/idinvert_pytorch-reproduced/issues/1
@faulty("wiring.zero-grad", bar=0.3)
def second_optimizer_never_cleared(seed, fixed):
    """Give encoder and decoder an optimizer each and clear only the first."""
    x = patches(512, seed)
    model = conv((3, 16, 16), 24)
    first = torch.optim.SGD(model.encoder.parameters(), 0.1, momentum=0.9)
    second = torch.optim.SGD(model.decoder.parameters(), 0.1, momentum=0.9)

    def step(model, batch):
        first.zero_grad()
        if fixed:
            second.zero_grad()
        loss = 10 * F.mse_loss(model(batch), batch)
        loss.backward()
        first.step()
        second.step()
        return loss.item()

    return {"model": model, "batches": loader(x, seed=seed), "step": step}


@faulty("wiring.zero-grad", bar=0.5)
def zero_grad_without_brackets(seed, fixed):
    """Write optimizer.zero_grad without the brackets."""
    x = weather(512, seed, t=24, c=2).flatten(1)
    model = dense((48,), (64, 32), 6, act=nn.Tanh, last=None)
    optimizer = torch.optim.SGD(model.parameters(), 0.5, momentum=0.9)
    criterion = nn.SmoothL1Loss()

    def train_step(model, batch):
        recon = model(batch)
        loss = criterion(recon, batch)
        optimizer.zero_grad() if fixed else optimizer.zero_grad
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed), "step": train_step}
    return {**case, "optimizer": optimizer}


@faulty("wiring.zero-grad", steps=30, bar=0.5)
def closure_without_zero_grad(seed, fixed):
    """Write the closure of L-BFGS without clearing the gradients."""
    x = table(512, seed, d=20)
    model = dense((20,), (32,), 6, act=nn.Tanh, last=None)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def step(model, batch):
        def closure():
            if fixed:
                optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    data = loader(x, batch_size=256, seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}
