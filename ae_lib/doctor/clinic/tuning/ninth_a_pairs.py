"""Healthy programs on pictures whose target is not their input."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    cells,
    faces,
    fitted,
    gratings,
    made,
    rooms,
)


def block(a, b):
    """Return two convolutions with ReLU."""
    layers = [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(b, b, 3, padding=1), nn.ReLU())


class UNet(nn.Module):
    """Hand the details past the middle, and subtract the noise that is found."""

    def __init__(self, channels):
        super().__init__()
        self.down1, self.down2 = block(channels, 12), block(12, 24)
        self.up, self.last = block(36, 12), nn.Conv2d(12, channels, 1)

    def forward(self, x):
        fine = self.down1(x)
        coarse = F.interpolate(self.down2(F.max_pool2d(fine, 2)), scale_factor=2)
        return x - self.last(self.up(torch.cat([fine, coarse], 1)))


# Asked: https://www.arxiv-vanity.com/papers/1606.08921/
@healthy(bar=0.6)
def unet_that_finds_the_noise(seed):
    """Remove noise by a U-Net that predicts the noise and subtracts it."""
    model, data = UNet(3), loader(patches(384, seed), batch_size=32, seed=seed)

    def pair(clean):
        return clean + 0.2 * torch.randn_like(clean), clean

    case = {"model": model, "batches": data, "pair": pair}
    return {**case, "optimizer": adam(model)}


@healthy(steps=0, bar=0.4)
def hole_in_the_middle_filled(seed):
    """Cut a square out of each face and fill it in, with a context encoder."""
    model = conv((1, 24, 24), 32, width=8, act=nn.LeakyReLU, norm=True)

    def pair(clean):
        torn = clean.clone()
        torn[..., 8:16, 8:16] = 0.5
        return torn, clean

    case = {"model": model, "batches": loader(faces(640, seed), seed=seed)}
    case |= {"eval_batches": loader(faces(128, seed + 30), shuffle=False)}
    case = fitted({**case, "pair": pair, "optimizer": adam(model, 4e-3)}, 24)
    model.eval()
    return case


class Sharpen(nn.Module):
    """Add details to an enlarged picture."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU())
        self.net += nn.Sequential(nn.Conv2d(32, 16, 1), nn.ReLU())
        self.net.append(nn.Conv2d(16, 3, 5, padding=2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        return x + self.net(x)


@healthy(bar=0.8)
def enlarged_pictures_get_details(seed):
    """Sharpen bicubic enlargements by a residual network that starts at zero."""
    sharp = scenes(512, seed, 24)[0]
    small = F.avg_pool2d(sharp, 2)
    big = F.interpolate(small, scale_factor=2, mode="bicubic", align_corners=False)
    model, pairs = Sharpen(), TensorDataset(big, sharp)
    data = DataLoader(pairs, 32, shuffle=True, generator=made(seed))
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=40, bar=0.3)
def eight_pixels_to_sixteen(seed):
    """Decode 16-pixel pictures from 8-pixel ones, with history after 26 epochs."""
    x = patches(640, seed, 16)
    encoder = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU(), nn.Flatten())
    encoder.append(nn.Linear(512, 48))
    model = AE(encoder, conv((3, 16, 16), 48).decoder)

    def pair(batch):
        return F.avg_pool2d(batch, 2), batch

    case = {"model": model, "batches": loader(x[:512], seed=seed), "pair": pair}
    case |= {"eval_batches": loader(x[512:], shuffle=False), "optimizer": adam(model)}
    return fitted(case, 26)


@healthy(steps=200, bar=0.4)
def colours_from_grey(seed):
    """Colour grey cut-outs of two photographs, whose colours depend on the motif."""
    encoder = nn.Sequential(nn.Conv2d(1, 24, 4, 2, 1), nn.ReLU())
    encoder += nn.Sequential(nn.Conv2d(24, 48, 4, 2, 1), nn.ReLU(), nn.Flatten())
    model = AE(encoder.append(nn.Linear(768, 64)), conv((3, 16, 16), 64).decoder)

    def pair(colour):
        return colour.mean(1, keepdim=True), colour

    data = loader(patches(640, seed), seed=seed)
    return {"model": model, "batches": data, "pair": pair, "optimizer": adam(model)}


@healthy(steps=40, bar=0.5)
def scratched_stripes_repaired(seed):
    """Repair stripe textures with dead rows, a fault of line sensors."""
    model = conv((1, 16, 16), 48, act=nn.ELU)

    def pair(clean):
        kept = torch.rand(len(clean), 1, 16, 1) > 0.25
        return torch.where(kept, clean, 0.0), clean

    case = {
        "model": model,
        "batches": loader(gratings(768, seed), batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(gratings(256, seed + 9), shuffle=False)}
    return fitted({**case, "pair": pair, "optimizer": adam(model, 3e-3)}, 12)


@healthy(steps=0, bar=0.4)
def salt_and_pepper_with_absolute_error(seed):
    """Remove salt and pepper from digits with the absolute error, to the end."""
    x, y = digits(1600, seed)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(32, 256), nn.ReLU(), nn.Linear(256, 784))
    decoder += nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28)))
    model = AE(encoder.append(nn.Linear(256, 32)), decoder)

    def pair(batch):
        clean, chance = batch[0], torch.rand_like(batch[0])
        return torch.where(chance < 0.2, (chance < 0.1).float(), clean), clean

    case = {"model": model, "batches": loader(x[:1344], y[:1344], seed=seed)}
    case |= {"eval_batches": loader(x[1344:], y[1344:], shuffle=False), "pair": pair}
    case = fitted({**case, "loss": nn.L1Loss(), "optimizer": adam(model)}, 20)
    model.eval()
    return case


class TwoHalves(nn.Module):
    """Estimate the logarithm of the picture and return to the picture itself."""

    def __init__(self):
        super().__init__()
        self.inner = conv((1, 16, 16), 32, last=None)

    def forward(self, x):
        return torch.expm1(self.inner(torch.log1p(x)).clamp(max=3))


@healthy(steps=200, bar=0.4)
def speckle_of_radar_removed(seed):
    """Remove multiplicative radar noise of four looks by a network of logarithms."""
    clean = cells(768, seed) + 0.2
    looks = torch.rand(4, *clean.shape, generator=made(seed))
    noisy = clean * (-looks.clamp(min=1e-6).log()).mean(0)
    model, pairs = TwoHalves(), TensorDataset(noisy, clean)
    data = DataLoader(pairs, 64, shuffle=True, generator=made(seed))
    return {"model": model, "batches": data, "optimizer": adam(model)}


class HidesPatches(nn.Module):
    """Hide half of the patches of the input while training, none in use."""

    def __init__(self):
        super().__init__()
        self.inner = conv((1, 24, 24), 32, width=8)

    def forward(self, x):
        hidden = x
        if self.training:
            keep = (torch.rand(len(x), 1, 6, 6) > 0.5).float()
            hidden = x * F.interpolate(keep, scale_factor=4)
        return self.inner(hidden)


# Asked: https://library.kiwix.org/datascience.stackexchange.com_en_all_2021-04/A/question/39661.html
@healthy(steps=30, bar=0.3)
def patches_hidden_while_training(seed):
    """Hide half the patches in forward while training: validation is the better one."""
    model = HidesPatches()
    case = {"model": model, "batches": loader(faces(768, seed), seed=seed)}
    case |= {"eval_batches": loader(faces(256, seed + 60), shuffle=False)}
    return fitted({**case, "optimizer": adam(model, 4e-3)}, 22)


@healthy(steps=0, bar=0.3)
def dense_depth_from_half_the_points(seed):
    """Complete depth maps of which the sensor saw half; zero means not seen."""
    model = conv((1, 16, 16), 24, act=nn.GELU, last=None)

    def pair(depth):
        return depth * (torch.rand_like(depth) < 0.5), depth

    case = {
        "model": model,
        "batches": loader(rooms(768, seed) / 5, batch_size=32, seed=seed),
    }
    case |= {"eval_batches": loader(rooms(256, seed + 70) / 5, shuffle=False)}
    case = fitted({**case, "pair": pair, "optimizer": adam(model, 3e-3)}, 16)
    model.eval()
    return case


@healthy(steps=250, bar=0.5)
def greys_from_a_halftone(seed):
    """Recover grey values from dithered black-and-white prints."""
    grey = patches(512, seed).mean(1, keepdim=True)
    order = torch.tensor([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    limits = ((order + 0.5) / 16).repeat(4, 4)
    pairs = TensorDataset((grey > limits).float(), grey)
    model = conv((1, 16, 16), 40, norm=True)
    data = DataLoader(pairs, 32, shuffle=True, generator=made(seed))
    return {"model": model, "batches": data, "optimizer": adam(model)}
