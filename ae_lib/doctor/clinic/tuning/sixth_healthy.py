"""Healthy programs that look suspicious: data, outputs, losses and noise."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.parts import AE, adam, dense, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    Gauss,
    PatchNet,
    PoolNet,
    baskets,
    block_net,
    distance,
    divergence,
    hills,
    paths,
    rings,
    tiles,
    written,
)


# Asked: is tanh wrong for pixels in [0, 1]? https://github.com/AntixK/PyTorch-VAE/issues/48
@healthy(steps=150, bar=0.5)
def tanh_although_pixels_are_positive(seed):
    """End in a tanh where pixels are in [0, 1]: half its range idles, none lacks."""
    model = block_net((3, 32, 32), 32, last=nn.Tanh)
    batches = loader(tiles(384, seed), batch_size=32, seed=seed)
    return written(model, batches, adam(model, 3e-3))


# Asked: an encoder of one strided convolution without activation, is it "deep"?
@healthy(steps=150, bar=0.6)
def linear_by_one_strided_convolution(seed):
    """Code 8 x 8 patches linearly, each by one convolution: it is PCA of patches."""
    x = patches(384, seed, size=16)
    model = AE(nn.Conv2d(3, 16, 8, 8), nn.ConvTranspose2d(16, 3, 8, 8))
    return written(model, loader(x, seed=seed), adam(model, 4e-3))


# Asked: three numbers for the thirteen columns of the wine data, no hidden layer?
@healthy(steps=400, bar=0.45)
def three_axes_of_wine(seed):
    """Describe standardised wines by three linear units, all in one small batch."""
    from sklearn.datasets import load_wine

    x = torch.tensor(load_wine().data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    model = nn.Sequential(nn.Linear(13, 3), nn.Linear(3, 13))
    return written(model, loader(x, batch_size=16, seed=seed), adam(model, 4e-3))


class Named(PoolNet):
    """Return a dictionary."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"reconstruction": super().forward(x)}


# Asked: how much noise may a denoiser have? I can hardly see the digit myself.
@healthy(steps=200, bar=0.45)
def noise_of_half_the_range(seed):
    """Add noise of deviation 0.5 to digits in [0, 1] and clip the result."""
    x, y = digits(768, seed, size=28)
    model = Named(1, 8)

    def pair(batch):
        clean = batch[0]
        return (clean + 0.5 * torch.randn_like(clean)).clamp(0, 1), clean

    data = loader(x, y, batch_size=32, seed=seed)
    return written(model, data, adam(model, 4e-3), pair=pair)


# Asked: half of the columns are black in the input; is that too many?
@healthy(steps=200, bar=0.5)
def every_other_column_missing(seed):
    """Blacken half of the columns of each picture and ask for the whole."""
    x = tiles(448, seed)
    comb = (torch.arange(32) % 2).float()
    model = PatchNet(3, 32, 40)
    case = written(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))
    return {**case, "pair": lambda images: (images * comb, images)}


# Asked: input and target have other colours; a colouriser is no autoencoder, is it?
@healthy(steps=200, bar=0.4)
def colours_from_faded_pictures(seed):
    """Fade the colours of the input by seven tenths and ask for the full ones."""
    x = tiles(448, seed)

    def pair(images):
        grey = images.mean(1, keepdim=True)
        return 0.7 * grey + 0.3 * images, images

    model = block_net((3, 32, 32), 32)
    case = written(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))
    return {**case, "pair": pair}


# Asked: after the usual normalisation values go from -2.1 to 2.6, output is linear.
@healthy(steps=150, bar=0.5)
def usual_normalisation_linear_end(seed):
    """Normalise by the well-known means and deviations and end linearly."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    x = (tiles(384, seed) - mean) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    model = Dcgan(3, 32, last=None)
    return written(model, loader(x, batch_size=32, seed=seed))


# Asked: the loss is always 56 % and no image looks bad.
# https://github.com/keras-team/keras/issues/12512
@healthy(steps=150, bar=0.5)
def entropy_that_hardly_falls(seed):
    """Train colours by cross-entropy: its floor is high, so it seems to stand still."""
    model = PatchNet(3, 32, 32, last=nn.Sigmoid)
    case = written(model, loader(tiles(384, seed), seed=seed), adam(model, 3e-3))
    return {**case, "loss": nn.BCELoss()}


# Asked: mse plus a term of edges; do I need to balance them if both are means?
@healthy(steps=150, bar=0.5)
def edges_and_pixels_both_as_means(seed):
    """Add the mean error of horizontal and vertical slopes to that of the pixels."""
    x = tiles(384, seed)
    model = block_net((3, 32, 32), 32)

    def loss(x_hat, target):
        off = x_hat - target
        edges = off.diff(dim=-1).square().mean() + off.diff(dim=-2).square().mean()
        return off.square().mean() + 0.5 * edges

    return written(model, loader(x, batch_size=32, seed=seed), loss=loss)


# Asked: log-cosh instead of mse, has anyone tried?
@healthy(steps=250, bar=0.5)
def logarithm_of_a_cosine(seed):
    """Minimise log cosh of the differences of curves."""
    x = paths(512, seed, causes=6)
    model = dense((80,), (64,), 10, act=nn.SiLU, last=None)

    def loss(x_hat, target):
        return (x_hat - target).cosh().log().mean()

    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


# Asked: 1 - similarity plus L1, weights 0.85 and 0.15, as in depth estimation.
@healthy(steps=200, bar=0.4)
def one_minus_the_similarity(seed):
    """Mix one minus a correlation with an absolute error."""
    x = rings(448, seed)
    model = PoolNet(1, 4)

    def loss(x_hat, target):
        a, b = (
            t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (x_hat, target)
        )
        unlike = 1 - F.cosine_similarity(a, b, dim=1).mean()
        return 0.15 * unlike + 0.85 * F.l1_loss(x_hat, target)

    data = loader(x, batch_size=32, seed=seed)
    return written(model, data, adam(model, 4e-3), loss=loss)


class Doubting(AE):
    """Return a picture and how sure the network is of each value."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        mean, spread = self.decode(self.encode(x)).chunk(2, 1)
        return {"recon": mean, "variance": F.softplus(spread) + 1e-3}


# Asked: my negative log-likelihood is negative, is something wrong?
# https://github.com/Lasagne/Recipes/issues/54
@healthy(steps=300, bar=0.5)
def likelihood_with_a_variance_of_its_own(seed):
    """Learn a variance beside each value; the loss is below zero before long."""
    x = paths(512, seed, causes=5)
    encoder = nn.Sequential(*stack((80, 64), nn.ELU), nn.Linear(64, 8))
    model = Doubting(
        encoder, nn.Sequential(*stack((8, 64), nn.ELU), nn.Linear(64, 160))
    )

    def loss(out, target):
        return F.gaussian_nll_loss(out["recon"], target, out["variance"])

    return written(model, loader(x, seed=seed), loss=loss)


# Asked: bought goods are small whole numbers, mostly 0; which loss?
@healthy(steps=300, bar=0.25)
def how_many_of_each(seed):
    """Fit rates to numbers of goods, most of which are zero."""
    x = baskets(640, seed)
    model = dense((48,), (48,), 8, act=nn.Tanh, last=nn.Softplus)
    case = written(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))
    return {**case, "loss": nn.PoissonNLLLoss(log_input=False)}


# Asked: pixels vary by a tenth only (fog); must I stretch them?
@healthy(steps=150, bar=0.5)
def fog_over_everything(seed):
    """Learn pictures of low contrast as they are, 0.35 to 0.65."""
    x = 0.35 + 0.3 * tiles(384, seed)
    model = block_net((3, 32, 32), 32, act=nn.GELU)
    return written(model, loader(x, batch_size=32, seed=seed), adam(model, 3e-3))


# Asked: a border of zeros never changes; dead pixels?
@healthy(steps=350, bar=0.5)
def wide_black_border(seed):
    """Learn rings within a border of pixels that are zero in all pictures."""
    x = F.pad(rings(448, seed, size=20), (6, 6, 6, 6))
    model = dense((1, 32, 32), (128,), 16, act=nn.ELU)
    return written(model, loader(x, seed=seed), adam(model, 3e-3))


# Asked: beta-VAE with beta 4 on a curve: 2 of 6 units are in use, enough?
@healthy(steps=350, bar=0.5)
def beta_of_four_for_a_hill(seed):
    """Weigh the divergence by 4 where a small variance is assumed."""
    x = hills(512, seed)
    model = Gauss((64,), 6, last=None)

    def loss(out, target):
        return (distance(out, target) / 0.02 + 4 * divergence(out).sum(1)).mean()

    return written(model, loader(x, seed=seed), adam(model, 3e-3), loss=loss)


# Asked: a table with one column that is noise only; the error of that one stays.
@healthy(steps=250, bar=0.5)
def a_few_columns_of_noise(seed):
    """Compress a table of which a tenth of the columns cannot be compressed."""
    x = table(512, seed, d=40, rank=5)
    x[:, :4] = torch.randn(512, 4)
    model = dense((40,), (48,), 6, act=nn.ELU, last=None)
    return written(model, loader(x, batch_size=32, seed=seed))
