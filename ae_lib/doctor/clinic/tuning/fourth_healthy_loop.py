"""Healthy programs that look suspicious: optimizers, loops, precision and modes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table, waves
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.fourth_models import (
    SignalAE,
    Tied,
    heartbeats,
    pooled,
    residual,
)


@healthy(steps=320, bar=0.4)
def four_small_batches_a_step(seed):
    """Collect gradients of four small batches before each step."""
    x = scenes(512, seed)[0]
    model = conv((3, 16, 16), 32, act=nn.ELU)
    optimizer = adam(model, 4e-3)
    count = [0]

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 4).backward()
        count[0] += 1
        if count[0] % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    case = {"model": model, "batches": loader(x, batch_size=16, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


@healthy(steps=300, bar=0.4)
def rate_of_eight(seed):
    """Use SGD at 8 on a mean over pixels, which makes gradients tiny."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (), 32)
    data = loader(x, y, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": sgd(model, 8.0, momentum=0.9)}


@healthy(steps=200, bar=0.6)
def rate_of_one_without_momentum(seed):
    """Use plain SGD at 1 on a table in one linear layer and back."""
    x = table(512, seed, d=24, rank=4)
    model = Tied(24, 4)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": sgd(model, 1.0),
    }


@healthy(steps=0, bar=0.5)
def encoder_of_an_earlier_stage(seed):
    """Freeze an encoder that was trained before and train a new decoder for it."""
    x, y = digits(640, seed, size=12)
    model = dense((1, 12, 12), (96,), 24, act=nn.ELU)
    case = {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }
    train(case, 250)
    model.encoder.requires_grad_(False).eval()
    model.decoder = dense((1, 12, 12), (96,), 24, act=nn.ELU).decoder
    case["optimizer"] = torch.optim.Adam(model.decoder.parameters(), 2e-3)
    train(case, 250)
    return case


class Halves(AE):
    """Run the encoder under bfloat16 autocast and give back float32."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float()


@healthy(steps=250, bar=0.5)
def sixteen_bits_inside(seed):
    """Compute in bfloat16 inside the model."""
    x = patches(384, seed)
    plain = conv((3, 16, 16), 32, act=nn.SiLU)
    model = Halves(plain.encoder, plain.decoder)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@healthy(steps=250, bar=0.5)
def sixteen_bits_in_the_step(seed):
    """Compute the loss of a dense network under autocast in the user's own step."""
    x, y = digits(640, seed, size=12)
    model = dense((1, 12, 12), (128,), 24, act=nn.GELU)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)

    def step(model, batch):
        images = batch[0]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            x_hat = model(images)
        loss = F.mse_loss(x_hat.float(), images)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, y, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


@healthy(steps=400, bar=0.4)
def dropout_on_the_way(seed):
    """Drop a quarter of the hidden units of a dense network, by a module."""
    x, y = digits(768, seed, size=12)
    encoder = [nn.Flatten(), *stack((144, 128)), nn.Dropout(0.25), nn.Linear(128, 24)]
    decoder = [*stack((24, 128)), nn.Linear(128, 144), nn.Sigmoid()]
    decoder.append(nn.Unflatten(1, (1, 12, 12)))
    model = AE(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return {
        "model": model,
        "batches": loader(x, y, seed=seed),
        "optimizer": adam(model),
    }


@healthy(steps=200, bar=0.5)
def norm_and_dropped_channels(seed):
    """Normalise batches and drop whole channels in a residual network."""
    x = scenes(512, seed)[0]
    model = residual((3, 16, 16), 32, width=24, act=nn.ELU)
    model.encoder.insert(3, nn.Dropout2d(0.1))
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}


@healthy(steps=250, bar=0.5)
def three_groups_of_parameters(seed):
    """Give encoder, decoder and biases rates and decays of their own."""
    x = patches(384, seed)
    model = conv((3, 16, 16), 32, act=nn.ELU)
    named = dict(model.named_parameters())
    weights = [n for n in named if n.endswith("weight")]
    groups = [
        {"params": [named[n] for n in weights if n.startswith("enc")], "lr": 1e-3},
        {"params": [named[n] for n in weights if n.startswith("dec")], "lr": 3e-3},
        {"params": [p for p in named.values() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, 2e-3, weight_decay=1e-3)
    data = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


@healthy(steps=300, bar=0.5)
def warm_up_then_cosine(seed):
    """Start at a very small rate, rise for 20 steps, then fall slowly."""
    x = heartbeats(512, seed)
    model = SignalAE(96, 8, act=nn.GELU)
    optimizer = adam(model, 1e-5)
    count = [0]

    def step(model, batch):
        count[0] += 1
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, count[0] / 20)
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


@healthy(steps=300, bar=0.5)
def rmsprop_on_tanh(seed):
    """Use RMSprop and tanh units for waves, as in an old tutorial."""
    x = waves(512, seed)
    model = dense((64,), (96,), 12, act=nn.Tanh, last=None)
    optimizer = torch.optim.RMSprop(model.parameters(), 1e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}


@healthy(steps=300, bar=0.5)
def batches_of_eight(seed):
    """Use very small batches: losses jump from step to step."""
    x, y = scenes(400, seed)
    model = conv((3, 16, 16), 24, act=nn.LeakyReLU)
    data = loader(x, y, batch_size=8, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-3)}


@healthy(steps=200, bar=0.5)
def all_rows_in_one_batch(seed):
    """Train on the whole table at once; each epoch is one batch, always the same."""
    x = table(320, seed, d=24)
    model = dense((24,), (32,), 6, act=nn.ELU, last=None)
    return {"model": model, "batches": [x], "optimizer": adam(model, 5e-3)}


@healthy(steps=400, bar=0.4)
def one_sigmoid_layer(seed):
    """Use one layer of sigmoid units and no other, as in the first papers."""
    x, y = digits(640, seed, size=12)
    model = Tied(144, 48, act=nn.Sigmoid(), last=nn.Sigmoid())
    optimizer = adam(model, 5e-3)
    return {"model": model, "batches": loader(x, y, seed=seed), "optimizer": optimizer}


@healthy(steps=200, bar=0.5)
def up_by_pairs_of_pixels(seed):
    """Use transposed convolutions whose kernel is a multiple of the stride."""
    x = scenes(384, seed, size=32)[0]
    model = pooled((3, 32, 32), 32, width=12, act=nn.ELU)
    up = model.decoder
    up[3] = nn.ConvTranspose2d(12, 12, 4, 2, 1)
    up[4] = nn.Identity()
    optimizer = torch.optim.NAdam(model.parameters(), 2e-3)
    return {"model": model, "batches": loader(x, seed=seed), "optimizer": optimizer}
