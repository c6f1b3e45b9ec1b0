"""Healthy programs that look suspicious: training steps and wrappers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.seventh_healthy_material import (
    beats,
    case,
    flows,
    phantoms,
)
from ae_lib.doctor.clinic.tuning.seventh_healthy_models import Series, Upsampling


# Asked: a batch of 64 does not fit, so the step cuts it into four.
@healthy(steps=200, bar=0.5)
def four_pieces_within_one_step(seed):
    """Cut each batch into four and add up a quarter of each gradient."""
    model = Upsampling(1, 32, 24, act=nn.GELU, last=nn.Sigmoid)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for piece in batch.chunk(4):
            loss = F.mse_loss(model(piece), piece) / 4
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total

    data = loader(phantoms(448, seed), seed=seed)
    return case(model, data, optimizer, step=step)


# Asked: the rate begins at zero and rises for sixty steps; nothing moves at first.
@healthy(steps=250, bar=0.5)
def rate_of_zero_in_the_first_step(seed):
    """Examine a run at its first step, in which the warm-up still gives a rate of 0."""
    model = Series(1, 96, 12)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1, i / 60))

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        return loss.item()

    data = loader(beats(512, seed), batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step)


# Asked: the encoder comes from another data set; for now its group has a rate of zero.
@healthy(steps=200, bar=0.4)
def encoder_waits_at_a_rate_of_zero(seed):
    """Give a pretrained encoder a rate of 0 until the new decoder has caught up."""
    x, y = digits(768, seed, size=8)
    old = dense((1, 8, 8), (96,), 16, act=nn.ReLU)
    shifted = loader(x.roll(1, -1), batch_size=64, seed=seed)
    train({"model": old, "batches": shifted, "optimizer": adam(old, 3e-3)}, 300)
    fresh = dense((1, 8, 8), (96,), 16, act=nn.ReLU)
    model = AE(old.encoder, fresh.decoder)
    groups = [
        {"params": model.encoder.parameters(), "lr": 1e-4, "name": "encoder"},
        {"params": model.decoder.parameters(), "name": "decoder"},
    ]
    optimizer = torch.optim.Adam(groups, 3e-3)
    rates = [lambda i: float(i >= 100), lambda i: 1.0]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rates)

    def step(model, batch):
        x = batch[0]
        loss = F.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.item()

    data = loader(x, y, batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step)


# Asked: half the parameters of the discriminator are in no optimizer that I pass on.
@healthy(steps=350, bar=0.35)
def adversary_watches_the_code(seed):
    """Let a critic pull the code towards a normal one, beside the reconstruction."""
    x, y = digits(768, seed, size=8)
    model = dense((1, 8, 8), (96,), 8, act=nn.LeakyReLU)
    critic = nn.Sequential(nn.Linear(8, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
    optimizer = adam(model, 2e-3)
    other = torch.optim.Adam(critic.parameters(), 5e-4, betas=(0.5, 0.9))
    entropy = F.binary_cross_entropy_with_logits

    def step(model, batch):
        x = batch[0]
        z = model.encode(x)
        real, fake = critic(torch.randn_like(z)), critic(z.detach())
        judged = entropy(real, torch.ones_like(real))
        judged = judged + entropy(fake, torch.zeros_like(fake))
        other.zero_grad()
        judged.backward()
        other.step()
        fooled = entropy(critic(z), torch.ones_like(real))
        loss = F.mse_loss(model.decode(z), x) + 1e-3 * fooled
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, y, batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step)


class Parallel(nn.Module):
    """Hold a network as its only part, as wrappers for many devices do."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, *inputs):
        return self.module(*inputs)


# Asked: every name in the state begins with "module." and the model is lazy too.
@healthy(steps=200, bar=0.5)
def wrapped_and_lazy(seed):
    """Wrap a network of lazy layers, after one pass that tells them their sizes."""
    x = flows(448, seed)
    encoder = nn.Sequential(
        nn.LazyConv2d(16, 4, 2, 1), nn.Hardswish(), nn.LazyConv2d(32, 4, 2, 1),
        nn.Hardswish(), nn.Flatten(), nn.LazyLinear(12),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.LazyLinear(512), nn.Unflatten(1, (32, 4, 4)), nn.Hardswish(),
        nn.LazyConvTranspose2d(16, 4, 2, 1), nn.Hardswish(),
        nn.LazyConvTranspose2d(2, 4, 2, 1),
    )  # fmt: skip
    model = Parallel(AE(encoder, decoder))
    model(x[:2])
    data = loader(x, batch_size=32, seed=seed)
    return case(model, data, adam(model, 3e-3))


# Asked: half precision on the processor, the loss has only three digits.
@healthy(steps=250, bar=0.5)
def three_digits_of_precision(seed):
    """Run the forward pass in bfloat16 and the loss in full precision, on a table."""
    model = dense((24,), (64,), 6, act=nn.SiLU, last=None)
    optimizer = torch.optim.NAdam(model.parameters(), 2e-3)

    def step(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            x_hat = model(batch)
        loss = F.mse_loss(x_hat.float(), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(table(640, seed, d=24, rank=4), batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step)


class Labelled(nn.Module):
    """Reconstruct and classify from the same code, with a head kept for later."""

    def __init__(self, k: int = 16):
        super().__init__()
        self.body = dense((1, 8, 8), (96,), k, act=nn.ReLU)
        self.classify = nn.Linear(k, 10)
        self.later = nn.Linear(k, 3).requires_grad_(False)
        self.register_buffer("centres", torch.zeros(10, k))

    def encode(self, x: Tensor) -> Tensor:
        return self.body.encode(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"x_hat": self.body.decode(z), "code": z, "scores": self.classify(z)}


# Asked: the classes are in the loss too, and one head and one buffer are never used.
@healthy(steps=300, bar=0.4)
def classes_learned_beside_pictures(seed):
    """Train a classifier on the code as well; one frozen head waits for later use."""
    x, y = digits(768, seed, size=8)
    model = Labelled()
    used = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.Adam(used, 2e-3)

    def step(model, batch):
        x, y = batch
        out = model(x)
        loss = F.mse_loss(out["x_hat"], x)
        loss = loss + 0.01 * F.cross_entropy(out["scores"], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, y, batch_size=32, seed=seed)
    return case(model, data, optimizer, step=step, labels=y)
