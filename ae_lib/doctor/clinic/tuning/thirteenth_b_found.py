"""Ninth part, b: pre-trained and frozen parts, and models found well trained."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense, dense_vae, elbo
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.thirteenth_b_material import (
    clouds,
    fit,
    glyphs,
    made,
    terrain,
    weave,
)


class FrozenFeatures(nn.Module):
    """Keep a classifier's features as they are, and learn to invert them."""

    def __init__(self, backbone, k, d):
        super().__init__()
        self.backbone = backbone.requires_grad_(False)
        self.decoder = nn.Sequential(
            nn.Linear(k, 160), nn.ReLU(), nn.Linear(160, d), nn.Sigmoid()
        )

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            h = self.backbone(x)
        return self.decoder(h).view_as(x)


def classifier(x, kind, steps=60):
    """Train a small network to name the signs and return all but its last layer."""
    features = nn.Sequential(
        nn.Conv2d(1, 12, 3, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Flatten(),
    )
    head = nn.Linear(192, 4)
    both = nn.Sequential(features, head)
    optimizer = torch.optim.Adam(both.parameters(), lr=5e-3)
    for start in range(0, 32 * steps, 32):
        rows = torch.arange(start, start + 32) % len(x)
        optimizer.zero_grad()
        F.cross_entropy(both(x[rows]), kind[rows]).backward()
        optimizer.step()
    return features


@healthy(steps=250, bar=0.5)
def features_of_a_frozen_classifier_inverted(seed):
    """Freeze a classifier of signs, batch norm included, and train a decoder alone."""
    x, kind = glyphs(768, seed)
    model = FrozenFeatures(classifier(x, kind), 192, 256)
    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "optimizer": torch.optim.AdamW(model.decoder.parameters(), lr=2e-3),
    }


@healthy(steps=200, bar=0.6)
def pretrained_encoder_at_a_tenth_of_the_rate(seed):
    """Fine-tune a pre-trained encoder slowly under a new decoder at full rate."""
    x = clouds(768, seed, size=12)
    first = dense((3, 12, 12), (96,), 20)
    train({"model": first, "batches": loader(x, seed=seed)}, 100)
    model = AE(first.encoder, dense((3, 12, 12), (128,), 20, nn.GELU).decoder)
    groups = [
        {"params": model.encoder.parameters(), "lr": 2e-4},
        {"params": model.decoder.parameters(), "lr": 2e-3},
    ]
    return {
        "model": model,
        "batches": loader(x, batch_size=32, seed=seed),
        "optimizer": torch.optim.Adam(groups),
    }


@healthy(steps=150, bar=0.5)
def error_of_frozen_features_added(seed):
    """Add the distance in a fixed convolution's features to the pixel error."""
    x, kind = glyphs(640, seed)
    features = nn.Sequential(nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2))
    features.requires_grad_(False).eval()
    model = dense((1, 16, 16), (128,), 16)

    def loss(out, target):
        seen = F.mse_loss(features(out), features(target))
        return F.mse_loss(out, target) + 0.5 * seen

    return {
        "model": model,
        "batches": loader(x, kind, batch_size=32, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


@healthy(steps=0, bar=0.7)
def tears_in_cloth_looked_for(seed):
    """Train on whole cloth only, and look at held-out cloth, a tenth of it torn."""
    x = weave(768, seed)
    whole, torn = weave(180, seed + 100), weave(20, seed + 200, flaw=True)
    model = dense((1, 16, 16), (96,), 6, last=None)
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3)}
    history = fit(case, 16, whole)
    shown = torch.cat([whole, torn])
    order = torch.randperm(len(shown), generator=made(seed))
    found = {"eval_batches": list(shown[order].split(50)), "history": history}
    return {**case, **found, "judge": [whole]}


@healthy(steps=0, bar=0.7)
def one_kind_of_sign_known_from_four(seed):
    """Train on discs alone, with a code of three, and score signs of every kind."""
    x, kind = glyphs(2000, seed)
    known, rest = x[kind == 1], x[kind != 1][:60]
    normal, held = known[:400], known[400:460]
    model = dense((1, 16, 16), (96, 32), 3, nn.GELU)
    case = {"model": model, "batches": loader(normal, batch_size=20, seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 350)
    shown = torch.cat([held, rest])[torch.randperm(120, generator=made(seed))]
    return {**case, "eval_batches": [shown], "judge": [held]}


@healthy(steps=0, bar=0.6)
def sixteen_units_for_maps_of_twelve_causes(seed):
    """Train a VAE with some more units than the maps have causes."""
    x = terrain(1280, seed, size=12)
    train_x, val = x[:1152], x[1152:]
    model = dense_vae((1, 12, 12), 128, k=16, last=None)
    case = {"model": model, "batches": loader(train_x, seed=seed)}
    case |= {"loss": elbo(variance=0.1), "optimizer": adam(model, 3e-3)}
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(case["optimizer"], 24)
    history = fit(case, 24, val, rate)
    return {**case, "eval_batches": [val], "history": history}


@healthy(steps=0, bar=0.6)
def photographs_until_the_curves_are_level(seed):
    """Train on cut-outs with a falling rate until neither curve moves any more."""
    x = patches(1000, seed, size=12)
    train_x, val = x[:880], x[880:]
    model = dense((3, 12, 12), (128,), 24, nn.GELU, last=None)
    case = {"model": model, "batches": loader(train_x, seed=seed)}
    case |= {"optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3)}
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(case["optimizer"], 30)
    history = fit(case, 30, val, rate)
    return {**case, "eval_batches": [val], "history": history}


@healthy(steps=0, bar=0.5)
def three_numbers_for_a_digit_and_its_name(seed):
    """Train a dense network with a code of three and pass the names for the probes."""
    x, name = digits(1280, seed, size=8)
    model = dense((1, 8, 8), (128, 64), 3)
    case = {"model": model, "batches": list(x.split(64)), "labels": name}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 500)
    return case
