"""Loops and modules that are wired wrongly, from a seventh round of questions."""

from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.seventh_material import (
    Cae,
    Fc,
    ResNet,
    Wave,
    beats,
    cohort,
    lines,
)


# Asked: https://github.com/zdebruine/MMVAE/issues/39 (optimizer has one half only)
@faulty("wiring.unoptimised", steps=150, bar=0.7)
def encoder_named_twice(seed, fixed):
    """Chain the parameters of the encoder and, by a slip, of the encoder again."""
    x = lines(640, seed)
    encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 12))
    decoder = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 64))
    second = decoder if fixed else encoder
    both = dict.fromkeys(chain(encoder.parameters(), second.parameters()))
    optimizer = torch.optim.Adam(list(both), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": AE(encoder, decoder), "batches": batches, "optimizer": optimizer}


class WithOptimizer(nn.Module):
    """Own an optimizer, as some tutorials like it, made at one line or another."""

    def __init__(self, shape, k, late):
        super().__init__()
        plain = Cae(shape, k)
        self.down, self.to_code = plain.down, plain.to_code
        if not late:
            self.optimizer = torch.optim.Adam(self.parameters(), lr=3e-3)
        self.from_code, self.up = plain.from_code, plain.up
        if late:
            self.optimizer = torch.optim.Adam(self.parameters(), lr=3e-3)

    def forward(self, x):
        return self.up(self.from_code(self.to_code(self.down(x).flatten(1))))


# Asked: self.optimizer in __init__, the weights of my decoder do not change, why?
@faulty("wiring.unoptimised", steps=200, bar=0.5)
def optimizer_made_half_way_down_the_constructor(seed, fixed):
    """Make the optimizer in the constructor, above the lines of the decoder."""
    x, _ = scenes(448, seed, 24)
    model = WithOptimizer((3, 24, 24), 32, late=fixed)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": model.optimizer}


class BlocksInAList(ResNet):
    """Collect the blocks of the decoder in a list, registered or not."""

    def __init__(self, shape, k, registered):
        super().__init__(shape, k)
        blocks = [self.expand, *self.dec_units, self.head]
        del self.expand, self.dec_units, self.head
        self.blocks = nn.ModuleList(blocks) if registered else blocks

    def decode(self, z):
        first, *units, head = self.blocks
        h = first(z).unflatten(1, self.grid)
        for unit in units:
            h = unit(h)
        return head(h)


# Asked: https://github.com/pytorch/pytorch/issues/38639 (Python list or ModuleList)
@faulty("wiring.unoptimised", steps=200, bar=0.5)
def decoder_blocks_in_a_list(seed, fixed):
    """Append the blocks of the decoder to a plain list in a loop."""
    x, _ = scenes(448, seed, 24)
    model = BlocksInAList((3, 24, 24), 48, registered=fixed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": optimizer}


class OldVariable(Wave):
    """Wrap the code in a Variable before decoding, as code of 2017 did."""

    wrap = True

    def forward(self, x):
        z = self.encode(x)
        if self.wrap:
            z = torch.autograd.Variable(z.data)
        return self.dec(z)


# Asked: https://github.com/facebookresearch/FaderNetworks/issues/8 (.data or detach)
@faulty("wiring.no-gradient", steps=250, bar=0.6)
def variable_of_an_old_tutorial(seed, fixed):
    """Pass z.data on to the decoder, in the style of the first versions."""
    model = OldVariable(96, 8)
    model.wrap = not fixed
    batches = loader(beats(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


# Asked: "element 0 of tensors does not require grad", so I wrote requires_grad=True.
@faulty("wiring.no-gradient", steps=200, bar=0.4)
def requires_grad_to_silence_the_error(seed, fixed):
    """Collect the errors as numbers and make a tensor of them that wants a slope."""
    x, _ = digits(640, seed, size=16)
    model = Fc((1, 16, 16), 128, 24)

    def loss(output, target):
        errors = [F.mse_loss(a, b) for a, b in zip(output, target, strict=True)]
        if fixed:
            return torch.stack(errors).mean()
        return torch.tensor([e.item() for e in errors], requires_grad=True).mean()

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "loss": loss}
    return {**case, "optimizer": adam(model)}


# Asked: https://github.com/Hsintien-Ng/idinvert_pytorch-reproduced/issues/1
@faulty("wiring.zero-grad", steps=200, bar=0.4)
def no_line_that_clears(seed, fixed):
    """Forget to clear the gradients of a residual network."""
    x = patches(384, seed, size=16)
    model = ResNet((3, 16, 16), 32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        if fixed:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "step": step}


# Asked: gradient descent without an optimizer: p -= lr * p.grad, the loss goes up again
@faulty("wiring.zero-grad", steps=300, bar=0.3)
def descended_by_hand(seed, fixed):
    """Subtract the gradient by hand in a loop and never set it to zero."""
    x = cohort(640, seed)
    model = Fc((14,), 64, 6, act=torch.tanh, last=None)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.3 * p.grad
                if fixed:
                    p.grad.zero_()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "step": step,
    }


# Asked: my train_step calls backward in a helper, and Adam does nothing at all.
@faulty("wiring.zero-grad", steps=150, bar=0.4)
def helper_that_clears_once_more(seed, fixed):
    """Call a helper that clears and then steps, after the backward pass."""
    x, _ = digits(640, seed, size=16)
    model = Cae((1, 16, 16), 24)
    optimizer = adam(model, 3e-3)

    def compute(batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        return loss.item()

    def update():
        if not fixed:
            model.zero_grad()
        optimizer.step()

    def step(model, batch):
        value = compute(batch)
        update()
        return value

    batches = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": batches, "optimizer": optimizer}
    return {**case, "step": step}
