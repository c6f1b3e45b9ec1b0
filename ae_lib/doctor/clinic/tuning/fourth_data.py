"""Mistakes in what the loop consumes, rebuilt from further public questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, conv_vae, dense, elbo, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    SignalAE,
    UNet,
    heartbeats,
    pooled,
    residual,
)


# Source: https://github.com/jeffheaton/encog-dotnet-core/issues/27
@faulty("data.nonfinite", steps=200, bar=0.5)
def sensor_that_never_moved(seed, fixed):
    """Scale each column to 0..1 by its own range; one column is constant."""
    x = table(480, seed, d=24)
    x[:, 7] = 21.5
    low, high = x.amin(0), x.amax(0)
    x = (x - low) / ((high - low).clamp(min=1e-6) if fixed else high - low)
    model = dense((24,), (48,), 8, last=nn.Sigmoid)
    optimizer = torch.optim.RMSprop(model.parameters(), 2e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


# Source: https://github.com/etzinis/sudo_rm_rf/issues/1
@faulty("data.nonfinite", steps=200, bar=0.3)
def logarithm_of_silence(seed, fixed):
    """Take the logarithm of spectra, some of which are of silent recordings."""
    sound = heartbeats(512, seed, d=128)
    sound[torch.randperm(512)[:9]] = 0.0
    power = torch.fft.rfft(sound).abs()[:, 1:]  # (512, 64)
    x = (power + 1e-2).log() if fixed else power.log()
    model = SignalAE(64, 12, act=nn.ELU)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


# Source: https://github.com/wohlert/semi-supervised-pytorch/issues/9
# A sigmoid cannot reach 255 either: both may be named.
@faulty("data.scale", accepts=("output.range",), steps=250, bar=0.25)
def drawings_of_0_to_255(seed, fixed):
    """Read small drawings as they are stored and give them to a VAE."""
    x = scenes(512, seed)[0]
    x = x if fixed else (x * 255).round()
    model = conv_vae((3, 16, 16), 10)
    batches = DataLoader(list(x.split(64)), None)
    case = {"model": model, "batches": batches, "loss": elbo(1.0, 0.02)}
    return {**case, "optimizer": adam(model)}


@faulty("data.scale", steps=300, bar=0.2)
def microscope_of_sixteen_bits(seed, fixed):
    """Turn 16-bit images into floats and forget the factor of 65,535."""
    x = patches(512, seed)[:, 1:2]
    x = x if fixed else (x * 65535).round()
    model = conv((1, 16, 16), 24, last=None)
    optimizer = sgd(model, 0.1, momentum=0.9)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


# Source: https://github.com/Deci-AI/super-gradients/issues/416
# Source: https://github.com/zalandoresearch/fashion-mnist/pull/5
@faulty("data.order", steps=120, bar=0.5)
def one_folder_after_the_other(seed, fixed):
    """Read the folders of ten classes in turn and leave shuffle at its default."""
    x, y = digits(960, seed, size=16)
    first = y.argsort(stable=True)
    x, y = x[first], y[first]
    model = dense((1, 16, 16), (128,), 24)
    data = loader(x, y, batch_size=32, shuffle=fixed, seed=seed)
    case = {"model": model, "batches": data, "judge": [x]}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("data.order", steps=300, bar=0.5)
def window_that_moves_by_one(seed, fixed):
    """Cut batches at i instead of i * 32: only the first 47 images are visited."""
    x = scenes(512, seed)[0]
    width = 32 if fixed else 1
    batches = [x[i * width : i * width + 32] for i in range(16)]
    model = dense((3, 16, 16), (96,), 32, act=nn.GELU)
    case = {"model": model, "batches": batches, "eval_batches": [x[384:]]}
    return {**case, "optimizer": adam(model)}


# Source: https://github.com/keon/3-min-pytorch/issues/18
@faulty("data.target", steps=250, bar=0.3)
def target_taken_after_the_noise(seed, fixed):
    """Blacken pixels of x, then take input and target from the same x."""
    x, y = digits(768, seed, size=16)

    def pair(batch):
        clean, _ = batch
        x = clean * (torch.rand_like(clean) > 0.5)
        return x, clean if fixed else x

    holes = x * (torch.rand_like(x) > 0.5)
    model = pooled((1, 16, 16), 32, width=24)
    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model, 3e-3), "judge": [(holes, x)]}


# Source: https://github.com/mlcommons/GaNDLF/pull/870
@faulty("data.target", steps=250, bar=0.3)
def shuffled_apart(seed, fixed):
    """Shuffle noisy inputs and clean targets, each by an order of its own."""
    clean = scenes(512, seed)[0]
    noisy = clean + 0.1 * torch.randn_like(clean)
    one, two = torch.randperm(512), torch.randperm(512)
    data = loader(noisy[one], clean[one if fixed else two], seed=seed)
    model = conv((3, 16, 16), 32, act=nn.ELU)
    case = {"model": model, "batches": data, "judge": [(noisy, clean)]}
    return {**case, "optimizer": adam(model)}


@faulty("data.layout", steps=200, bar=0.45)
def stored_the_other_way_round(seed, fixed):
    """Reshape an array of (height, width, colour, image), as MATLAB stores it."""
    stored = scenes(512, seed)[0].permute(2, 3, 1, 0).contiguous()
    x = stored.permute(3, 2, 0, 1) if fixed else stored.reshape(512, 3, 16, 16)
    model = residual((3, 16, 16), 24, act=nn.LeakyReLU)
    data = loader(x.contiguous(), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


# Source: https://github.com/zamanzadeh/CARLA/issues/16
# Source: https://github.com/ohtlab/headpose-fsanet-pytorch/issues/10
@faulty("data.layout", steps=150, bar=0.8)
def pixels_first_then_viewed(seed, fixed):
    """View photographs of (height, width, 3) as (3, height, width) for a small net."""
    stored = patches(256, seed, size=32).permute(0, 2, 3, 1).contiguous()
    x = stored.permute(0, 3, 1, 2) if fixed else stored.view(-1, 3, 32, 32)
    model = UNet(3, width=12, k=6, skips=False)
    data = loader(x.contiguous(), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 3e-3)}


@faulty("data.shift", steps=0, bar=0.4)
def black_on_white_at_the_end(seed, fixed):
    """Train on white digits on black, show dark digits on white paper."""
    x, y = digits(768, seed, size=16)
    model = dense((1, 16, 16), (128,), 32, act=nn.GELU)
    case = {"model": model, "batches": loader(x[:640], y[:640], seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 250)
    shown = x[640:] if fixed else 1 - x[640:]
    return {**case, "eval_batches": loader(shown, y[640:], shuffle=False)}


@faulty("data.shift", steps=0, bar=0.4)
def channels_in_the_order_of_another_library(seed, fixed):
    """Train on blue-green-red images of one library, judge on red-green-blue ones."""
    x = scenes(640, seed)[0]
    bgr = x.flip(1) * torch.tensor([0.15, 0.55, 1.0]).view(1, 3, 1, 1)
    model = pooled((3, 16, 16), 24, width=24, act=nn.SiLU)
    case = {"model": model, "batches": loader(bgr[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    rest = bgr[512:]
    return {**case, "eval_batches": [rest if fixed else rest.flip(1)]}
