"""Healthy programs that look suspicious: the input is not the target, on purpose."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.parts import adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    beats,
    case,
    customers,
    depths,
    phantoms,
    voices,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import (
    DnCnn,
    Series,
    UNet,
    Upsampling,
)


# Asked: skips carry the noisy picture to the end; is a U-Net not cheating here?
@healthy(steps=150, bar=0.5)
def speckle_removed_with_skips(seed):
    """Remove multiplicative noise from slices by a small U-Net with skips."""
    model = UNet(1, 1, last=nn.Sigmoid)

    def corrupt(clean):
        return clean * (1 + 0.5 * torch.randn_like(clean)), clean

    data = loader(phantoms(384, seed), batch_size=16, seed=seed)
    return case(model, data, pair=corrupt)


# Asked: DnCNN has no bottleneck at all, why does it not learn the identity?
@healthy(steps=150, bar=0.6)
def noise_predicted_and_subtracted(seed):
    """Predict the noise of photographs and subtract it, without any narrow layer."""
    model = DnCnn(3)

    def corrupt(clean):
        return clean + 0.2 * torch.randn_like(clean), clean

    data = loader(patches(384, seed, 16), batch_size=32, seed=seed)
    return case(model, data, pair=corrupt)


# Asked: the loss of noise2noise never falls below the variance of the noise.
# https://github.com/juglab/N2V_fiji/issues/21
@healthy(steps=150, bar=0.6)
def a_second_noisy_copy_as_target(seed):
    """Learn from pairs of noisy copies; no clean picture is used in training."""
    x = phantoms(384, seed)
    model = UNet(1, 1, w=10)

    def corrupt(clean):
        return tuple(clean + 0.2 * torch.randn_like(clean) for _ in range(2))

    noisy = x[:128] + 0.2 * torch.randn(128, 1, 32, 32)
    data = loader(x, batch_size=16, seed=seed)
    judge = [(noisy, x[:128])]
    return case(model, data, pair=corrupt, judge=judge)


# Asked: context encoder, a square in the middle is missing from every input.
@healthy(steps=200, bar=0.5)
def square_missing_in_the_middle(seed):
    """Cut a square out of the middle of slices and ask for the whole slice."""
    model = Upsampling(1, 32, 32, act=nn.LeakyReLU, last=nn.Sigmoid)

    def cut(whole):
        holed = whole.clone()
        holed[..., 11:21, 11:21] = 0.5
        return holed, whole

    data = loader(phantoms(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=cut)


# Asked: one channel goes in and three come out, is this still an autoencoder?
@healthy(steps=200, bar=0.6)
def colours_for_grey_photographs(seed):
    """Take the brightness of cut-outs of photographs and ask for their colours."""
    model = UNet(1, 3, w=10, last=nn.Sigmoid)
    weight = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)

    def grey(colour):
        return (colour * weight).sum(1, keepdim=True), colour

    data = loader(patches(384, seed, 16), batch_size=32, seed=seed)
    return case(model, data, pair=grey)


# Asked: the output is four times as large as the input.
@healthy(steps=200, bar=0.6)
def four_times_as_many_pixels(seed):
    """Enlarge slices from 16 to 32 pixels by convolutions and one pixel shuffle."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(),
        nn.Conv2d(16, 12, 3, padding=1), nn.Tanh(),
        nn.Conv2d(12, 4, 3, padding=1), nn.PixelShuffle(2),
    )  # fmt: skip

    def shrink(large):
        return F.avg_pool2d(large, 2), large

    data = loader(phantoms(384, seed), batch_size=32, seed=seed)
    return case(model, data, pair=shrink)


# Asked: swap noise: a seventh of the values come from other rows of the table.
# https://www.kaggle.com/c/porto-seguro-safe-driver-prediction/discussion/44629
@healthy(steps=300, bar=0.4)
def values_swapped_between_rows(seed):
    """Take a seventh of the values from other rows, and ask for the right ones."""
    x = customers(768, seed)
    model = dense((20,), (96, 48), 12, act=nn.ReLU, last=None)

    def swap(rows):
        other = rows[torch.randperm(len(rows))]
        return torch.where(torch.rand_like(rows) < 0.15, other, rows), rows

    return case(model, loader(x, seed=seed), pair=swap)


# Asked: blurred photographs in, sharp ones out, with the input added at the end.
@healthy(steps=150, bar=0.7)
def sharpened_from_a_blur(seed):
    """Undo a blur of photographs; the network adds its correction to the input."""
    model = DnCnn(3, width=16)

    def blur(sharp):
        soft = F.avg_pool2d(F.pad(sharp, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return soft, sharp

    data = loader(patches(384, seed, 16), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=blur)


class Forgetful(nn.Module):
    """Forget a third of the pixels while training, as the corruption."""

    def __init__(self):
        super().__init__()
        self.corrupt = nn.Dropout(0.3)
        self.body = dense((1, 8, 8), (128,), 20, act=nn.ReLU)

    def encode(self, x: Tensor) -> Tensor:
        return self.body.encode(self.corrupt(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.body.decode(self.encode(x))


# Asked: in eval mode the loss is half of that in train mode; the first layer?
@healthy(steps=350, bar=0.4)
def corruption_is_the_first_layer(seed):
    """Let dropout at the input be the noise of a denoiser; eval mode is without it."""
    x, y = digits(768, seed, size=8)
    model = Forgetful()
    return case(model, loader(x, y, batch_size=32, seed=seed))


# Asked: hum and spikes are higher than the small waves of the heart.
@healthy(steps=250, bar=0.5)
def hum_and_spikes_on_the_heart(seed):
    """Clean heartbeats of hum from the mains and of spikes at random places."""
    time = torch.arange(96.0)
    model = Series(1, 96, 16, width=16)

    def disturb(clean):
        phase = 6.3 * torch.rand(len(clean), 1, 1)
        spikes = (torch.rand_like(clean) < 0.03) * torch.randn_like(clean)
        return clean + 0.3 * torch.sin(0.9 * time + phase) + spikes, clean

    data = loader(beats(512, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=disturb)


# Asked: low dose: at most twelve photons a pixel. Half of the input pixels are wrong.
@healthy(steps=150, bar=0.5)
def twelve_photons_a_pixel(seed):
    """Recover slices from counts of a few photons, scaled back to [0, 1]."""
    model = UNet(1, 1, w=10, last=nn.Sigmoid)

    def expose(clean):
        return torch.poisson(12 * clean) / 12, clean

    data = loader(phantoms(384, seed), batch_size=16, seed=seed)
    return case(model, data, loss=nn.L1Loss(), pair=expose)


# Asked: depth cameras have holes; invalid pixels are 0 in the input, not far away.
@healthy(steps=200, bar=0.5)
def holes_of_a_depth_camera(seed):
    """Fill a fifth of the pixels, which are zero, in depths relative to four metres."""
    x = depths(448, seed) / 4 - 1
    model = Upsampling(1, 24, 32, act=nn.SiLU)

    def drop(whole):
        blocks = torch.rand(len(whole), 1, 8, 8) < 0.2
        hole = blocks.repeat_interleave(3, 2).repeat_interleave(3, 3)
        return whole.masked_fill(hole, 0.0), whole

    data = loader(x, batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=drop)


# Asked: masks of time and of frequency on the spectrogram, as for speech models.
@healthy(steps=200, bar=0.5)
def bands_cut_from_a_spectrogram(seed):
    """Blank one band of pitch and one of time in the input; ask for all of it."""
    x = voices(448, seed) / 20 + 1
    model = Upsampling(1, 32, 32, act=nn.ELU, last=nn.Tanh)

    def blank(whole):
        holed, at = whole.clone(), torch.randint(26, (2,))
        holed[:, :, at[0] : at[0] + 6] = -1
        holed[..., at[1] : at[1] + 6] = -1
        return holed, whole

    data = loader(x, batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), pair=blank)
