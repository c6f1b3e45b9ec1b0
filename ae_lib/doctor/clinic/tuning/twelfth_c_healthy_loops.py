"""Eighth part, c: loops of one's own and pre-trained parts that are right."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, sgd
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_c_material import (
    gait,
    landscapes,
    machine,
    process,
    songs,
)


@healthy(steps=480, bar=0.6)
def four_small_batches_for_a_step(seed):
    """Gather the gradients of four batches, each divided by four, for one step."""
    x, kind = gait(1024, seed)
    model = dense((3, 32), k=8, act=nn.ELU, last=None)
    optimizer, seen = sgd(model, 0.5, momentum=0.9), [0]

    def step(model, batch):
        rows, _ = batch
        loss = F.mse_loss(model(rows), rows)
        (loss / 4).backward()
        seen[0] += 1
        if seen[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=16, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Averaged(nn.Module):
    """Train one network and answer, in eval mode, with its moving average."""

    def __init__(self, net):
        super().__init__()
        self.net, self.average = net, copy.deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def follow(self, rate=0.05):
        pairs = zip(self.average.parameters(), self.net.parameters(), strict=True)
        for old, new in pairs:
            old.lerp_(new, rate)

    def forward(self, x):
        return self.net(x) if self.training else self.average(x)


@healthy(steps=300, bar=0.7)
def average_of_the_weights_in_use_when_judged(seed):
    """Update a moving average of the weights after each step, and judge with it."""
    x = process(1024, seed)
    model = Averaged(dense((20,), (64,), 5, nn.GELU, last=None))
    optimizer = torch.optim.AdamW(model.net.parameters(), lr=4e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        model.follow()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x[:896], seed=seed),
        "eval_batches": [x[896:]],
        "step": step,
        "optimizer": optimizer,
    }


class Half(nn.Module):
    """Compute in bfloat16 under autocast and answer in it."""

    def __init__(self):
        super().__init__()
        self.net = dense((1, 16, 16), (128,), 16, nn.SiLU, last=None)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x)


@healthy(steps=250, bar=0.6)
def spectrograms_in_half_the_bits(seed):
    """Train on spectrograms under bfloat16 autocast, with the loss in float32."""
    x = songs(896, seed)
    model = Half()

    def loss(output, target):
        return F.mse_loss(output.float(), target)

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model),
    }


class Transposed(nn.Module):
    """Find the main directions of a table with one matrix, used both ways."""

    def __init__(self, d=20, k=4):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(k, d) / d**0.5)

    def encode(self, x):
        return F.linear(x, self.weight)

    def forward(self, x):
        return F.linear(self.encode(x), self.weight.t())


@healthy(steps=8, bar=0.7)
def main_directions_by_quasi_newton_steps(seed):
    """Fit a tied linear autoencoder to all rows at once with L-BFGS."""
    x = process(512, seed)
    model = Transposed()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=10, line_search_fn="strong_wolfe"
    )

    def step(model, batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    return {"model": model, "batches": [x], "step": step, "optimizer": optimizer}


class Decoded(nn.Module):
    """Train a new decoder on the codes of an encoder that stays as it is."""

    def __init__(self, encoder, k=8, c=4, t=32):
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.decoder = nn.Sequential(
            nn.Linear(k, 192), nn.SiLU(), nn.Linear(192, c * t)
        )

    def forward(self, x):
        with torch.no_grad():
            z = self.encoder(x)
        return self.decoder(z).view_as(x)


@healthy(steps=200, bar=0.7)
def new_decoder_for_an_encoder_that_rests(seed):
    """Keep a trained encoder without gradients and learn a larger decoder for it."""
    x = machine(1024, seed)
    first = dense((4, 32), (96,), 8, last=None)
    train({"model": first, "batches": loader(x, seed=seed)}, 200)
    model = Decoded(first.encoder)
    alive = [p for p in model.parameters() if p.requires_grad]
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(alive, lr=2e-3),
    }


class Settled(nn.Module):
    """Refine a network whose batch statistics stay those of its first training."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def train(self, mode=True):
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x):
        return self.net(x)


@healthy(steps=100, bar=0.6)
def batch_norm_kept_at_rest_while_refining(seed):
    """Refine a trained network on evening pictures, its batch norm in eval mode."""
    net = conv((3, 12, 12), 12, 12, nn.SiLU, norm=True)
    x = landscapes(640, seed, size=12)
    first = {"model": net, "batches": loader(x, seed=seed), "optimizer": adam(net)}
    train(first, 90)
    evening = x * torch.tensor([0.9, 0.75, 0.7]).view(1, 3, 1, 1)
    model = Settled(net)
    return {
        "model": model,
        "batches": loader(evening, batch_size=32, seed=seed + 1),
        "loss": nn.L1Loss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=1e-3),
    }


@healthy(steps=350, bar=0.7)
def large_rate_with_nesterov_and_a_cosine(seed):
    """Use SGD at a rate of 0.5, which Nesterov, warm-up and a cosine make good."""
    x = process(1024, seed)
    model = dense((20,), (64,), 5, nn.Tanh, last=None)
    optimizer = sgd(model, 0.5, momentum=0.8, nesterov=True)

    def share(i: int) -> float:
        turn = torch.tensor(3.1416 * min(i, 400) / 400)
        return min((i + 1) / 30, 0.55 + 0.45 * torch.cos(turn).item())

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


@healthy(steps=0, bar=0.7)
def plateau_after_the_rate_came_down(seed):
    """Train strides until the error is flat and a plateau rule has cut the rate."""
    x, kind = gait(768, seed)
    rows, val = x[:640], x[640:]
    model = dense((3, 32), (96,), 10, nn.SiLU, last=None)
    optimizer = adam(model, 5e-3)
    rule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    case = {
        "model": model,
        "batches": loader(rows, kind[:640], seed=seed),
        "eval_batches": [val],
        "optimizer": optimizer,
    }
    history = {"train_loss": [], "val_loss": []}
    for _ in range(50):
        losses = train(case, 10)
        model.eval()
        with torch.no_grad():
            history["val_loss"].append(F.mse_loss(model(val), val).item())
        history["train_loss"].append(sum(losses) / len(losses))
        rule.step(history["val_loss"][-1])
    return {**case, "history": history}
