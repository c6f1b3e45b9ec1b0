"""Faults in the data and the loader: codes data.*."""

import torch
from torch.utils.data import DataLoader

from ae_lib.doctor.clinic.material import digits, loader, patches, standardise, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv, dense, sgd
from ae_lib.doctor.clinic.program import faulty


@faulty("data.nonfinite")
def stretched_blank_images(seed, fixed):
    """Stretch each image to [0, 1]; blank images become 0/0."""
    x, _ = digits(512, seed)
    x[::100] = 0
    low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    x = (x - low) / ((high - low).clamp_min(1e-6) if fixed else high - low)
    model = conv((1, 28, 28))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("data.nonfinite")
def standardised_constant_columns(seed, fixed):
    """Divide each pixel by its standard deviation; the border pixels have none."""
    x, y = digits(512, seed, size=8)
    x = x.flatten(1)
    x = (x - x.mean(0)) / (x.std(0) + (1e-3 if fixed else 0))
    model = dense((64,), k=16, last=None)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.nonfinite")
def log_of_silence(seed, fixed):
    """Take the logarithm of spectra with exact zeros."""
    spectrum = table(512, seed, d=32).clamp_min(0) * 10
    x = torch.log1p(spectrum) if fixed else torch.log(spectrum)
    model = dense((32,), (64,), 8, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("data.scale")
def raw_bytes(seed, fixed):
    """Feed pixels 0..255 as floats to a network that ends in a sigmoid."""
    x = (patches(512, seed) * 255).round()
    model = conv((3, 16, 16))
    data = loader(x / 255 if fixed else x, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.scale")
def bytes_and_sgd(seed, fixed):
    """Train on pixels 0..255 with the SGD rate that suits [0, 1]."""
    x, y = digits(512, seed)
    model = dense((1, 28, 28), (64,), 16, last=None)
    data = loader(x if fixed else (x * 255).round(), y, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 1.0, momentum=0.9)}


@faulty("data.scale")
def divided_twice(seed, fixed):
    """Divide by 255 after ToTensor already did."""
    x, y = digits(512, seed)
    model = conv((1, 28, 28))
    data = loader(x if fixed else x / 255, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.scale")
def pascals(seed, fixed):
    """Feed pressure readings in pascals."""
    x = table(512, seed) * 900 + 101_325
    x = (x - x.mean(0)) / x.std(0) if fixed else x
    model = dense((20,), (64, 32), 6, last=None)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@faulty("data.order")
def sorted_class_folder(seed, fixed):
    """Read class folders in order and forget shuffle=True."""
    x, y = digits(1024, seed)
    order = y.argsort(stable=True)
    model = conv((1, 28, 28), 16)
    data = loader(x[order], y[order], shuffle=fixed, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}
    return {**case, "judge": [x]}


class SlicedTwice:
    """Cut batches with the index multiplied once too often."""

    def __init__(self, x, size, fixed):
        self.x, self.size, self.fixed = x, size, fixed

    def __iter__(self):
        for j in range(0, len(self.x), self.size):
            if self.fixed:
                yield self.x[j : j + self.size]
            else:
                yield self.x[j * self.size : (j + 1) * self.size]


@faulty("data.order")
def empty_batches(seed, fixed):
    """Step through the data in steps of bs and multiply by bs again."""
    x, _ = digits(768, seed)
    model = dense((1, 28, 28), (64,), 16)
    data = SlicedTwice(x, 24, fixed)
    return {"model": model, "batches": data, "optimizer": adam(model), "judge": [x]}


@faulty("data.order")
def first_batch_again(seed, fixed):
    """Call next(iter(loader)) for every step, so it is always the first batch."""
    data = loader(patches(512, seed), batch_size=32, shuffle=False)
    batches = list(data) if fixed else [next(iter(data)) for _ in range(16)]
    model = conv((3, 16, 16))
    case = {"model": model, "batches": batches, "optimizer": adam(model)}
    return {**case, "judge": data}


@faulty("data.target")
def labels_as_target(seed, fixed):
    """Compare the reconstruction with the label, which broadcasts silently."""
    x, y = digits(512, seed, size=8)
    x = x.flatten(1)
    model = dense((64,), (64,), 16, last=None)

    def pair(batch):
        images, labels = batch
        return images, images if fixed else labels.float()[:, None]

    case = {"model": model, "batches": loader(x, y, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model), "judge": [x]}


@faulty("data.target")
def two_shuffled_loaders(seed, fixed):
    """Zip a loader of noisy and a loader of clean images, each with its own order."""
    clean, _ = digits(512, seed)
    noisy = (clean + 0.3 * torch.randn_like(clean)).clamp(0, 1)
    other = torch.arange(512) if fixed else torch.randperm(512)
    model = conv((1, 28, 28))
    data = loader(noisy, clean[other], seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    return {**case, "judge": [(noisy, clean)]}


@faulty("data.target", steps=300, bar=0.6)
def noisy_target(seed, fixed):
    """Add noise to the batch and compare with the noisy batch."""
    x, _ = digits(512, seed, size=8)
    x = x.flatten(1)
    model = dense((64,), (256,), 128, last=None)

    def pair(batch):
        noisy = batch + 0.3 * torch.randn_like(batch)
        return noisy, batch if fixed else noisy

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    case |= {"optimizer": adam(model)}
    return {**case, "judge": [(x + 0.3 * torch.randn_like(x), x)]}


@faulty("data.target", bar=0.4)
def noise_thrown_away(seed, fixed):
    """Make a noisy copy of the batch and hand on the clean one."""
    x, _ = digits(512, seed)
    model = dense((1, 28, 28), (256,), 64)

    def add_noise(images):
        return (images + 0.5 * torch.randn_like(images)).clamp(0, 1)

    def pair(batch):
        noisy = add_noise(batch)
        return (noisy if fixed else batch), batch

    case = {"model": model, "batches": loader(x, seed=seed), "pair": pair}
    return {**case, "optimizer": adam(model), "judge": [(add_noise(x), x)]}


@faulty("data.layout")
def reshaped_channels(seed, fixed):
    """Reshape (N, H, W, C) to (N, C, H, W) where a permutation was meant."""
    x = patches(512, seed)
    stored = x.permute(0, 2, 3, 1).contiguous()
    wrong = stored.reshape(512, 3, 16, 16)
    model = conv((3, 16, 16), 24)
    data = loader(stored.permute(0, 3, 1, 2) if fixed else wrong, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.layout")
def rows_as_pixels(seed, fixed):
    """Read planar rows (red, green, blue planes) as interleaved pixels."""
    x = patches(512, seed, size=20)
    rows = x.flatten(1)
    wrong = rows.reshape(512, 20, 20, 3).permute(0, 3, 1, 2).contiguous()
    model = conv((3, 20, 20), 32, norm=True)
    data = loader(rows.view(512, 3, 20, 20) if fixed else wrong, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.layout")
def samples_on_the_last_axis(seed, fixed):
    """Reshape an (H, W, N) array to (N, 1, H, W) without moving the axes."""
    x, _ = digits(512, seed)
    stored = x[:, 0].permute(1, 2, 0).contiguous()  # (28, 28, 512)
    wrong = stored.reshape(512, 1, 28, 28)
    model = conv((1, 28, 28))
    data = loader(stored.permute(2, 0, 1)[:, None] if fixed else wrong, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("data.shift", steps=0)
def judged_on_bytes(seed, fixed):
    """Train on [0, 1], then reconstruct pixels 0..255."""
    x, _ = digits(640, seed)
    model = conv((1, 28, 28))
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 100)
    return {**case, "eval_batches": [x[512:] * (1 if fixed else 255)]}


@faulty("data.shift", steps=0)
def judged_without_normalize(seed, fixed):
    """Train on standardised images and judge on unstandardised ones."""
    x = patches(640, seed)
    model = conv((3, 16, 16), 32, last=None)
    case = {"model": model, "batches": loader(standardise(x)[:512], seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 120)
    rest = (standardise(x) if fixed else x)[512:]
    return {**case, "eval_batches": DataLoader(rest, 64)}


@faulty("data.shift", steps=0)
def judged_on_ink(seed, fixed):
    """Train on white digits on black, show scans with black ink on white."""
    x, _ = digits(640, seed)
    model = dense((1, 28, 28), (128,), 24)
    case = {"model": model, "batches": loader(x[:512], seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    train(case, 200)
    return {**case, "eval_batches": [x[512:] if fixed else 1 - x[512:]]}
