"""Healthy programs on pictures: optimizers, schedules, averages and augmentation."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    cells,
    ellipses,
    faces,
    fitted,
    flows,
    satellite,
)


def stepped(optimizer, loss_of=F.mse_loss, after=lambda: None):
    """Return a training step that calls `after` at its end."""

    def step(model, batch):
        x = batch if isinstance(batch, torch.Tensor) else batch[0]
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x), x)
        loss.backward()
        optimizer.step()
        after()
        return loss.item()

    return step


@healthy(steps=30, bar=0.35)
def padded_digits_in_one_cycle(seed):
    """Pad digits to 32 pixels and train by SGD with one cycle, half of it."""
    x, y = digits(1280, seed, 24)
    x = F.pad(x, (4, 4, 4, 4))
    model = dense((1, 32, 32), (256,), 24)
    optimizer = sgd(model, 0.1, momentum=0.9)
    cycle = lr_scheduler.OneCycleLR(optimizer, 5.0, total_steps=32 * 60)
    step = stepped(optimizer, after=cycle.step)
    case = {"batches": loader(x[:1024], y[:1024], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[1024:], y[1024:], batch_size=128, shuffle=False)}
    return fitted({**case, "model": model, "step": step, "optimizer": optimizer}, 30)


@healthy(steps=40, bar=0.4)
def average_of_the_weights_beside(seed):
    """Keep a moving average of all weights beside the network, for later use."""
    model = conv((1, 16, 16), 24, act=nn.SiLU, width=12)
    average, optimizer = copy.deepcopy(model).requires_grad_(False), adam(model, 4e-3)

    def follow():
        both = zip(average.parameters(), model.parameters(), strict=True)
        for kept, new in both:
            kept.lerp_(new.detach(), 0.01)

    step = stepped(optimizer, F.binary_cross_entropy, follow)
    data = loader(ellipses(512, seed), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "step": step, "optimizer": optimizer}
    case |= {"eval_batches": loader(ellipses(128, seed + 21), shuffle=False)}
    return fitted({**case, "loss": nn.BCELoss()}, 18)


@healthy(steps=30, bar=0.4)
def rate_halved_on_plateaus(seed):
    """Halve the rate when the validation loss of flow fields stops falling."""
    x, test = flows(640, seed), flows(128, seed + 17)
    model = dense((2, 16, 16), (128,), 16, act=nn.ELU, last=None)
    optimizer = torch.optim.Adamax(model.parameters(), 4e-3)
    wait = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    case |= {"eval_batches": loader(test, shuffle=False)}
    history = {"train_loss": [], "val_loss": []}
    for _ in range(35):
        one = fitted(case, 1)["history"]
        wait.step(one["val_loss"][0])
        history = {name: history[name] + one[name] for name in history}
    return {**case, "history": history}


class Endless:
    """Draw new micrographs for every epoch."""

    def __init__(self, seed):
        self.epoch = 1000 * seed

    def __len__(self):
        return 10

    def __iter__(self):
        self.epoch += 1
        return iter(cells(640, 7000 + self.epoch).split(64))


@healthy(steps=40, bar=0.35)
def new_pictures_in_every_epoch(seed):
    """Simulate new micrographs for every epoch instead of storing a set."""
    model = dense((1, 16, 16), (192,), 16, act=nn.LeakyReLU)
    case = {"model": model, "batches": Endless(seed), "optimizer": adam(model)}
    return fitted({**case, "eval_batches": [cells(256, seed + 400)]}, 30)


class Lion(torch.optim.Optimizer):
    """Step by the sign of an averaged gradient."""

    def __init__(self, params, lr=3e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            a, b = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["decay"])
                p.sub_(torch.sign(a * m + (1 - a) * p.grad), alpha=group["lr"])
                m.mul_(b).add_(p.grad, alpha=1 - b)


@healthy(steps=250, bar=0.4)
def steps_by_the_sign(seed):
    """Write the Lion optimizer down and use it with weight decay."""
    model, data = conv((3, 16, 16), 32), loader(patches(512, seed), seed=seed)
    optimizer = Lion(model.parameters(), 5e-4, weight_decay=0.1)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=40, bar=0.4)
def slower_rate_for_the_old_encoder(seed):
    """Fine-tune an encoder of other pictures at a tenth of the decoder's rate."""
    model, (x, y) = conv((3, 16, 16), 32), scenes(640, seed)
    old = {"model": model, "batches": loader(patches(256, seed), seed=seed)}
    train({**old, "optimizer": adam(model)}, 60)
    model.decoder = conv((3, 16, 16), 32).decoder
    groups = [{"params": model.encoder.parameters(), "lr": 4e-4}]
    groups.append({"params": model.decoder.parameters()})
    optimizer = torch.optim.AdamW(groups, 4e-3)
    case = {"batches": loader(x[:512], y[:512], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[512:], y[512:], shuffle=False)}
    return fitted({**case, "model": model, "optimizer": optimizer}, 18)


@healthy(steps=120, bar=0.35)
def two_gradients_for_a_step(seed):
    """Take the gradient at a worse point near by before each step (SAM)."""
    model = dense((1, 24, 24), (128,), 12)
    optimizer = adam(model)
    weights = list(model.parameters())

    def step(model, batch):
        F.mse_loss(model(batch), batch).backward()
        norm = torch.stack([p.grad.norm() for p in weights]).norm()
        away = [0.02 * p.grad / (norm + 1e-12) for p in weights]
        with torch.no_grad():
            for p, way in zip(weights, away, strict=True):
                p.add_(way)
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        with torch.no_grad():
            for p, way in zip(weights, away, strict=True):
                p.sub_(way)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    data = loader(faces(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}


@healthy(steps=40, bar=0.5)
def all_tiles_at_once_with_lbfgs(seed):
    """Fit band mixtures, pixel by pixel, by L-BFGS on the whole set at once."""
    x = satellite(256, seed, 8)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
    model = AE(nn.Conv2d(6, 3, 1), nn.Sequential(nn.Conv2d(3, 12, 1), nn.Tanh()))
    model.decoder.append(nn.Conv2d(12, 6, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)

    def step(model, batch):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    return {"model": model, "batches": [x], "step": step, "optimizer": optimizer}
