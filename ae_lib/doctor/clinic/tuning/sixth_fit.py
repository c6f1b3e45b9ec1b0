"""Mistakes that show in trained models and histories, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.measures import detail, neighbours, outputs, train
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    PatchNet,
    block_net,
    paths,
    rings,
    written,
)


def diary(case, count, steps, rest):
    """Train `count` epochs; return the losses and the errors on the rest."""
    kept = {"train_loss": [], "val_loss": []}
    for _ in range(count):
        losses = train(case, steps)
        kept["train_loss"].append(sum(losses) / len(losses))
        _, target, x_hat = outputs({**case, "eval_batches": [rest]})
        kept["val_loss"].append(float(F.mse_loss(x_hat, target)))
    return kept


class Swapped(AE):
    """Mix codes across the batch before decoding."""

    mix = True

    def forward(self, x: Tensor) -> Tensor:
        z = self.encode(x)
        if self.mix:
            z = z[torch.randperm(len(z))]
        return self.decode(z)


# Asked: leftover of a mixup experiment: codes are permuted, output is the mean image.
@faulty("fit.mean-image", steps=0, bar=0.4)
def codes_that_change_places(seed, fixed):
    """Shuffle the codes within each batch, a leftover of an experiment."""
    x, y = digits(512, seed, size=16)
    plain = dense((1, 16, 16), (128,), 24, act=nn.SiLU)
    model = Swapped(plain.encoder, plain.decoder)
    model.mix = not fixed
    case = written(model, loader(x, y, seed=seed))
    train(case, 250)
    return case


# Asked: max-norm constraint from a dropout paper, every output is the same grey.
# Rows as short as that are also weights that are far too small.
@faulty("fit.mean-image", accepts=("signal.init-scale",), steps=0, bar=0.4)
def rows_kept_very_short(seed, fixed):
    """Shorten each row of weights to a length of 0.05 after every step."""
    x = rings(448, seed, size=16)
    model = dense((1, 16, 16), (128,), 16, act=nn.ELU)
    optimizer = adam(model, 3e-3)
    longest = 3.0 if fixed else 0.05

    def step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for p in model.parameters():
                if p.dim() > 1:
                    p.copy_(p.renorm(2, 0, longest))
        return loss.item()

    case = written(model, loader(x, seed=seed), optimizer, step=step)
    train(case, 300)
    return case


# Asked: one epoch "because it takes long"; all reconstructions are smears.
@faulty("fit.undertrained", steps=0, bar=0.6)
def a_cup_of_coffee_long(seed, fixed):
    """Stop a network for rings after a few short epochs, its loss still falling."""
    x = rings(640, seed)
    model = block_net((1, 28, 28), 12)
    case = written(model, loader(x[:512], batch_size=32, seed=seed), adam(model, 1e-3))
    case |= {"eval_batches": [x[512:]]}
    return {**case, "history": diary(case, 14 if fixed else 3, 16, x[512:])}


# Asked: val_loss goes down in every one of my ten epochs, yet the curves are flat.
# A reference optimizer is faster: that its steps are small may be said as well.
@faulty("fit.undertrained", accepts=("step.too-small",), steps=0, bar=0.6)
def ten_epochs_of_slow_descent(seed, fixed):
    """Train curves by plain SGD at a sensible rate and stop while all losses fall."""
    x = paths(640, seed, causes=5)
    model = dense((80,), (64,), 8, act=nn.Tanh, last=None)
    case = written(model, loader(x[:512], seed=seed), sgd(model, 0.1))
    case |= {"eval_batches": [x[512:]]}
    return {**case, "history": diary(case, 200 if fixed else 10, 8, x[512:])}


# Asked: 20 images, loss near 0, but a new image comes out as one of the 20.
# Like: https://github.com/msminhas93/anomaly-detection-using-autoencoders/issues/8
@faulty("fit.overfit", steps=0, bar=0.35)
def twenty_rings_by_heart(seed, fixed):
    """Train a wide network on 20 pictures until other pictures suffer."""
    x = rings(800, seed, size=20)
    x, rest = x[: 640 if fixed else 20], x[640:]
    model = dense((1, 20, 20), (256, 128), 40)
    case = written(model, loader(x, batch_size=20, seed=seed), eval_batches=[rest])
    case["optimizer"] = torch.optim.AdamW(model.parameters(), 2e-3)
    return {**case, "history": diary(case, 25, 20, rest)}


# Asked: 25 patients, 40 markers, training error zero; validation rises from epoch 5 on.
@faulty("fit.overfit", steps=0, bar=0.45)
def twenty_five_patients(seed, fixed):
    """Learn noisy rows of 25 patients by heart with a network of two wide layers."""
    x = table(1000, seed, d=40, rank=5)
    x = x + 0.8 * torch.randn_like(x)
    x, rest = x[: 700 if fixed else 25], x[700:]
    model = dense((40,), (200,), 6, act=nn.GELU, last=None)
    case = written(model, loader(x, batch_size=25, seed=seed), adam(model, 2e-3))
    case |= {"eval_batches": [rest]}
    return {**case, "history": diary(case, 20, 25, rest)}


# Asked: blurred pictures, whatever the code's size; the last layer is AvgPool(5).
@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def averaged_after_the_last_layer(seed, fixed):
    """Smooth the output by averages over 5 x 5, against noise, and train for long."""
    x = rings(512, seed, size=20)
    model = dense((1, 20, 20), (196,), 40, act=nn.GELU, last=None)
    if not fixed:
        for _ in range(2):
            model.decoder.append(nn.AvgPool2d(5, 1, 2, count_include_pad=False))
    case = written(model, loader(x, seed=seed))
    train(case, 400)
    return case


class Pyramid(nn.Module):
    """Halve twice by averages, code what is left, and enlarge it smoothly."""

    def __init__(self, small: bool):
        super().__init__()
        self.small, side = small, 7 if small else 28
        self.inner = dense((1, side, side), (196,), 40, last=None)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        seen = F.avg_pool2d(x, 4) if self.small else x
        out = self.inner(seen)
        if self.small:
            out = F.interpolate(out, size=28, mode="bicubic")
        return out, seen


# Asked: to save memory images are shrunk in the model; reconstructions lack all edges.
@faulty("fit.blurry", steps=0, measure=detail, bar=0.3)
def shrunk_inside_the_model(seed, fixed):
    """Shrink pictures to 7 x 7 before encoding and enlarge them after decoding."""
    x = rings(512, seed)
    model = Pyramid(small=not fixed)
    case = written(model, loader(x, seed=seed))
    train(case, 500)
    return case


# Asked: clusters in the code follow the position of the digit, not the digit.
@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.75)
def digits_lost_on_a_large_canvas(seed, fixed):
    """Put small digits anywhere on a canvas: the code says where, not which."""
    small, y = digits(640, seed, size=8)
    x = torch.zeros(640, 1, 20, 20)
    places = torch.full((640, 2), 6) if fixed else torch.randint(0, 13, (640, 2))
    for image, digit, (top, left) in zip(x, small, places.tolist(), strict=True):
        image[:, top : top + 8, left : left + 8] = digit
    model = dense((1, 20, 20), (160,), 8, act=nn.ELU)
    data = loader(x, y, shuffle=False)
    case = written(model, data, adam(model), labels=y)
    train({**case, "batches": loader(x, seed=seed)}, 400)
    return case


# Asked: k-NN on the code of digits over wallpaper is worse than on pixels.
@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.75)
def digits_on_wallpaper(seed, fixed):
    """Learn features of digits that lie on bold stripes: it learns the wallpaper."""
    x, y = digits(640, seed, size=12)
    axis = torch.arange(12.0)
    speed, phase = 2 * torch.rand(2, 640, 2, 1, 1, 1)
    wave = speed[:, 0] * axis[:, None] + speed[:, 1] * axis + 6 * phase[:, 0]
    x = x if fixed else 0.2 * x + 0.8 * (0.5 + 0.5 * wave.sin())
    model = PatchNet(1, 12, 8, patch=3, width=32)
    data = loader(x, y, shuffle=False)
    case = written(model, data, adam(model, 3e-3), labels=y)
    train({**case, "batches": loader(x, seed=seed)}, 400)
    return case
