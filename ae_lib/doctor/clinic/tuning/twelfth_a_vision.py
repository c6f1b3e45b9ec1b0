"""Eighth part, a: image models of today that work."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import adam, conv
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.twelfth_a_material import (
    boxes,
    cloth,
    hills,
    made,
    strokes,
)


class Block(nn.Module):
    """Mix tokens by attention and channels by an MLP, as transformers do."""

    def __init__(self, d, heads=2):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        h = self.norm1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """See an image as 4 x 4 patches and write it patch by patch."""

    def __init__(self, c=3, size=16, d=48, code=12):
        super().__init__()
        self.embed = nn.Conv2d(c, d, 4, 4)
        self.place = nn.Parameter(0.02 * torch.randn(1, (size // 4) ** 2, d))
        self.encoder, self.code = Block(d), nn.Linear(d, code)
        self.open, self.decoder = nn.Linear(code, d), Block(d)
        self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 16 * c))
        self.fold = nn.Fold((size, size), 4, stride=4)

    def forward(self, x):
        h = self.encoder(self.embed(x).flatten(2).transpose(1, 2) + self.place)
        h = self.decoder(self.open(self.code(h)) + self.place)
        return self.fold(self.head(h).transpose(1, 2))


@healthy(steps=250, bar=0.6)
def transformer_on_patches_of_scenes(seed):
    """Train a small vision transformer with warm-up, AdamW and clipped gradients."""
    x = boxes(640, seed)
    model = Patches()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min(1, (t + 1) / 20))

    def step(model, images):
        loss = F.mse_loss(model(images), images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "step": step, "optimizer": optimizer}


def _hide(x, seed, share):
    """Return images with a share of their 4 x 4 patches grey."""
    n, _, height, width = x.shape
    kept = torch.rand(n, 1, height // 4, width // 4, generator=made(seed)) > share
    kept = F.interpolate(kept.float(), scale_factor=4)
    return x * kept + 0.5 * (1 - kept)


@healthy(steps=400, bar=0.3)
def patches_hidden_and_filled_in(seed):
    """Hide a third of the patches of smooth landscapes and let attention fill them."""
    x = hills(1024, seed, peaks=2, c=3)
    model = Patches(code=24)
    return {
        "model": model,
        "batches": loader(_hide(x, seed + 1, 0.35), x, batch_size=32, seed=seed),
        "loss": nn.SmoothL1Loss(beta=0.1),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


class ChannelNorm(nn.LayerNorm):
    """Normalise the channels of every pixel."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Next(nn.Module):
    """Mix pixels by depthwise filters and channels by an MLP with a layer scale."""

    def __init__(self, d):
        super().__init__()
        self.spread = nn.Conv2d(d, d, 5, 1, 2, groups=d)
        self.norm = ChannelNorm(d)
        self.wide, self.back = nn.Conv2d(d, 3 * d, 1), nn.Conv2d(3 * d, d, 1)
        self.scale = nn.Parameter(torch.full((1, d, 1, 1), 1e-2))

    def forward(self, x):
        h = self.back(F.gelu(self.wide(self.norm(self.spread(x)))))
        return x + self.scale * h


@healthy(steps=200, bar=0.6)
def depthwise_blocks_with_a_layer_scale(seed):
    """Build an autoencoder of ConvNeXt blocks whose branches start almost at zero."""
    x = patches(640, seed, size=16)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 2, 2),
        ChannelNorm(24),
        Next(24),
        ChannelNorm(24),
        nn.Conv2d(24, 32, 2, 2),
        Next(32),
        nn.Conv2d(32, 8, 1),  # (B, 8, 4, 4)
        nn.Conv2d(8, 32, 1),
        Next(32),
        nn.Conv2d(32, 24 * 4, 1),
        nn.PixelShuffle(2),
        Next(24),
        nn.Conv2d(24, 3 * 4, 1),
        nn.PixelShuffle(2),
    )
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.L1Loss(),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


class Net(nn.Module):
    """Denoise with a U-Net: two sizes, with a skip for the finer one."""

    def __init__(self, c=1, width=12):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(c, width, 3, 1, 1), nn.SiLU())
        self.down = nn.Sequential(nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU())
        self.low = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.SiLU())
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.last = nn.Sequential(
            nn.Conv2d(3 * width, width, 3, 1, 1), nn.SiLU(), nn.Conv2d(width, c, 1)
        )

    def forward(self, noisy):
        fine = self.first(noisy)
        coarse = self.up(self.low(self.down(fine)))
        return self.last(torch.cat([fine, coarse], 1))


@healthy(steps=220, bar=0.55)
def unet_against_strong_grain(seed):
    """Denoise signs with a U-Net, drawing fresh noise of 0.4 in every step."""
    x, _ = strokes(640, seed)
    g, model = made(seed + 1), Net()
    optimizer = adam(model, 3e-3)

    def grainy(batch):
        return batch + 0.4 * torch.randn(batch.shape, generator=g), batch

    clean = x[512:]
    return {
        "model": model,
        "batches": loader(x[:512], batch_size=32, seed=seed),
        "pair": grainy,
        "optimizer": optimizer,
        "judge": [(clean + 0.4 * torch.randn(clean.shape, generator=g), clean)],
    }


class Residual(nn.Module):
    """Estimate the noise of an image and take it away."""

    def __init__(self, c=3, width=16):
        super().__init__()
        layers = [nn.Conv2d(c, width, 3, 1, 1), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv2d(width, width, 3, 1, 1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.noise = nn.Sequential(*layers, nn.Conv2d(width, c, 3, 1, 1))

    def forward(self, noisy):
        return noisy - self.noise(noisy)


@healthy(steps=220, bar=0.6)
def noise_estimated_and_subtracted(seed):
    """Train a denoiser that predicts the noise and subtracts it from its input."""
    clean = boxes(576, seed)
    noisy = clean + 0.25 * torch.randn(clean.shape, generator=made(seed + 1))
    model = Residual()
    return {
        "model": model,
        "batches": loader(noisy[:512], clean[:512], batch_size=32, seed=seed),
        "eval_batches": [(noisy[512:], clean[512:])],
        "optimizer": adam(model, 3e-3),
    }


@healthy(steps=250, bar=0.5)
def thumbnails_made_sharp_again(seed):
    """Restore weaves from versions that were shrunk to half and enlarged."""
    x = cloth(768, seed)
    small = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    model = Residual(c=1)
    return {
        "model": model,
        "batches": loader(small, x, batch_size=32, seed=seed),
        "loss": lambda x_hat, x: (x_hat - x).square().add(1e-6).sqrt().mean(),
        "optimizer": torch.optim.RAdam(model.parameters(), lr=4e-3),
    }


@healthy(steps=0, bar=0.5)
def moving_average_judged_with_its_statistics(seed):
    """Judge the moving average of weights and of batch statistics, as found."""
    x = boxes(640, seed)
    model = conv((3, 16, 16), 32, width=8, norm=True)
    average, optimizer = copy.deepcopy(model), adam(model, 4e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, kept in average.state_dict().items():
            if kept.is_floating_point():
                kept.lerp_(model.state_dict()[name], 0.05)
        return loss.item()

    data = loader(x[:512], batch_size=32, seed=seed)
    train({"model": model, "batches": data, "step": step}, 110)
    return {"model": average, "batches": data, "eval_batches": [x[512:]]}


@healthy(steps=300, bar=0.5)
def large_steps_that_suit_averaged_errors(seed):
    """Use SGD with a rate of one and momentum, right for an error averaged so far."""
    x, y = digits(1280, seed, size=16)
    model = conv((1, 16, 16), 24, act=nn.Tanh, norm=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, nesterov=True)
    return {
        "model": model,
        "batches": loader(x, y, batch_size=64, seed=seed),
        "optimizer": optimizer,
    }
