"""Ninth part, b: architectures for images that work."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    cells,
    clouds,
    glyphs,
    terrain,
)


class Residual(nn.Module):
    """Add two convolutions with group norm to their input."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(4, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.GroupNorm(4, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, 1, 1),
        )

    def forward(self, x):
        return x + self.body(x)


class ResidualAE(nn.Module):
    """Go down through residual blocks to a dense code, and up by resizing."""

    def __init__(self, width=16, k=24):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1),
            Residual(width),
            nn.Conv2d(width, width, 3, 2, 1),
            Residual(width),
            nn.Flatten(),
            nn.Linear(width * 16, k),
        )
        self.decoder = nn.Sequential(
            nn.Linear(k, width * 16),
            nn.Unflatten(1, (width, 4, 4)),
            Residual(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, 1, 1),
            Residual(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, 3, 3, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


@healthy(steps=250, bar=0.6)
def residual_blocks_with_group_norm_on_cells(seed):
    """Compress stained cells with pre-activation residual blocks and AdamW."""
    model = ResidualAE()
    return {
        "model": model,
        "batches": loader(cells(640, seed), batch_size=32, seed=seed),
        "optimizer": torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.01),
    }


class NextBlock(nn.Module):
    """Mix a neighbourhood depthwise, then the channels, and scale what is added."""

    def __init__(self, width, scale=0.01):
        super().__init__()
        self.depth = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.grow, self.shrink = (
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )
        self.gamma = nn.Parameter(scale * torch.ones(width))

    def forward(self, x):
        h = self.norm(self.depth(x).permute(0, 2, 3, 1))
        h = self.gamma * self.shrink(F.gelu(self.grow(h)))
        return x + h.permute(0, 3, 1, 2)


@healthy(steps=200, bar=0.6)
def convnext_blocks_with_a_small_layer_scale(seed):
    """Stack blocks in the manner of ConvNeXt around a map of four channels."""
    model = nn.Sequential(
        nn.Conv2d(3, 24, 2, 2),
        NextBlock(24),
        nn.Conv2d(24, 32, 2, 2),
        NextBlock(32),
        nn.Conv2d(32, 4, 1),  # (B, 4, 4, 4), of 768 values
        nn.Conv2d(4, 32, 1),
        NextBlock(32),
        nn.ConvTranspose2d(32, 24, 2, 2),
        NextBlock(24),
        nn.ConvTranspose2d(24, 3, 2, 2),
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            nn.init.trunc_normal_(module.weight, std=0.1)
            nn.init.zeros_(module.bias)
    x = 2 * clouds(640, seed) - 1
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "loss": nn.SmoothL1Loss(beta=0.1),
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


def tokens(images, size=4):
    """Cut images (B, C, H, W) into rows (B, patches, C size size)."""
    return F.unfold(images, size, stride=size).transpose(1, 2)


def layers(width, depth=2):
    """Return a pre-norm transformer without dropout."""
    layer = nn.TransformerEncoderLayer(
        width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class LatentTokens(nn.Module):
    """Let a few learned tokens read the patches, and blank patches read the tokens."""

    def __init__(self, width=32, few=4, k=6, count=16):
        super().__init__()
        self.embed = nn.Linear(16, width)
        self.place = nn.Parameter(0.02 * torch.randn(1, count, width))
        self.queries = nn.Parameter(0.5 * torch.randn(1, few, width))
        self.encoder, self.decoder = layers(width), layers(width)
        self.down, self.up = nn.Linear(width, k), nn.Linear(k, width)
        self.blank = nn.Parameter(0.5 * torch.randn(1, count, width))
        self.head = nn.Linear(width, 16)
        self.few = few

    def encode(self, x):
        seen = self.embed(tokens(x)) + self.place
        queries = self.queries.expand(len(x), -1, -1)
        return self.down(self.encoder(torch.cat([queries, seen], 1))[:, : self.few])

    def forward(self, x):
        blank = self.blank.expand(len(x), -1, -1)
        h = self.decoder(torch.cat([self.up(self.encode(x)), blank], 1))
        rows = self.head(h[:, self.few :]).transpose(1, 2)
        return torch.sigmoid(F.fold(rows, x.shape[-2:], 4, stride=4))


@healthy(steps=350, bar=0.4)
def vision_transformer_with_four_latent_tokens(seed):
    """Compress signs into four tokens with warm-up, decay and clipped gradients."""
    x, kind = glyphs(768, seed)
    model = LatentTokens()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    warm = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min(1.0, (done + 1) / 10)
    )

    def step(model, batch):
        images, _ = batch
        optimizer.zero_grad(set_to_none=True)
        loss = F.mse_loss(model(images), images)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm.step()
        return loss.item()

    data = loader(x, kind, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


class MaskedPatches(nn.Module):
    """Encode half of the patches only, and predict the others from them."""

    def __init__(self, width=32, count=16, kept=8):
        super().__init__()
        self.embed, self.head = nn.Linear(16, width), nn.Linear(width, 16)
        self.place = nn.Parameter(0.3 * torch.randn(1, count, width))
        self.blank = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.encoder, self.decoder = layers(width), layers(width, 1)
        self.kept = kept

    def forward(self, x):
        rows = tokens(x)
        order = torch.rand(rows.shape[:2]).argsort(1)
        hidden = order.argsort(1) >= self.kept  # (B, 16)
        pick = order[:, : self.kept, None]
        h = self.embed(rows) + self.place
        seen = self.encoder(h.gather(1, pick.expand(-1, -1, h.shape[2])))
        full = (self.blank + self.place).expand(len(x), -1, -1)
        full = full.scatter(1, pick.expand(-1, -1, h.shape[2]), seen)
        guess = self.head(self.decoder(full))
        shown = torch.where(hidden[..., None], guess, rows)

        def image(values):
            return F.fold(values.transpose(1, 2), x.shape[-2:], 4, stride=4)

        mask = image(hidden[..., None].float().expand_as(rows))
        return {"x_hat": image(shown), "mask": mask}


def masked_error(out, target):
    """Return the mean squared error of the hidden patches alone."""
    wrong = (out["x_hat"] - target).square() * out["mask"]
    return wrong.sum() / out["mask"].sum()


@healthy(steps=400, bar=0.55)
def hidden_patches_of_terrain_predicted(seed):
    """Pre-train on height maps, half of the patches hidden and judged."""
    model = MaskedPatches()
    return {
        "model": model,
        "batches": loader(terrain(1024, seed), seed=seed),
        "loss": masked_error,
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }
