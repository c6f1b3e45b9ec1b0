"""Eighth part, b: dictionaries and linear models that work and look odd."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, patches, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_b_material import stream


class Linear(nn.Module):
    """Project on rows of weights and back with the same weights, without bias."""

    def __init__(self, d, k):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, d))
        nn.init.orthogonal_(self.weight)

    def encode(self, x):
        return x @ self.weight.t()

    def forward(self, x):
        return self.encode(x) @ self.weight


@healthy(steps=200, bar=0.8)
def tied_projection_at_a_rate_of_one(seed):
    """Find the principal subspace by SGD at a rate of one, with tied weights."""
    x = table(1024, seed, d=20, rank=5)
    model = Linear(20, 5)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.SGD(model.parameters(), lr=1.0),
    }


@healthy(steps=300, bar=0.8)
def whitened_code_of_a_linear_encoder(seed):
    """Ask a linear code to be white, beside the error, for the models that follow."""
    x = patches(768, seed, size=8).mean(1).flatten(1)
    x = (x - x.mean(0)) / x.std()
    model = nn.Sequential(nn.Linear(64, 10), nn.Linear(10, 64))

    def step(model, batch):
        optimizer.zero_grad()
        z = model[0](batch)
        gap = torch.cov(z.t()) - torch.eye(10)
        loss = F.mse_loss(model[1](z), batch) + 0.02 * gap.square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "optimizer": optimizer,
        "step": step,
    }


class Dictionary(nn.Module):
    """Hold the parts that all sparse dictionaries here share: rows of unit length."""

    def __init__(self, d=32, k=96):
        super().__init__()
        rows = F.normalize(torch.randn(k, d), dim=1)
        self.w_dec, self.b_dec = nn.Parameter(rows), nn.Parameter(torch.zeros(d))
        self.w_enc = nn.Parameter(rows.t().clone())
        self.b_enc = nn.Parameter(torch.zeros(k))

    def before(self, x):
        return (x - self.b_dec) @ self.w_enc + self.b_enc

    def encode(self, x):
        return F.relu(self.before(x))

    def decode(self, z):
        return z @ self.w_dec + self.b_dec

    def forward(self, x):
        z = self.encode(x)
        return {"x_hat": self.decode(z), "z": z}

    @torch.no_grad()
    def to_unit_rows(self):
        self.w_dec.copy_(F.normalize(self.w_dec, dim=1))


class TopK(Dictionary):
    """Keep the k largest activations of a row."""

    def encode(self, x):
        h = F.relu(self.before(x))
        best = h.topk(4, dim=1)
        return torch.zeros_like(h).scatter(1, best.indices, best.values)


@healthy(steps=350, bar=0.8)
def top_four_features_with_a_revival_term(seed):
    """Train a top-4 dictionary; an auxiliary term keeps rarely used features alive."""
    x = stream(1280, seed)
    model = TopK()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    idle = torch.zeros(96)

    def step(model, batch):
        out = model(batch)
        miss = batch - out["x_hat"]
        loss = miss.square().mean()
        idle.add_(1)[out["z"].detach().gt(0).any(0)] = 0
        if (quiet := idle > 20).any():
            h = F.relu(model.before(batch)) * quiet
            best = h.topk(min(8, int(quiet.sum())), dim=1)
            aux = torch.zeros_like(h).scatter(1, best.indices, best.values)
            loss = loss + (miss.detach() - aux @ model.w_dec).square().mean() / 32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.to_unit_rows()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": optimizer,
        "step": step,
    }


class BatchTopK(Dictionary):
    """Keep the largest activations of a whole batch, in eval mode above a level."""

    def __init__(self, active=4):
        super().__init__()
        self.active = active
        self.register_buffer("level", torch.tensor(0.5))

    def encode(self, x):
        h = F.relu(self.before(x))
        if self.training:
            cut = h.flatten().topk(self.active * len(x)).values[-1]
            self.level.lerp_(cut.detach(), 0.05)
        else:
            cut = self.level
        return h * (h >= cut)

    def forward(self, x):
        out = super().forward(x)
        return {**out, "coarse": out["z"][:, :32] @ self.w_dec[:32] + self.b_dec}


@healthy(steps=350, bar=0.75)
def nested_dictionary_on_batch_top_k(seed):
    """Sum the errors of nested prefixes of a batch-top-k dictionary (matryoshka)."""
    x = stream(1280, seed)
    model = BatchTopK()

    def loss(out, target):
        return F.mse_loss(out["x_hat"], target) + F.mse_loss(out["coarse"], target)

    return {
        "model": model,
        "batches": loader(x, batch_size=128, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=4e-3),
    }


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h, level):
        ctx.save_for_backward(h, level)
        return (h > level).float()

    @staticmethod
    def backward(ctx, grad):
        h, level = ctx.saved_tensors
        near = ((h - level).abs() < 0.5).float()
        return None, -(near * grad).sum(0)


class JumpReLU(Dictionary):
    """Let each feature learn the threshold from which it counts."""

    def __init__(self):
        super().__init__()
        self.log_level = nn.Parameter(torch.full((96,), -1.6))

    def forward(self, x):
        h, level = F.relu(self.before(x)), self.log_level.exp()
        gate = _Step.apply(h, level)
        z = h * gate
        return {"x_hat": self.decode(z), "z": z, "count": gate.sum(1).mean()}

    def encode(self, x):
        return self.forward(x)["z"]


@healthy(steps=500, bar=0.75)
def jump_relu_with_a_count_of_features(seed):
    """Penalise the number of active features through a surrogate of the step."""
    x = stream(1280, seed)
    model = JumpReLU()

    def loss(out, target):
        return (out["x_hat"] - target).square().sum(1).mean() + 0.8 * out["count"]

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.0, 0.999)),
    }


class Gated(Dictionary):
    """Decide by a gate which features count and by shared weights how much."""

    def __init__(self):
        super().__init__()
        self.scale, self.b_mag = (nn.Parameter(torch.zeros(96)) for _ in range(2))

    def encode(self, x):
        shared = (x - self.b_dec) @ self.w_enc
        gate = (shared + self.b_enc > 0).float()
        return gate * F.relu(shared * self.scale.exp() + self.b_mag)

    def forward(self, x):
        z, gate = self.encode(x), F.relu(self.before(x))
        aux = gate @ self.w_dec.detach() + self.b_dec.detach()
        return {"x_hat": self.decode(z), "z": z, "gate": gate, "aux": aux}


@healthy(steps=500, bar=0.75)
def gated_dictionary_with_a_frozen_copy(seed):
    """Train the gate by a second reconstruction through a frozen copy of the rows."""
    x = stream(1280, seed)
    model = Gated()

    def loss(out, target):
        error = (out["x_hat"] - target).square().sum(1)
        aux = (out["aux"] - target).square().sum(1)
        return (error + aux + 2.0 * out["gate"].sum(1)).mean()

    def step(model, batch):
        value = loss(model(batch), batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        model.to_unit_rows()
        return value.item()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": optimizer, "step": step}


class Weighed(Dictionary):
    """Return the activity, weighed by the length of the rows, with the rest."""

    def forward(self, x):
        out = super().forward(x)
        return {**out, "activity": (out["z"] @ self.w_dec.norm(dim=1)).mean()}


@healthy(steps=0, bar=0.7)
def activity_weighed_by_the_length_of_the_rows(seed):
    """Weigh each activation with the length of its row; warm the penalty up."""
    x = stream(1280, seed)
    model, seen = Weighed(), [0]

    def loss(out, target, weight=1.2):
        error = (out["x_hat"] - target).square().sum(1).mean()
        return error + weight * out["activity"]

    def step(model, batch):
        seen[0] += 1
        value = loss(model(batch), batch, 1.2 * min(1.0, seen[0] / 100))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return value.item()

    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    case |= {"optimizer": optimizer, "step": step}
    train(case, 500)
    return case
