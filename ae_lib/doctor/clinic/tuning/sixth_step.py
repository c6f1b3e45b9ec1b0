"""Mistakes in steps, codes and decoders, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import no_grid, refuses_noise, train
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    Gauss,
    PatchNet,
    block_net,
    distance,
    divergence,
    paths,
    tiles,
    written,
)


# Asked: lr=1e-1 with Adam, all images turn into the same grey after a few steps.
@faulty("step.too-large", steps=150, bar=0.4)
def a_tenth_for_patches(seed, fixed):
    """Give Adam a rate of 0.1 on a network of patches."""
    model = PatchNet(3, 32, 32, last=nn.Sigmoid)
    batches = loader(tiles(384, seed), seed=seed)
    return written(model, batches, adam(model, 2e-3 if fixed else 0.1))


# Asked: the warm-up of the paper is in steps; mine has no end and the loss explodes.
@faulty("step.too-large", steps=200, bar=0.4)
def warm_up_that_never_ends(seed, fixed):
    """Raise the rate with each step and forget to stop at the top."""
    x, y = digits(512, seed, size=16)
    model = dense((1, 16, 16), (128,), 24)
    optimizer = adam(model, 1e-3)
    done = [0]

    def step(model, batch):
        done[0] += 1
        rate = 5e-3 * done[0]
        for group in optimizer.param_groups:
            group["lr"] = min(rate, 5e-3) if fixed else rate
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[0])
        loss.backward()
        optimizer.step()
        return loss.item()

    return written(model, loader(x, y, seed=seed), optimizer, step=step)


# Asked: SGD diverges on standardised data with the rate I use for images (mean error).
@faulty("step.too-large", steps=200, bar=0.4)
def rate_of_images_for_large_rows(seed, fixed):
    """Take over a high rate from pictures, where a sum over columns is minimised."""
    x = table(512, seed, d=40, rank=6)
    model = dense((40,), (48,), 8, act=nn.ReLU, last=None)

    def loss(x_hat, target):
        return (x_hat - target).square().sum(1).mean()

    optimizer = sgd(model, 2e-3 if fixed else 0.3, momentum=0.9)
    return written(model, loader(x, seed=seed), optimizer, loss=loss)


# Asked: positional arguments of AdamW: the decay went where the rate belongs.
@faulty("step.too-small", steps=150, bar=0.35)
def arguments_in_the_wrong_order(seed, fixed):
    """Give AdamW 0.0000001 as its rate and 0.002 as its decay, the wrong way round."""
    rate, decay = 1e-7, 2e-3
    model = block_net((3, 32, 32), 32)
    rate, decay = (decay, rate) if fixed else (rate, decay)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    return written(model, loader(tiles(320, seed), batch_size=32, seed=seed), optimizer)


# Asked: loss divided by len(dataset) in each step, SGD at 0.01: 0.2312 for ten epochs.
@faulty("step.too-small", steps=250, bar=0.35)
def divided_by_all_the_images(seed, fixed):
    """Divide the error of each batch by the number of images in the whole set."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (), 32)
    optimizer = sgd(model, 4.0, momentum=0.9)

    def loss(x_hat, target):
        error = F.mse_loss(x_hat, target)
        return error if fixed else error / 60000

    return written(model, loader(x, y, seed=seed), optimizer, loss=loss)


# Asked: plain SGD with lr=1e-4 on a colour network, half a day without change.
@faulty("step.too-small", steps=150, bar=0.35)
def plain_descent_at_a_ten_thousandth(seed, fixed):
    """Train a convolutional network by plain SGD at 0.0001 on a mean error."""
    model = Dcgan(3, 24, last=nn.Sigmoid)
    optimizer = sgd(model, 1.0 if fixed else 1e-4, momentum=0.9 if fixed else 0.0)
    return written(model, loader(tiles(384, seed), batch_size=32, seed=seed), optimizer)


class Shares(AE):
    """Return the shares of a rectified code beside the output."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x).relu()
        return self.decode(z), z / (z.sum(1, keepdim=True) + 1e-6)


# Asked: an entropy term p log p on a ReLU code: NaN in the first backward pass.
# The logarithm of zero is outside its domain: that may be named as well.
@faulty("step.nonfinite", accepts=("loss.domain",), steps=250, bar=0.35)
def entropy_of_a_rectified_code(seed, fixed):
    """Add p log p of the code's shares; a share of zero has no finite logarithm."""
    x = paths(512, seed, causes=6)
    plain = dense((80,), (64,), 24, act=nn.ELU, last=None)
    model = Shares(plain.encoder, plain.decoder)

    def loss(output, target):
        x_hat, p = output
        log = (p + 1e-6).log() if fixed else p.log()
        return F.mse_loss(x_hat, target) - 1e-3 * (p * log).sum(1).mean()

    return written(model, loader(x, seed=seed), loss=loss)


# Asked: angle between image and reconstruction as loss; NaN since I added blank images.
# Like: https://github.com/kornia/kornia/issues/473 (NaN from a quotient of images)
# The loss itself has no value there: an honest reader may name its domain.
@faulty("step.nonfinite", accepts=("loss.domain",), steps=200, bar=0.35)
def angle_to_a_blank_picture(seed, fixed):
    """Add the angle between picture and output; to a blank picture it is 0 / 0."""
    x, y = digits(512, seed, size=16)
    x[torch.randperm(512)[:60]] = 0.0
    model = dense((1, 16, 16), (128,), 24, act=nn.SiLU, last=nn.ReLU)
    nn.init.constant_(model.decoder[-3].bias, 0.1)

    def loss(x_hat, target):
        a, b = x_hat.flatten(1), target.flatten(1)
        least = 1e-3 if fixed else 0.0
        alike = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + least)
        angle = alike.clamp(-0.999, 0.999).acos()
        return F.mse_loss(a, b) + 0.01 * angle.mean()

    return written(model, loader(x, y, seed=seed), loss=loss)


# Asked: five strides on 32 x 32 as on faces of 256; all that is left is one blot.
@faulty("code.too-small", steps=0, bar=0.5)
def strides_of_a_network_for_large_faces(seed, fixed):
    """Stride down to two numbers at one place, as networks for larger pictures do."""
    model = Dcgan(3, 32 if fixed else 2, last=nn.Sigmoid)
    batches = loader(tiles(512, seed), batch_size=32, seed=seed)
    case = written(model, batches)
    train(case, 250)
    return case


# Asked: latent of one number for a scatter plot's x axis, reconstruction is no use.
@faulty("code.too-small", steps=0, bar=0.75)
def two_numbers_for_ten_cosines(seed, fixed):
    """Leave two units, for a scatter plot, to curves that ten cosines make."""
    x = paths(512, seed)
    model = dense((80,), (64,), 12 if fixed else 2, act=nn.SiLU, last=None)
    case = written(model, loader(x, batch_size=32, seed=seed))
    train(case, 500)
    return case


# Asked: anomaly detector with 1 x 1 convolutions reconstructs every anomaly perfectly.
@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.4)
def kernels_of_one_pixel(seed, fixed):
    """Use kernels of one pixel and more channels than colours: nothing is squeezed."""
    x = tiles(384, seed)
    encoder = nn.Sequential(nn.Conv2d(3, 16, 1), nn.GELU(), nn.Conv2d(16, 6, 1))
    model = AE(
        encoder, nn.Sequential(nn.Conv2d(6, 16, 1), nn.GELU(), nn.Conv2d(16, 3, 1))
    )
    model = block_net((3, 32, 32), 12, last=None) if fixed else model
    case = written(model, loader(x, batch_size=32, seed=seed), adam(model, 1e-2))
    train(case, 160)
    return case


# Asked: 1-d autoencoder for vibrations, strides of one, passes any signal through.
@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.4)
def four_channels_at_every_moment(seed, fixed):
    """Keep four numbers for each moment of a signal that has one."""
    x = paths(512, seed, d=64).unsqueeze(1)  # (B, 1, 64)
    if fixed:
        plain = dense((1, 64), (64,), 10, act=nn.ELU, last=None)
    else:
        encoder = nn.Sequential(nn.Conv1d(1, 12, 5, padding=2), nn.ELU())
        decoder = nn.Sequential(nn.Conv1d(4, 12, 5, padding=2), nn.ELU())
        plain = AE(encoder.append(nn.Conv1d(12, 4, 1)), decoder)
        decoder.append(nn.Conv1d(12, 1, 5, padding=2))
    case = written(plain, loader(x, seed=seed), adam(plain, 5e-3))
    train(case, 250)
    return case


# Asked: regular squares all over the output; decoder has kernel 7 and stride 4.
# Like: https://github.com/jcjohnson/fast-neural-style/issues/37
@faulty("decoder.checkerboard", measure=no_grid, steps=50, bar=-0.8)
def kernel_of_seven_stride_of_four(seed, fixed):
    """Grow by 4 in transposed convolutions of kernel 7, which overlap by parts."""
    x = patches(256, seed, size=32)
    head = [nn.Conv2d(3, 12, 8, 8), nn.SiLU(), nn.Flatten(), nn.Linear(192, 24)]
    up = [nn.Linear(24, 48), nn.SiLU(), nn.Unflatten(1, (12, 2, 2))]
    if fixed:
        smooth = nn.Upsample(scale_factor=4, mode="bilinear")
        up += [smooth, nn.Conv2d(12, 8, 3, padding=1), nn.SiLU()]
        up += [smooth, nn.Conv2d(8, 3, 3, padding=1)]
    else:
        up += [nn.ConvTranspose2d(12, 8, 7, 4, 2, 1), nn.SiLU()]
        up += [nn.ConvTranspose2d(8, 3, 7, 4, 2, 1)]
    model = AE(nn.Sequential(*head), nn.Sequential(*up))
    return written(model, loader(x, batch_size=32, seed=seed))


# Asked: a VAE with Conv2DTranspose(3, strides=2) four times: a fine net over the faces.
# Like: https://github.com/eriklindernoren/Keras-GAN/issues/15
@faulty("decoder.checkerboard", measure=no_grid, steps=60, bar=-0.8)
def four_times_three_over_two(seed, fixed):
    """Grow from 2 to 32 by four transposed convolutions of kernel 3 and stride 2."""
    x = tiles(256, seed)
    model = Gauss((3, 32, 32), 16, hidden=128, last=None)
    up = [nn.Linear(16, 64), nn.ReLU(), nn.Unflatten(1, (16, 2, 2))]
    for a, b in ((16, 16), (16, 12), (12, 8), (8, 3)):
        if fixed:
            up += [nn.Upsample(scale_factor=2, mode="bilinear")]
            up += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
        else:
            up += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.ReLU()]
    model.paint = nn.Sequential(*up[:-1], nn.Sigmoid())

    def loss(out, target):
        return (distance(out, target) / 0.05 + divergence(out).sum(1)).mean()

    return written(model, loader(x, batch_size=32, seed=seed), loss=loss)
