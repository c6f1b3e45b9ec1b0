"""Mistakes that show in trained models and in histories, from further questions.

Each program is written anew after the idea of its source, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, scenes, table
from ae_lib.doctor.clinic.measures import detail, neighbours, outputs, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.fourth_models import (
    SignalAE,
    heartbeats,
    pooled,
    residual,
)


def epochs(case, count, steps, rest=None):
    """Train epoch by epoch; return losses on the batches and errors on the rest."""
    history = {"train_loss": [], "val_loss": []}
    for _ in range(count):
        losses = train(case, steps)
        history["train_loss"].append(sum(losses) / len(losses))
        if rest is not None:
            _, target, x_hat = outputs({**case, "eval_batches": [rest]})
            history["val_loss"].append(float(F.mse_loss(x_hat, target)))
    return history if rest is not None else {"train_loss": history["train_loss"]}


# Where no structure is, PCA of as many components does no better: that is said too.
# Source: https://stats.stackexchange.com/questions/441750
@faulty("fit.mean-image", accepts=("code.too-small",), steps=0, bar=0.3)
def noise_as_a_test_set(seed, fixed):
    """Test the network on random numbers, of which nothing can be compressed."""
    x = table(512, seed, d=60, rank=5) if fixed else torch.randn(512, 60)
    model = dense((60,), (48,), 6, act=nn.Tanh, last=None)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"optimizer": torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.1)}
    train(case, 400)
    return case


@faulty("fit.mean-image", steps=0, bar=0.4)
def checkpoint_of_another_run(seed, fixed):
    """Load weights of a run whose inputs were blank: they know the mean image only."""
    x, y = digits(640, seed, size=16)
    model = conv((1, 16, 16), 24, act=nn.LeakyReLU)
    case = {
        "model": model,
        "optimizer": adam(model),
        "batches": loader(x, y, seed=seed),
    }

    def blank(batch):
        return torch.zeros_like(batch[0]), batch[0]

    history = epochs(case if fixed else {**case, "pair": blank}, 25, 10)
    return {**case, "history": history}


# Source: https://github.com/eugenet12/pytorch-rbm-autoencoder/issues/1
@faulty("fit.undertrained", steps=0, bar=0.55)
def stopped_after_twelve_epochs(seed, fixed):
    """Stop a convolutional network while its loss still falls in each epoch."""
    x = scenes(512, seed)[0]
    model = pooled((3, 16, 16), 32)
    optimizer = adam(model, 1e-3)
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
    return {**case, "history": epochs(case, 100 if fixed else 12, 8)}


@faulty("fit.undertrained", steps=0, bar=0.6)
def patience_of_one_evening(seed, fixed):
    """Look at the results of a network for signals after a tenth of its training."""
    x = heartbeats(640, seed)
    plain = SignalAE(96, 8, act=nn.SiLU)
    case = {"model": plain, "batches": loader(x[:512], batch_size=32, seed=seed)}
    case |= {"optimizer": adam(plain, 5e-4), "eval_batches": [x[512:]]}
    return {**case, "history": epochs(case, 40 if fixed else 5, 16, x[512:])}


# Source: https://github.com/erickrf/autoencoder/issues/6
# Source: https://github.com/msminhas93/anomaly-detection-using-autoencoders/issues/8
@faulty("fit.overfit", steps=0, bar=0.3)
def thirty_images_by_heart(seed, fixed):
    """Train a wide network on 30 images until the error on others rises."""
    x, _ = digits(900, seed, size=16)
    rest, x = x[640:], x[: 640 if fixed else 30]
    model = dense((1, 16, 16), (384, 192), 48, act=nn.ReLU)
    case = {"model": model, "batches": loader(x, batch_size=30, seed=seed)}
    case |= {"optimizer": adam(model), "eval_batches": [rest]}
    return {**case, "history": epochs(case, 30, 20, rest)}


@faulty("fit.overfit", steps=0, bar=0.3)
def more_weights_than_rows(seed, fixed):
    """Train 30,000 weights on 30 rows of a noisy table until validation suffers."""
    x = table(1200, seed, d=50, rank=6)
    x = x + 1.0 * torch.randn_like(x)
    rest, x = x[800:], x[: 800 if fixed else 30]
    model = dense((50,), (256,), 8, act=nn.Tanh, last=None)
    case = {"model": model, "batches": loader(x, batch_size=30, seed=seed)}
    case |= {"optimizer": adam(model, 2e-3), "eval_batches": [rest]}
    return {**case, "history": epochs(case, 25, 30, rest)}


# Source: https://github.com/raadon96/MVTec-Anomaly-Detection/issues/15
@faulty("fit.blurry", steps=0, measure=detail, bar=0.1)
def enlarged_at_the_end(seed, fixed):
    """Decode a quarter of the size and enlarge it smoothly at the end."""
    x, y = scenes(448, seed)
    model = dense((3, 16, 16), (256,), 64, act=nn.ELU, last=None)
    if not fixed:
        small = nn.Sequential(nn.Linear(64, 256), nn.ELU(), nn.Linear(256, 48))
        grow = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False)
        model.decoder = small.append(nn.Unflatten(1, (3, 4, 4))).append(grow)
    case = {"model": model, "batches": loader(x, y, seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 500)
    return case


@faulty("fit.blurry", steps=0, measure=detail, bar=0.2)
def compared_as_thumbnails(seed, fixed):
    """Compare images at half their size to save time: fine detail costs nothing."""
    x = scenes(384, seed)[0]
    model = dense((3, 16, 16), (256,), 96, act=nn.GELU)

    def loss(x_hat, target):
        if fixed:
            return F.mse_loss(x_hat, target)
        return F.mse_loss(F.avg_pool2d(x_hat, 4), F.avg_pool2d(target, 4))

    case = {"model": model, "batches": loader(x, seed=seed), "loss": loss}
    case |= {"optimizer": adam(model)}
    train(case, 400)
    return case


class Scaled(AE):
    """Multiply each unit of the code by a number of its own."""

    def __init__(self, encoder, decoder, scale):
        super().__init__(encoder, decoder)
        self.register_buffer("scale", scale)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x) * self.scale

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z / self.scale)


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.8)
def units_of_a_thousand_and_of_one(seed, fixed):
    """Use a code whose units have scales from 1 to 10,000 for nearest neighbours."""
    x, y = digits(768, seed, size=8)
    plain = dense((1, 8, 8), (96,), 12, act=nn.ELU)
    scale = torch.ones(12) if fixed else torch.logspace(0, 4, 12)
    model = Scaled(plain.encoder, plain.decoder, scale)
    data = loader(x, y, shuffle=False)
    case = {"model": model, "batches": data, "optimizer": adam(model), "labels": y}
    train({**case, "batches": loader(x, seed=seed)}, 400)
    return case


@faulty("features.no-gain", steps=0, measure=neighbours, bar=0.75)
def light_that_changes(seed, fixed):
    """Learn features of digits under lamps of every brightness: it learns the lamp."""
    x, y = digits(768, seed, size=12)
    lamp = 6 * torch.rand(len(x), 1, 1, 1)
    x = x if fixed else 0.3 * x + lamp
    model = residual((1, 12, 12), 6, act=nn.ELU, last=None)
    data = loader(x, y, shuffle=False)
    case = {"model": model, "batches": data, "optimizer": adam(model), "labels": y}
    train({**case, "batches": loader(x, seed=seed)}, 400)
    return case
