"""Loops and modules that are wired wrongly, from a fourth round of public questions."""

from itertools import chain

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.heldback_fourth_material import (
    Cae,
    Fc,
    ResNet,
    Wave,
    beats,
    cohort,
    lamps,
    lines,
)
from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import AE, adam
from ae_lib.doctor.clinic.program import faulty


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


class Categorical(Fc):
    """Describe a picture by twelve words, each out of a list of eight."""

    soft = False

    def encode(self, x):
        logits = super().encode(x).unflatten(1, (12, 8))
        if self.soft and self.training:
            return F.gumbel_softmax(logits, tau=0.7, hard=True).flatten(1)
        return F.one_hot(logits.argmax(2), 8).float().flatten(1)


# Asked: argmax and one_hot as a discrete code; my encoder stays as it was.
@faulty("wiring.no-gradient", steps=400, bar=0.45)
def one_hot_of_the_largest(seed, fixed):
    """Pick words by argmax, through which no gradient comes back."""
    x, _ = digits(768, seed, size=16)
    model = Categorical((1, 16, 16), 128, 96)
    model.soft = fixed
    batches = loader(x, batch_size=64, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model, 3e-3)}


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


class Hashing(Fc):
    """Return signs as a code for look-ups, exactly or by a steep curve."""

    exact = True

    def encode(self, x):
        h = super().encode(x)
        if self.exact:
            return torch.sign(h)
        soft = torch.tanh(h)
        return soft + (torch.sign(h) - soft).detach() if self.training else soft.sign()


# Asked: binary codes for image retrieval with torch.sign; loss stays the same.
@faulty("wiring.no-gradient", steps=300, bar=0.3)
def sign_of_the_code_for_look_ups(seed, fixed):
    """Take the sign of the code, whose slope is zero everywhere."""
    x = lamps(512, seed, 16)
    model = Hashing((3, 16, 16), 128, 32)
    model.exact = not fixed
    batches = loader(x, batch_size=32, seed=seed)
    return {"model": model, "batches": batches, "optimizer": adam(model)}


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
