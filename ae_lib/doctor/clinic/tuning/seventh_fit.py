"""Codes, decoders and trainings that disappoint, from a seventh round of questions.

What only a trained network shows is trained while it is built.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.measures import (
    detail,
    neighbours,
    no_grid,
    refuses_noise,
    train,
)
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    ResNet,
    climate,
    fit_log,
    lamps,
)


# Asked: encoding_dim = 2 as in the tutorial; of my records only the trend comes out.
@faulty("code.too-small", steps=300, bar=0.6)
def hidden_size_of_two(seed, fixed):
    """Squeeze records made of eight tides into two numbers."""
    x = climate(640, seed)
    model = Fc((48,), 96, 10 if fixed else 2, act=torch.tanh, last=None)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: which z_dim? With 3, all my photographs are a gradient from dark to light.
@faulty("code.too-small", accepts=("fit.blurry",), steps=0, bar=0.8)
def three_numbers_for_a_photograph(seed, fixed):
    """Choose three numbers for a photograph, since they can be plotted so well."""
    x = patches(512, seed, size=24)
    model = Cae((3, 24, 24), 32 if fixed else 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    batches = loader(x[:448], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    train(case, 400)
    return {**case, "eval_batches": [x[448:]]}


def _without_pooling():
    encoder = [
        nn.Conv2d(1, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 8, 3, padding=1),
    ]
    decoder = [
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 1, 3, padding=1),
    ]
    return AE(nn.Sequential(*encoder), nn.Sequential(*decoder))


# Asked: my anomaly detector reconstructs the defects too, nothing stands out.
# Like: https://github.com/anand176/Sentinel_AI_backend/issues/27 (anomaly not detected)
@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.6)
def pooling_commented_out(seed, fixed):
    """Take out the pooling because shapes did not fit: eight full maps remain."""
    x = patches(320, seed, size=24).mean(1, keepdim=True)
    model = Cae((1, 24, 24), 16) if fixed else _without_pooling()
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 300)
    return case


def _up_by_three(layer):
    decoder = [nn.Linear(24, 12 * 9), nn.Unflatten(1, (12, 3, 3)), nn.LeakyReLU()]
    for a, b in ((12, 12), (12, 8), (8, 3)):
        decoder += [*layer(a, b), nn.LeakyReLU()]
    decoder[-1] = nn.Sigmoid()
    encoder = Cae((3, 24, 24), 24)
    down = nn.Sequential(encoder.down, nn.Flatten(), encoder.to_code)
    return AE(down, nn.Sequential(*decoder))


# Asked: https://github.com/alan-turing-institute/icenet-mp/issues/276 (checkerboards)
@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=0.0)
def three_times_kernel_three_at_stride_two(seed, fixed):
    """Go up three times with kernel 3, stride 2 and an output padding."""

    def transposed(a, b):
        return [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1)]

    def resized(a, b):
        return [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(a, b, 3, 1, 1)]

    x, _ = scenes(320, seed, 24)
    model = _up_by_three(resized if fixed else transposed)
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 2e-3)}
    train(case, 80)
    return case


# Asked: https://github.com/tensorflow/compression/issues/110 (a grid on the background)
@faulty("decoder.checkerboard", steps=0, measure=no_grid, bar=0.1)
def patches_of_six_every_four_pixels(seed, fixed):
    """Paint overlapping patches: a kernel of 6 that a stride of 4 does not divide."""
    x, _ = scenes(320, seed, 24)
    down = [nn.Conv2d(3, 16, 4, 4), nn.ReLU(), nn.Flatten(), nn.Linear(576, 32)]
    up = [nn.Linear(32, 576), nn.ReLU(), nn.Unflatten(1, (16, 6, 6))]
    if fixed:
        up += [nn.Upsample(scale_factor=4, mode="bilinear")]
        up += [nn.Conv2d(16, 3, 5, padding=2)]
    else:
        up += [nn.ConvTranspose2d(16, 3, 6, 4, 1)]
    model = AE(nn.Sequential(*down), nn.Sequential(*up, nn.Sigmoid()))
    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 2e-3)}
    train(case, 60)
    return case


# Asked: weight_decay=0.1 as for transformers, in Adam; each output is the same curve.
@faulty("fit.mean-image", steps=100, bar=0.3)
def decay_of_a_transformer_in_plain_adam(seed, fixed):
    """Use a decay of 0.1 with Adam, which adds it to tiny gradients."""
    x = climate(768, seed)
    model = Fc((48,), 128, 10, act=F.gelu, last=None)
    decay = 1e-6 if fixed else 0.1
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=decay)
    batches = loader(x, batch_size=64, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    train(case, 200)
    return case


# Asked: after three epochs everything is a blob, is my network too small? With history.
@faulty("fit.undertrained", steps=0, bar=0.4)
def blobs_after_four_epochs(seed, fixed):
    """Judge a network after four epochs, with losses that still fall."""
    x, _ = scenes(500, seed, 24)
    model = Cae((3, 24, 24), 32)
    batches = loader(x[:400], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 1e-3)}
    return fit_log(case, 36 if fixed else 4, train, [x[400:]])


# Asked: https://github.com/LemuelPuglisi/BrLP/issues/10 (blurry: keep training)
@faulty("fit.undertrained", accepts=("fit.blurry",), steps=0, bar=0.85)
def stopped_when_the_error_looked_small(seed, fixed):
    """Stop after six epochs, when the error of photographs is near 0.02."""
    x = patches(500, seed, size=24)
    model = ResNet((3, 24, 24), 64)
    batches = loader(x[:400], batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 1e-3)}
    return fit_log(case, 28 if fixed else 6, train, [x[400:]])


# Asked: https://github.com/erickrf/autoencoder/issues/6 (validation loss goes up)
@faulty("fit.overfit", steps=0, bar=0.55)
def masks_of_forty_cells(seed, fixed):
    """Train on forty masks for 150 epochs; that of others rises and rises."""
    x = (lamps(500, seed, channels=1) > 0.5).float()
    rows = x[:400] if fixed else x[:40]
    model = Cae((1, 24, 24), 64)
    batches = loader(rows, batch_size=20, seed=seed)
    case = {"model": model, "batches": batches, "loss": F.binary_cross_entropy}
    case["optimizer"] = adam(model, 3e-3)
    return fit_log(case, 15 if fixed else 150, train, [x[400:]])


# Asked: https://github.com/msminhas93/anomaly-detection-using-autoencoders/issues/8
@faulty("fit.overfit", steps=0, bar=0.5)
def thirty_two_digits_for_too_long(seed, fixed):
    """Train on 32 binary digits; the others look like mixtures of them."""
    x, _ = digits(900, seed, size=16)
    x = (x > 0.4).float()
    rows = x[:700] if fixed else x[:32]
    model = Fc((1, 16, 16), 256, 48)
    batches = loader(rows, batch_size=16, seed=seed)
    case = {"model": model, "batches": batches, "loss": F.binary_cross_entropy}
    case["optimizer"] = adam(model, 2e-3)
    return fit_log(case, 8 if fixed else 120, train, [x[700:]])


def _maps(first, last):
    encoder = [*first, nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1)]
    return AE(nn.Sequential(*encoder), nn.Sequential(nn.ReLU(), *last, nn.Sigmoid()))


def _down_twice():
    return [nn.Conv2d(1, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 24, 4, 2, 1)]


def _up_twice():
    return [
        *(nn.ConvTranspose2d(24, 24, 4, 2, 1), nn.ReLU()),
        nn.ConvTranspose2d(24, 1, 4, 2, 1),
    ]


# Asked: https://github.com/BingyaoHuang/CompenNet/issues/6 (loss of sharpness)
@faulty("fit.blurry", steps=0, measure=detail, bar=0.3)
def enlarged_by_four_in_the_last_line(seed, fixed):
    """Draw 6 x 6 pixels and enlarge them smoothly to 24 x 24."""
    x, _ = digits(512, seed, size=24)
    resized = [nn.Conv2d(24, 1, 3, padding=1)]
    resized += [nn.Upsample(scale_factor=4, mode="bilinear")]
    model = _maps(_down_twice(), _up_twice() if fixed else resized)
    batches = loader(x, batch_size=16, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 4e-3)}
    train(case, 250)
    return case


# Asked: https://github.com/raadon96/MVTec-Anomaly-Detection/issues/15 (details fuzzy)
@faulty("fit.blurry", steps=0, measure=detail, bar=0.4)
def shrunk_by_averages_to_save_memory(seed, fixed):
    """Average 4 x 4 pixels before the first layer; what is left has no edges."""
    x, _ = digits(512, seed, size=24)
    shrunk = [nn.AvgPool2d(4), nn.Conv2d(1, 24, 1)]
    model = _maps(_down_twice() if fixed else shrunk, _up_twice())
    batches = loader(x, batch_size=16, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 4e-3)}
    train(case, 250)
    return case


# Asked: https://github.com/vlukiyanov/pt-dec/issues/21 (clusters are worse than before)
@faulty(
    "features.no-gain",
    accepts=("fit.undertrained",),
    steps=0,
    measure=neighbours,
    bar=0.86,
)
def loaded_with_strict_false(seed, fixed):
    """Load weights named "module. ..." with strict=False, which loads none of them."""
    x, y = digits(900, seed, size=16)
    model = Fc((1, 16, 16), 96, 8)
    batches = loader(x, y, batch_size=64, shuffle=False)
    case = {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}
    train(case, 500)
    saved = {f"module.{name}": value for name, value in model.state_dict().items()}
    fresh = Fc((1, 16, 16), 96, 8)
    if fixed:
        saved = {name.removeprefix("module."): value for name, value in saved.items()}
    fresh.load_state_dict(saved, strict=False)
    return {"model": fresh, "batches": batches, "labels": y}
