"""Healthy programs that look suspicious: optimizers, loops, precision and modes."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ae_lib.doctor.clinic.material import digits, loader, patches, table
from ae_lib.doctor.clinic.measures import train
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    Gauss,
    PatchNet,
    PoolNet,
    block_net,
    distance,
    divergence,
    paths,
    rings,
    tiles,
    written,
)


# Asked: is accumulation over 8 batches with autocast right like this?
@healthy(steps=640, bar=0.4)
def eight_batches_in_brain_floats(seed):
    """Collect gradients over eight batches, computed in bfloat16."""
    model = PatchNet(3, 32, 32)
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    count = [0]

    def step(model, batch):
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(model(batch).float(), batch) / 8
        loss.backward()
        count[0] += 1
        if not count[0] % 8:
            optimizer.step()
            optimizer.zero_grad()
        return 8 * loss.item()

    batches = loader(tiles(384, seed), batch_size=16, seed=seed)
    return written(model, batches, optimizer, step=step)


# Asked: SGD needs a rate of 5 for my autoencoder; surely that is a bug?
@healthy(steps=200, bar=0.4)
def rate_of_five_for_convolutions(seed):
    """Use SGD at 5 with momentum: the mean over pixels makes gradients small."""
    x, y = digits(512, seed, size=28)
    model = PoolNet(1, 6)
    optimizer = sgd(model, 5.0, momentum=0.9, nesterov=True)
    return written(model, loader(x, y, batch_size=32, seed=seed), optimizer)


# Asked: clip_grad_norm_ at 0.01 and Adam: every step is clipped.
@healthy(steps=200, bar=0.4)
def clipped_in_every_step(seed):
    """Clip gradients far below their norm; Adam does not mind their length."""
    x = rings(448, seed)
    model = block_net((1, 28, 28), 12)
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
        optimizer.step()
        return loss.item()

    batches = loader(x, batch_size=32, seed=seed)
    return written(model, batches, optimizer, step=step)


# Asked: LinearLR starts at a hundredth of the rate; the first losses do not move.
@healthy(steps=250, bar=0.5)
def first_steps_hardly_move(seed):
    """Warm up over 30 steps by a scheduler, then stay."""
    x = paths(512, seed, causes=6)
    model = dense((80,), (64,), 10, act=nn.GELU, last=None)
    optimizer = adam(model, 5e-3)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, 30)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        warm.step()
        return loss.item()

    return written(model, loader(x, seed=seed), optimizer, step=step)


# Asked: weight_decay=0.1 in AdamW for an autoencoder?
@healthy(steps=200, bar=0.5)
def decay_of_a_tenth(seed):
    """Decay weights by 0.1 times the rate, which is mild in AdamW."""
    model = block_net((3, 32, 32), 32)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.1)
    batches = loader(tiles(384, seed), batch_size=32, seed=seed)
    return written(model, batches, optimizer)


# Asked: biases and norms without decay, matrices with; two groups of one network.
@healthy(steps=150, bar=0.5)
def matrices_decay_and_vectors_do_not(seed):
    """Split parameters by their number of axes into two groups."""
    model = Dcgan(3, 32, last=nn.Sigmoid)
    wide = [p for p in model.parameters() if p.dim() > 1]
    thin = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": wide, "weight_decay": 0.05}, {"params": thin, "lr": 6e-3}]
    optimizer = torch.optim.AdamW(groups, 3e-3, weight_decay=0.0)
    return written(model, loader(tiles(384, seed), batch_size=32, seed=seed), optimizer)


# Asked: an average of the weights is kept beside; its parameters have no gradient.
@healthy(steps=250, bar=0.45)
def averages_kept_as_buffers(seed):
    """Keep a moving average of the weights outside the model."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (128,), 24, act=nn.SiLU)
    kept = copy.deepcopy(model).requires_grad_(False)
    optimizer = adam(model)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[0])
        loss.backward()
        optimizer.step()
        for slow, fast in zip(kept.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast.detach(), 0.01)
        return loss.item()

    return written(model, loader(x, y, seed=seed), optimizer, step=step)


class Half(AE):
    """Hold a pretrained encoder that stays in eval mode whatever is asked."""

    def train(self, mode: bool = True):
        super().train(mode)
        self.encoder.eval()
        return self


# Asked: frozen encoder with batch norm: only the decoder learns, as I want.
@healthy(steps=150, bar=0.4)
def frozen_encoder_in_eval_mode(seed):
    """Freeze an encoder of an earlier training, norms included, train a decoder."""
    first = Dcgan(3, 32, last=nn.Sigmoid)
    batches = loader(tiles(384, seed), batch_size=32, seed=seed)
    train(written(first, batches), 100)
    encoder = nn.Sequential(first.main, nn.Flatten()).requires_grad_(False)
    decoder = nn.Sequential(*stack((32, 128)), nn.Linear(128, 3072), nn.Sigmoid())
    model = Half(encoder, decoder.append(nn.Unflatten(1, (3, 32, 32))))
    return written(model, batches, adam(model.decoder, 3e-3))


# Asked: batch norm with batches of 6, is that too small?
@healthy(steps=400, bar=0.4)
def norms_over_six_pictures(seed):
    """Normalise over batches of six pictures."""
    model = Dcgan(3, 24, last=nn.Sigmoid)
    return written(model, loader(tiles(240, seed), batch_size=6, seed=seed))


# Asked: dropout on the code itself, p=0.2; train and eval losses differ.
@healthy(steps=300, bar=0.4)
def a_fifth_of_the_code_dropped(seed):
    """Drop a fifth of the code units in training."""
    x, y = digits(640, seed, size=16)
    plain = dense((1, 16, 16), (160,), 48, act=nn.GELU)
    plain.encoder.append(nn.Dropout(0.2))
    return written(plain, loader(x, y, seed=seed), adam(plain, 3e-3))


# Asked: is Rprop dead? It takes signs only and the whole table at once.
@healthy(steps=150, bar=0.5)
def signs_of_the_whole_table(seed):
    """Use Rprop on all rows in one batch."""
    x = table(400, seed, d=30, rank=5)
    model = dense((30,), (40,), 6, act=nn.Tanh, last=None)
    return written(model, [x], torch.optim.Rprop(model.parameters(), 1e-3))


# Asked: weight_norm halves my parameters' names; the optimizer has them all.
@healthy(steps=200, bar=0.5)
def normed_before_the_optimizer(seed):
    """Split weights into length and direction, then make the optimizer."""
    x = paths(512, seed, causes=6)
    encoder = nn.Sequential(weight_norm(nn.Linear(80, 64)), nn.ELU(), nn.Linear(64, 10))
    decoder = nn.Sequential(nn.Linear(10, 64), nn.ELU(), weight_norm(nn.Linear(64, 80)))
    model = AE(encoder, decoder)
    return written(model, loader(x, seed=seed), adam(model, 3e-3))


class Buffered:
    """Yield pictures from a buffer that is filled in the order of the files."""

    def __init__(self, x: Tensor, size: int, seed: int):
        self.x, self.size, self.made = x, size, torch.Generator().manual_seed(seed)

    def __iter__(self):
        for part in self.x.split(self.size):
            order = torch.randperm(len(part), generator=self.made)
            yield from part[order].split(32)


# Asked: a shuffle buffer of half the data, is that random enough?
@healthy(steps=200, bar=0.5)
def shuffled_in_two_large_buffers(seed):
    """Shuffle within halves of a data set that has no order of its own."""
    x = patches(512, seed, size=16)
    model = PatchNet(3, 16, 32)
    return written(model, Buffered(x, 256, seed), adam(model, 3e-3))


# Asked: last batch of 5 images, the others have 48; loss jumps at the end of an epoch.
@healthy(steps=200, bar=0.4)
def small_rest_at_the_end(seed):
    """Keep a last batch of five pictures."""
    x = rings(437, seed)
    model = PoolNet(1, 4)
    return written(model, loader(x, batch_size=48, seed=seed), adam(model, 4e-3))


# Asked: weight of KL rises from 0 within 100 steps, then 1: is the start a bug?
@healthy(steps=350, bar=0.4)
def divergence_joins_later(seed):
    """Raise the weight of the divergence from 0 to 1 in the first hundred steps."""
    x, y = digits(640, seed, size=16)
    model = Gauss((1, 16, 16), 10)
    optimizer = adam(model)
    done = [0]

    def step(model, batch):
        done[0] += 1
        out = model(batch[0])
        weight = min(1.0, done[0] / 100)
        terms = distance(out, batch[0]) / 0.1 + weight * divergence(out).sum(1)
        optimizer.zero_grad()
        terms.mean().backward()
        optimizer.step()
        return terms.mean().item()

    return written(model, loader(x, y, seed=seed), optimizer, step=step)
