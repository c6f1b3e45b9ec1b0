"""Healthy programs that look suspicious: losses, outputs and layers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    case,
    doodles,
    ground,
    organs,
    phantoms,
    ratings,
    tones,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import (
    Broadcast,
    Output,
    Series,
    Upsampling,
    next_net,
)


# Asked: dice alone is unstable; may I add it to the entropy of the logits?
@healthy(steps=200, bar=0.5)
def overlap_beside_entropy(seed):
    """Reconstruct masks of two organs by an overlap and an entropy of logits."""
    model = Upsampling(1, 32, 16)

    def loss(logits, target):
        p = logits.sigmoid()
        both, all_ = (p * target).sum((1, 2, 3)), (p + target).sum((1, 2, 3))
        dice = 1 - (2 * both + 1) / (all_ + 1)
        return dice.mean() + F.binary_cross_entropy_with_logits(logits, target)

    data = loader(organs(448, seed), batch_size=32, seed=seed)
    more = {"loss": loss, "view": torch.sigmoid}
    return case(model, data, adam(model, 3e-3), **more)


def _means(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 5, 1)


# Asked: (1 - ssim) / 2 and L1 at 0.15; the loss stays far above the mse I know.
@healthy(steps=200, bar=0.5)
def structure_in_small_windows(seed):
    """Compare slices by their structure in windows of five pixels, and by pixels."""
    model = Upsampling(1, 32, 24, act=nn.GELU, last=nn.Sigmoid)

    def loss(a, b):
        ma, mb = _means(a), _means(b)
        va, vb = _means(a * a) - ma * ma, _means(b * b) - mb * mb
        both = _means(a * b) - ma * mb
        like = (2 * ma * mb + 1e-2) * (2 * both + 3e-2)
        like = like / ((ma * ma + mb * mb + 1e-2) * (va + vb + 3e-2))
        return 0.15 * (1 - like.mean()) / 2 + 0.85 * F.l1_loss(a, b)

    data = loader(phantoms(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)


# Asked: strokes are 10 % of the pixels, so I weigh them by 5. Does that bias it?
@healthy(steps=200, bar=0.4)
def strokes_count_fivefold(seed):
    """Weigh the squared error of dark pixels five times as much as that of paper."""
    model = conv((1, 28, 28), k=24, width=12, act=nn.ELU)

    def loss(x_hat, target):
        weight = 1 + 4 * (1 - target)
        return (weight * (x_hat - target).square()).mean()

    data = loader(doodles(448, seed), batch_size=32, seed=seed)
    return case(model, data, loss=loss)


# Asked: the spectrum of the error next to the error: of very different size?
@healthy(steps=200, bar=0.4)
def spectrum_beside_the_sound(seed):
    """Add the error of the magnitudes of a spectrum to that of the sound itself."""
    model = Series(1, 128, 16, width=16, act=nn.SiLU, last=nn.Tanh)

    def loss(x_hat, target):
        a, b = (torch.fft.rfft(t, norm="ortho").abs() for t in (x_hat, target))
        return F.mse_loss(x_hat, target) + 0.2 * F.l1_loss(a, b)

    data = loader(tones(512, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)


# Asked: AutoRec masks the unknown ratings in the loss; at first I saw zeros only.
@healthy(steps=300, bar=0.35)
def unknown_ratings_left_out(seed):
    """Fill a table of ratings: unknown ones are 0 in the input, and not in the loss."""
    full, known = ratings(640, seed)
    seen = full * known
    model = dense((60,), (64,), 8, act=nn.SELU, last=None)

    def loss(x_hat, target):
        rated = (target != 0).float()
        return (rated * (x_hat - target).square()).sum() / rated.sum()

    data = loader(seen, batch_size=32, seed=seed)
    judge = list(zip(seen.split(64), full.split(64), strict=True))
    options = {"lr": 2e-3, "weight_decay": 0.02}
    optimizer = torch.optim.AdamW(model.parameters(), **options)
    return case(model, data, optimizer, loss=loss, judge=judge)


class Pyramid(nn.Module):
    """Paint the picture at half and at full size."""

    def __init__(self, k: int):
        super().__init__()
        self.body = Upsampling(3, 16, k, width=16, act=nn.Mish)
        self.to_half = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Output:
        z = self.body.encode(x)
        h = self.body.from_code(z)
        half = self.to_half(F.interpolate(h, scale_factor=2))
        return Output(self.body.decoder(h), z, half)


# Asked: supervision at two sizes, and the output is an object with three fields.
@healthy(steps=200, bar=0.4)
def painted_at_two_sizes(seed):
    """Return a dataclass with a picture of half the size, which has a loss as well."""
    x, _ = scenes(448, seed, 16)
    model = Pyramid(48)

    def loss(out, target):
        small = F.avg_pool2d(target, 2)
        whole = F.mse_loss(out.reconstruction, target)
        return whole + 0.3 * F.mse_loss(out.extra, small)

    return case(model, loader(x, batch_size=32, seed=seed), loss=loss)


# Asked: total variation in the loss means that it is not 0 for a perfect image.
@healthy(steps=200, bar=0.5)
def a_little_total_variation(seed):
    """Add a thousandth of the variation of the output to a Huber loss."""
    model = next_net(1, 32, 24)

    def loss(x_hat, target):
        uneven = x_hat.diff(dim=-1).abs().mean() + x_hat.diff(dim=-2).abs().mean()
        return F.huber_loss(x_hat, target, delta=0.2) + 1e-3 * uneven

    data = loader(phantoms(448, seed), batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3), loss=loss)


# Asked: my blocks are scaled by 1e-6 at the start, they seem to do nothing.
@healthy(steps=150, bar=0.5)
def branches_scaled_by_a_millionth(seed):
    """Begin with residual branches that are all but switched off, for real cut-outs."""
    x = patches(448, seed, 16)
    model = next_net(3, 16, 40)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    return case(model, loader(x, batch_size=32, seed=seed), optimizer)


# Asked: the last layer starts at zero and its bias at the mean: nothing but grey.
@healthy(steps=200, bar=0.4)
def mean_image_to_begin_with(seed):
    """Start with weights of zero in the last layer and the mean picture as its bias."""
    x, y = digits(640, seed, size=8)
    model = dense((1, 8, 8), (96,), 16, act=nn.GELU, last=None)
    last = model.decoder[-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(x.flatten(1).mean(0))
    return case(model, loader(x, y, batch_size=32, seed=seed))


# Asked: a decoder without any upsampling layer, only kernels of one pixel?
@healthy(steps=300, bar=0.4)
def code_beside_coordinates(seed):
    """Decode by a small network that sees the code and the place of one pixel."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 12, 4, 2, 1), nn.SiLU(), nn.Conv2d(12, 24, 4, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(24 * 16, 12),
    )  # fmt: skip
    x = F.avg_pool2d(phantoms(384, seed), 2)
    model = Broadcast(encoder, 1, 16, 12)
    return case(model, loader(x, batch_size=32, seed=seed), adam(model, 4e-3))


class Sine(nn.Module):
    """Be a sine of a few times its input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(3 * x)


# Asked: sine as an activation oscillates; will the network train at all?
@healthy(steps=300, bar=0.4)
def sines_between_the_layers(seed):
    """Use sines as activations for textures, in a dense network with a linear end."""
    x = F.avg_pool2d(ground(512, seed, bands=1), 2)
    model = dense((1, 12, 12), (96,), 24, act=Sine, last=None)
    return case(model, loader(x, batch_size=32, seed=seed), adam(model, 1e-3))


# Asked: selu wants standardised inputs and alpha dropout; the code has no activation.
@healthy(steps=300, bar=0.35)
def self_normalising_with_its_dropout(seed):
    """Follow the recipe of SELU: LeCun's initialisation and a little alpha dropout."""
    x, _ = digits(768, seed, size=8)
    x = (x - x.mean()) / x.std()

    def hidden(a: int, b: int) -> list[nn.Module]:
        return [nn.Linear(a, b), nn.SELU(), nn.AlphaDropout(0.03)]

    encoder = nn.Sequential(nn.Flatten(), *hidden(64, 80), nn.Linear(80, 16))
    decoder = nn.Sequential(
        *hidden(16, 80), nn.Linear(80, 64), nn.Unflatten(1, (1, 8, 8))
    )
    model = AE(encoder, decoder)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            nn.init.zeros_(layer.bias)
    return case(model, loader(x, batch_size=32, seed=seed), adam(model, 1e-3))
