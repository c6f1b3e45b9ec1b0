"""Mistakes in steps, codes and decoders, rebuilt from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import no_grid, refuses_noise, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    SignalAE,
    heartbeats,
    pooled,
)


# Source: https://github.com/NLeSC/mcfly/issues/43
@faulty("step.too-large", steps=150, bar=0.3)
def adam_of_a_tenth(seed, fixed):
    """Give Adam a learning rate of 0.2 on a convolutional network."""
    x = scenes(512, seed)[0]
    model = pooled((3, 16, 16), 32, width=24)
    optimizer = adam(model, 2e-3 if fixed else 0.2)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


# Source: https://github.com/keras-team/autokeras/pull/571
@faulty("step.too-large", steps=200, bar=0.4)
def one_rate_for_both_groups(seed, fixed):
    """Give the decoder's group the rate of the other group times 500."""
    x, y = digits(640, seed, size=12)
    model = dense((1, 12, 12), (96,), 16, act=nn.ELU, last=None)
    groups = [
        {"params": model.encoder.parameters(), "lr": 1e-3},
        {"params": model.decoder.parameters(), "lr": 2e-3 if fixed else 0.5},
    ]
    optimizer = torch.optim.RMSprop(groups)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


# Source: https://github.com/keras-team/keras/issues/1604
@faulty("step.too-small", steps=300, bar=0.3)
def stuck_at_the_first_figure(seed, fixed):
    """Use SGD at 0.001 on a mean over pixels: the loss keeps its first digits."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (), 32, last=nn.Sigmoid)
    optimizer = sgd(model, 5.0 if fixed else 1e-3, momentum=0.9 if fixed else 0.1)
    data = loader(x, y, batch_size=128, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


# Source: https://github.com/ivadomed/ivadomed/pull/55
# Source: https://github.com/pytorch/tutorials/pull/640
@faulty("step.too-small", steps=300, bar=0.4)
def decay_in_the_wrong_loop(seed, fixed):
    """Multiply the rate by 0.5 after each batch, not after each epoch."""
    x = heartbeats(512, seed)
    model = SignalAE(96, 8)
    optimizer = adam(model, 2e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= 0.999 if fixed else 0.5
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


class Aperture(AE):
    """See the world through a round hole: corners are set to zero."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * hole(x)


def hole(x: Tensor) -> Tensor:
    """Return ones inside a circle and zeros outside, as large as the images."""
    line = torch.linspace(-1, 1, x.shape[-1])
    return (line.square() + line.square()[:, None] < 1).float()


# Source: https://github.com/keras-team/keras/issues/1172
# Source: https://github.com/pytorch/pytorch/issues/2421
@faulty("step.nonfinite", steps=250, bar=0.3)
def root_of_an_exact_zero(seed, fixed):
    """Take the root of each squared error: masked corners are met exactly."""
    x = patches(384, seed)
    plain = conv((3, 16, 16), 24, act=nn.ELU)
    model = Aperture(plain.encoder, plain.decoder)

    def loss(x_hat, target):
        square = (x_hat - target).square()
        return (square + 1e-6 if fixed else square).sqrt().mean()

    case = {"model": model, "batches": loader(x * hole(x), seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model)}


class OnTheSphere(AE):
    """Divide each code by its length."""

    least = 0.0

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        return z / (z.norm(dim=1, keepdim=True) + self.least)


# Source: https://github.com/FlyingGiraffe/vnn/pull/4
# Source: https://github.com/richzhang/PerceptualSimilarity/issues/69
@faulty("step.nonfinite", steps=250, bar=0.3)
def length_of_an_empty_code(seed, fixed):
    """Divide codes by their length; the code of an empty image is zero."""
    x, _ = digits(512, seed, size=12)
    x[torch.randperm(512)[:20]] = 0.0
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 96, bias=False), nn.ReLU())
    encoder.append(nn.Linear(96, 24, bias=False))
    decoder = nn.Sequential(*stack((24, 96)), nn.Linear(96, 144), nn.Sigmoid())
    model = OnTheSphere(encoder, decoder.append(nn.Unflatten(1, (1, 12, 12))))
    model.least = 1e-3 if fixed else 0.0
    data = loader(x, batch_size=128, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


# Source: https://github.com/cheapthrillandwine/Improving_Unsupervised_Defect_Segmentation/issues/1
@faulty("code.too-small", steps=0, bar=0.55)
def one_filter_where_a_hundred_were_meant(seed, fixed):
    """End a convolutional encoder in one number where the paper has a hundred."""
    x = scenes(512, seed)[0]
    model = conv((3, 16, 16), 64 if fixed else 1, act=nn.LeakyReLU)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case


@faulty("code.too-small", steps=0, bar=0.75)
def three_numbers_for_twelve_causes(seed, fixed):
    """Leave three units to rows that twelve independent causes make."""
    x = table(512, seed, d=40, rank=12)
    model = dense((40,), (64,), 14 if fixed else 3, act=nn.Tanh, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": torch.optim.AdamW(model.parameters(), 3e-3)}
    losses = train(case, 600)
    return {**case, "history": {"train_loss": losses[::40]}}


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.55)
def wider_than_its_input(seed, fixed):
    """Give a detector of odd rows 64 code units for 24 columns."""
    x = table(768, seed, d=24, rank=16)
    model = dense((24,), (96,), 6 if fixed else 64, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 900)
    return case


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.3)
def never_made_smaller(seed, fixed):
    """Keep all 256 places and add channels: the code is larger than the image."""
    x = scenes(384, seed)[0]
    if fixed:
        model = pooled((3, 16, 16), 16, last=None)
    else:
        encoder = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.LeakyReLU(0.2))
        model = AE(encoder, nn.Conv2d(16, 3, 3, padding=1))
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": adam(model, 1e-2)}
    train(case, 500)
    return case


# Source: https://github.com/soumith/ganhacks/issues/59
# Source: https://github.com/alan-turing-institute/icenet-mp/pull/277
@faulty("decoder.checkerboard", measure=no_grid, steps=60, bar=-0.8)
def kernel_of_three_at_stride_two(seed, fixed):
    """Undo two strides by transposed convolutions of kernel 3, which overlap."""
    x = patches(256, seed, size=32)
    model = conv((3, 32, 32), 24, width=8, act=nn.ELU)
    up = model.decoder
    if not fixed:
        up[3] = nn.ConvTranspose2d(16, 8, 3, 2, 1, 1)
        up[5] = nn.ConvTranspose2d(8, 3, 3, 2, 1, 1)
    else:
        double = nn.Upsample(scale_factor=2, mode="bilinear")
        up[3] = nn.Sequential(double, nn.Conv2d(16, 8, 3, padding=1))
        up[5] = nn.Sequential(double, nn.Conv2d(8, 3, 3, padding=1))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


# Source: https://github.com/HorizonRobotics/alf/pull/1367
@faulty("decoder.checkerboard", measure=no_grid, steps=80, bar=-0.8)
def stride_larger_than_the_kernel_fits(seed, fixed):
    """Go up by 4 in one transposed convolution of kernel 5, then by 2 of kernel 3."""
    x = scenes(384, seed, size=32)[0]
    model = conv((3, 32, 32), 32, width=8)
    head = [nn.Linear(32, 16 * 16), nn.ReLU(), nn.Unflatten(1, (16, 4, 4))]
    if fixed:
        for a, b in ((16, 8), (8, 8), (8, 3)):
            head += [nn.Upsample(scale_factor=2, mode="bilinear")]
            head += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
        head[-1] = nn.Sigmoid()
    else:
        head += [nn.ConvTranspose2d(16, 8, 5, 4, 1, 1), nn.ReLU()]
        head += [nn.ConvTranspose2d(8, 3, 3, 2, 1, 1), nn.Sigmoid()]
    model.decoder = nn.Sequential(*head)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
