"""Faults of the step: codes step.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty


@faulty("step.too-large", bar=0.4)
def adam_with_rate_one(seed, fixed):
    """Use Adam with lr=1."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    optimizer = adam(model, 2e-3 if fixed else 1.0)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("step.too-large", bar=0.4)
def adam_with_a_tenth(seed, fixed):
    """Use Adam with the rate of an SGD recipe, 0.1, on a convolutional network."""
    model = conv((3, 16, 16), 32)
    data = loader(patches(512, seed), seed=seed)
    optimizer = adam(model, 2e-3 if fixed else 0.1)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-large", accepts=("step.nonfinite",), steps=300, bar=0.4)
def summed_error_with_sgd(seed, fixed):
    """Sum the error over batch and pixels and keep lr=0.01 for SGD."""
    # accepts: the first step is already so large that the loss is infinite soon after
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24, last=None)

    def loss(output, target):
        return F.mse_loss(output, target, reduction="sum")

    case = {"model": model, "batches": loader(x, y, seed=seed), "loss": loss}
    return {**case, "optimizer": sgd(model, 1e-4 if fixed else 1e-2)}


@faulty("step.too-small", bar=0.4)
def adam_with_a_billionth(seed, fixed):
    """Mistype the rate: 1e-9 for 1e-3."""
    model = conv((3, 16, 16), 32)
    data = loader(patches(512, seed), seed=seed)
    optimizer = adam(model, 2e-3 if fixed else 1e-9)
    return {"model": model, "batches": data, "optimizer": optimizer}


@faulty("step.too-small", bar=0.3)
def sgd_on_a_mean_error(seed, fixed):
    """Use SGD with lr=1e-3 on an error averaged over all pixels."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24)
    optimizer = adam(model) if fixed else sgd(model, 1e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("step.too-small", bar=0.4)
def schedule_stepped_per_batch(seed, fixed):
    """Step an exponential schedule per batch instead of per epoch: the rate is gone."""
    x = table(512, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    optimizer = adam(model, 5e-3)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    optimizer.step()  # PyTorch warns if a schedule moves before its optimizer
    for _ in range(2 if fixed else 200):
        schedule.step()
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@faulty("step.nonfinite", bar=0.4)
def root_of_the_squared_error(seed, fixed):
    """Take a root per pixel; its gradient is infinite where the error is zero."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (128,), 24, last=nn.ReLU)
    nn.init.constant_(model.decoder[-3].bias, 0.05)

    def loss(output, target):
        squared = (output - target).square()
        return torch.sqrt(squared + (1e-6 if fixed else 0)).mean()

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class UnitLength(AE):
    """Divide the code by its length."""

    eps = 0.0

    def encode(self, x):
        z = self.encoder(x)
        return 4 * z / (z.square().sum(1, keepdim=True) + self.eps).sqrt()


@faulty("step.nonfinite", bar=0.3)
def code_of_unit_length(seed, fixed):
    """Normalise the code of an encoder without biases; a blank image has length 0."""
    x, y = digits(512, seed)
    x[::50] = 0
    inner = dense((1, 28, 28), (128,), 16)
    for layer in (inner.encoder[1], inner.encoder[3]):
        layer.bias = None
    model = UnitLength(inner.encoder, inner.decoder)
    model.eps = 1e-4 if fixed else 0.0
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class PerBatch(nn.Module):
    """Standardise the code over the batch by hand."""

    def __init__(self, safe):
        super().__init__()
        self.inner, self.safe = conv((3, 16, 16), 32), safe

    def forward(self, x):
        z = self.inner.encode(x)
        spread = z.var(0, unbiased=not self.safe).add(1e-5 if self.safe else 0).sqrt()
        return self.inner.decode((z - z.mean(0)) / spread)


@faulty("step.nonfinite", bar=0.3)
def last_batch_of_one(seed, fixed):
    """Divide by the batch's standard deviation; the last batch has one image."""
    model = PerBatch(fixed)
    data = loader(patches(513, seed), seed=seed)
    judge = [patches(512, seed + 1)]
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "judge": judge}


@faulty("step.too-large", bar=0.4)
def momentum_on_top(seed, fixed):
    """Add momentum 0.99 to an SGD rate that was at its limit already."""
    x = table(512, seed, d=32)
    encoder = nn.Sequential(*stack((32, 64)), nn.Linear(64, 8))
    decoder = nn.Sequential(*stack((8, 64)), nn.Linear(64, 32))
    model = AE(encoder, decoder)
    optimizer = sgd(model, 0.5, momentum=0.0 if fixed else 0.99)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
