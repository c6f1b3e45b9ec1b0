"""Autoencoders as plain modules: encode, decode, forward, and one dial, `latent_dim`.

All take and return float images (N, C, H, W) in [0, 1]; the code is (N, latent_dim).
`ConvAutoencoder` is the course's network and is built line by line in chapter 04;
`PyramidAutoencoder` is the same for larger pictures.
`ResidualAutoencoder` is the one to use for good reconstructions: it starts as PCA.
`ArticleAutoencoder` is a network many readers have met, kept as it was published to
measure against. `LinearAutoencoder` has no activation at all and can do what PCA does.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ae_lib.baselines import PCA
from ae_lib.blocks import PatchDecoder, PatchEncoder, fold
from ae_lib.data import Images, to_unit

Shape = tuple[int, int, int]


class Autoencoder(nn.Module):
    """Join an encoder, a bottleneck and a decoder, which subclasses build."""

    encoder: nn.Module
    bottleneck: nn.Module
    decoder: nn.Module

    def __init__(self, latent_dim: int, image_shape: Shape, multiple: int):
        super().__init__()
        self.latent_dim, self.image_shape = _checked(latent_dim, image_shape, multiple)

    def encode(self, x: Tensor) -> Tensor:
        return self.bottleneck(self.encoder(x))  # (B, latent_dim)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)  # (B, C, H, W)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Encoder(nn.Module):
    """Halve the image twice while the channels grow: 3×32×32 -> 64×8×8 = 4096."""

    def __init__(self, image_shape: Shape = (3, 32, 32)):
        super().__init__()
        channels = image_shape[0]
        self.stack = nn.Sequential(
            nn.Conv2d(channels, 32, 4, stride=2, padding=1),  # (B, 32, 16, 16)
            nn.BatchNorm2d(32),
            nn.GELU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),  # (B, 64, 8, 8)
            nn.BatchNorm2d(64),
            nn.GELU(),
            nn.Flatten(),  # (B, 4096)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stack(x)


class Decoder(nn.Module):
    """Unfold a code into an image: latent_dim -> 64×8×8 -> 3×32×32 in [0, 1]."""

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        super().__init__()
        channels, height, width = image_shape
        grid = (64, height // 4, width // 4)
        self.stack = nn.Sequential(
            nn.Linear(latent_dim, grid[0] * grid[1] * grid[2]),  # (B, 4096)
            nn.Unflatten(1, grid),  # (B, 64, 8, 8)
            nn.BatchNorm2d(64),
            nn.GELU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),  # (B, 32, 16, 16)
            nn.BatchNorm2d(32),
            nn.GELU(),
            nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),  # (B, 3, 32, 32)
            nn.Sigmoid(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.stack(z)


class ConvAutoencoder(Autoencoder):
    """Squeeze images (B, C, H, W) through `latent_dim` numbers with convolutions.

    Height and width must be multiples of 4. 28×28×1 works as 3×32×32 does; the
    bottleneck is linear, so a code may take any sign and size.

    >>> import torch
    >>> model = ConvAutoencoder(latent_dim=200)
    >>> model.encode(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 200])
    """

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        super().__init__(latent_dim, image_shape, multiple=4)
        channels, height, width = image_shape
        features = 64 * (height // 4) * (width // 4)
        self.encoder = Encoder(image_shape)
        self.bottleneck = nn.Linear(features, latent_dim)
        self.decoder = Decoder(latent_dim, image_shape)


class ResidualAutoencoder(Autoencoder):
    """Start as PCA and learn what PCA cannot do: residual blocks on 4×4 patches.

    The first 48 of 128 channels of the 8×8 grid hold the pixels themselves. One matrix
    makes the code of all channels, one makes all channels of the code, and the blocks
    add corrections that start at zero. After `start_as_pca` the untrained network
    answers as PCA does, and training begins there. Height and width must be
    multiples of 4, and there may be up to 7 colours. What leaves [0, 1] is clipped;
    the gradient passes as if it were not.

    >>> model = ResidualAutoencoder(latent_dim=200)
    >>> model.encode(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 200])
    """

    WIDTH, ENCODER_BLOCKS, DECODER_BLOCKS = 128, 1, 2
    CODE_SCALE = 0.5  # of the codes, against those of PCA: steps fit both matrices then
    # What starts as PCA must not be thrown away in the first steps.
    rates = {"bottleneck.weight": 1.5e-4, "decoder.up.weight": 1.5e-4}
    pace = 1.0
    mean: Tensor
    bottleneck: nn.Linear
    decoder: PatchDecoder

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        super().__init__(latent_dim, image_shape, multiple=4)
        channels, height, width = self.image_shape
        if 16 * channels >= self.WIDTH:
            raise ValueError(f"at most 7 channels of an image fit, got {channels}")
        features = self.WIDTH * (height // 4) * (width // 4)
        self.register_buffer("mean", torch.full(self.image_shape, 0.5))
        self.encoder = PatchEncoder(self.image_shape, self.WIDTH, self.ENCODER_BLOCKS)
        self.bottleneck = nn.Linear(features, latent_dim)
        self.decoder = PatchDecoder(
            latent_dim, self.image_shape, self.WIDTH, self.DECODER_BLOCKS
        )

    @torch.no_grad()
    def start_as_pca(self, images: Images | Tensor, *, mirrored: bool = False) -> None:
        """Set both matrices and the mean so that the code is that of PCA.

        `images` are the training images, (N, C, H, W); `mirrored` counts their mirror
        images too. Where PCA has fewer components than the code has numbers, the
        others keep their random start. The less PCA leaves to learn, the smaller the
        steps should be: `pace`, a factor on the rates of `muon_and_adam`, is set to
        three times the share of the standard deviation that is left, at most 1.
        """
        most = min(len(images) - 1, self.mean.numel())
        pca = PCA.fit(images, min(self.latent_dim, most), mirrored=mirrored)
        axes = pca.components.unflatten(1, self.image_shape)
        axes = fold(axes).flatten(1)  # (k, 48·8·8)
        k, numbers = axes.shape
        down, up = self.bottleneck, self.decoder.up
        self.mean.copy_(pca.mean)
        down.weight[:k].zero_()
        down.weight[:k, :numbers] = self.CODE_SCALE * axes
        down.bias.zero_()
        up.weight[:numbers].zero_()
        up.weight[:numbers, :k] = axes.T / self.CODE_SCALE
        up.bias.zero_()
        first: Any = images[:1_000]
        x = to_unit(getattr(first, "pixels", first))
        left = (pca(x) - x).std() / (x - pca.mean).std()
        self.pace = min(1.0, 3 * left.item())

    def encode(self, x: Tensor) -> Tensor:
        return super().encode(x - self.mean)  # (B, latent_dim)

    def decode(self, z: Tensor) -> Tensor:
        x_hat = super().decode(z) + self.mean  # (B, C, H, W)
        return x_hat + (x_hat.clamp(0, 1) - x_hat).detach()


class PyramidAutoencoder(Autoencoder):
    """Halve until no side exceeds 8: the network of chapter 04 for larger pictures.

    The channels double up to 64, from 16 or more, so that the two matrices stay as
    small as for 32×32, where it is `ConvAutoencoder`: 3×64×64 -> 16×32×32 -> 32×16×16
    -> 64×8×8. Sides must be multiples of 4 up to 32, of 8 up to 64, of 16 up to 128.

    >>> model = PyramidAutoencoder(latent_dim=32, image_shape=(3, 128, 128))
    >>> model.encode(torch.rand(2, 3, 128, 128)).shape
    torch.Size([2, 32])
    """

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        halvings = max(1, math.ceil(math.log2(max([8, *image_shape[1:]]) / 8)))
        super().__init__(latent_dim, image_shape, multiple=2**halvings)
        channels, height, width = self.image_shape
        grid = (64, height >> halvings, width >> halvings)
        widths = [max(16, 64 >> k) for k in reversed(range(halvings))]  # 16, 32, 64
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for thin, wide in zip([channels, *widths], widths, strict=False):
            down += [nn.Conv2d(thin, wide, 4, stride=2, padding=1)]
            down += [nn.BatchNorm2d(wide), nn.GELU()]
            back = nn.ConvTranspose2d(wide, thin, 4, stride=2, padding=1)
            up = [nn.BatchNorm2d(wide), nn.GELU(), back, *up]
        features = grid[0] * grid[1] * grid[2]
        self.encoder = nn.Sequential(*down, nn.Flatten())  # (B, 4096)
        self.bottleneck = nn.Linear(features, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, features), nn.Unflatten(1, grid), *up, nn.Sigmoid()
        )


class LinearAutoencoder(Autoencoder):
    """Two matrices: a code of `latent_dim` weighted sums, an image of weighted sums.

    With mean squared error its best solution spans the subspace of PCA (Bourlard and
    Kamp 1988; Baldi and Hornik 1989). Its output is not confined to [0, 1].
    """

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        super().__init__(latent_dim, image_shape, multiple=1)
        pixels = image_shape[0] * image_shape[1] * image_shape[2]
        self.encoder = nn.Flatten()
        self.bottleneck = nn.Linear(pixels, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, pixels), nn.Unflatten(1, image_shape)
        )


class ArticleAutoencoder(Autoencoder):
    """The network of the tutorials: six 3×3 convolutions and a ReLU on the code.

    3 -> 16 -> 16 -> 32 -> 32 -> 64 -> 64 channels, strides 2 at the third and fifth
    convolution, 64×8×8 = 4096 -> latent_dim, and the mirror image back; the output is
    not confined to [0, 1]. Kept as published, defects included, as a reference.
    """

    def __init__(self, latent_dim: int = 200, image_shape: Shape = (3, 32, 32)):
        super().__init__(latent_dim, image_shape, multiple=4)
        channels, height, width = image_shape
        grid = (64, height // 4, width // 4)
        widths = [channels, 16, 16, 32, 32, 64, 64]
        strides = [1, 1, 2, 1, 2, 1]
        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for i, stride in enumerate(strides):
            thin, wide = widths[i], widths[i + 1]
            down += [nn.Conv2d(thin, wide, 3, stride, padding=1), nn.ReLU()]
            back = nn.ConvTranspose2d(
                wide, thin, 3, stride, padding=1, output_padding=stride - 1
            )
            up = [back, nn.ReLU(), *up]
        self.encoder = nn.Sequential(*down, nn.Flatten())  # (B, 4096)
        features = grid[0] * grid[1] * grid[2]
        self.bottleneck = nn.Sequential(nn.Linear(features, latent_dim), nn.ReLU())
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, features), nn.ReLU(), nn.Unflatten(1, grid), *up[:-1]
        )


_ALL = (
    ConvAutoencoder,
    PyramidAutoencoder,
    ResidualAutoencoder,
    LinearAutoencoder,
    ArticleAutoencoder,
)
MODELS = {model.__name__: model for model in _ALL}


def for_images(name: str, latent_dim: int, images: Images) -> Autoencoder:
    """Make the model of that name for training images, as PCA where it can be.

    Colour images count for photographs, which are as likely in a mirror.
    """
    model = MODELS[name](latent_dim, images.shape)
    if isinstance(model, ResidualAutoencoder):
        model.start_as_pca(images, mirrored=images.shape[0] == 3)
    return model


def _checked(latent_dim: int, image_shape: Shape, multiple: int) -> tuple[int, Shape]:
    """Return (latent_dim, image_shape) checked; ValueError says what would fit."""
    if isinstance(latent_dim, bool) or not isinstance(latent_dim, int):
        raise ValueError(f"latent_dim must be an integer, got {latent_dim!r}")
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be at least 1, got {latent_dim}")
    shape = tuple(int(size) for size in image_shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(
            f"image_shape must be (channels, height, width), got {image_shape}"
        )
    if shape[1] % multiple or shape[2] % multiple:
        below = [max(1, side // multiple) * multiple for side in shape[1:]]
        above = [math.ceil(side / multiple) * multiple for side in shape[1:]]
        fit = dict.fromkeys(f"{height}×{width}" for height, width in (below, above))
        raise ValueError(
            f"image height and width must be multiples of {multiple}, got "
            f"{shape[1]}×{shape[2]}; resize, crop or pad the images to "
            f"{' or '.join(fit)} (data.load has size=...)"
        )
    return latent_dim, shape
