"""Mistakes between parameters, gradients and the loop, from a third round of questions.

Each program is written anew after the gist of its question, on small data of our own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.sixth_material import (
    Dcgan,
    PatchNet,
    block_net,
    paths,
    rings,
    tiles,
    written,
)


# Asked: one optimizer for each half; the reconstruction stays poor. One never steps.
# Like: https://github.com/cabralpinto/modular-diffusion/issues/17 (only the encoder's)
@faulty("wiring.unoptimised", steps=250, bar=0.5)
def second_optimizer_never_steps(seed, fixed):
    """Make an optimizer for each half, clear both, and step only with the first."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (128,), 24)
    first = adam(model.encoder)
    second = adam(model.decoder)

    def step(model, batch):
        first.zero_grad()
        second.zero_grad()
        loss = F.mse_loss(model(batch[0]), batch[0])
        loss.backward()
        first.step()
        if fixed:
            second.step()
        return loss.item()

    return written(model, loader(x, y, seed=seed), first, step=step)


# Asked: weights are loaded with assign=True after the optimizer was made; no progress.
@faulty("wiring.unoptimised", steps=150, bar=0.4)
def weights_assigned_after_the_optimizer(seed, fixed):
    """Load weights by assignment: the optimizer keeps the parameters of before."""
    model, other = Dcgan(3, 32), Dcgan(3, 32)
    optimizer = adam(model)
    model.load_state_dict(other.state_dict(), assign=True)
    if fixed:
        optimizer = adam(model)
    data = loader(2 * tiles(384, seed) - 1, batch_size=32, seed=seed)
    return written(model, data, optimizer)


# Asked: the fine-tuning snippet freezes all but "fc"; my autoencoder is not pretrained.
@faulty("wiring.unoptimised", steps=250, bar=0.5)
def frozen_as_for_fine_tuning(seed, fixed):
    """Freeze all layers but one, as for fine-tuning, in a network still untrained."""
    model = PatchNet(3, 32, 48, width=12)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(fixed or name.startswith("squeeze"))
    live = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(live, 3e-3)
    return written(model, loader(tiles(384, seed), seed=seed), optimizer)


class Largest(AE):
    """Keep the six largest of the code's units and drop the others."""

    valued = False

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        value, place = z.topk(6, 1)
        value = value if self.valued else torch.ones_like(value)
        return torch.zeros_like(z).scatter(1, place, value)


# Asked: k-sparse code as ones at the k largest places; the encoder never changes.
@faulty("wiring.no-gradient", steps=400, bar=0.6)
def ones_at_the_largest_places(seed, fixed):
    """Put ones where the code is largest: places of a topk have no gradient."""
    x, y = digits(640, seed, size=12)
    plain = dense((1, 12, 12), (128,), 48, act=nn.ELU)
    model = Largest(plain.encoder, plain.decoder)
    model.valued = fixed
    return written(model, loader(x, y, seed=seed), adam(model, 2e-3))


class Quantised(AE):
    """Replace each place of the code by its nearest word of a codebook."""

    through = False

    def __init__(self, encoder, decoder, words=32, width=6):
        super().__init__(encoder, decoder)
        self.book = nn.Embedding(words, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.encoder(x).movedim(1, -1)  # (B, 4, 4, width)
        near = torch.cdist(z.flatten(0, 2), self.book.weight).argmin(1)
        word = self.book(near).view_as(z)
        out = z + (word - z).detach() if self.through else word
        return self.decoder(out.movedim(-1, 1)), z, word


def quantised(x, through):
    """Return a network of 4 x 4 words of a codebook for colour pictures of 16 x 16."""
    encoder = nn.Sequential(nn.Conv2d(3, 24, 4, 4), nn.SiLU(), nn.Conv2d(24, 6, 1))
    decoder = nn.Sequential(nn.Conv2d(6, 24, 3, padding=1), nn.SiLU())
    decoder.append(nn.ConvTranspose2d(24, 3, 4, 4))
    model = Quantised(encoder, decoder)
    model.through = through
    with torch.no_grad():  # words start at codes that occur
        z = encoder(x[:32]).movedim(1, -1).flatten(0, 2)
        model.book.weight.copy_(z[torch.randperm(len(z))[:32]])
    return model


# Asked: how does the error reach the encoder in a VQ-VAE? In mine it does not.
# https://github.com/zalandoresearch/pytorch-vq-vae/issues/6
@faulty("wiring.no-gradient", steps=300, bar=0.4)
def codebook_without_its_shortcut(seed, fixed):
    """Look words up in a codebook and forget the shortcut around the choice."""
    x = tiles(384, seed, size=16)
    model = quantised(x, through=fixed)

    def loss(output, target):
        x_hat, z, word = output
        terms = F.mse_loss(word, z.detach())
        if fixed:
            terms = terms + 0.25 * F.mse_loss(z, word.detach())
        return F.mse_loss(x_hat, target) + terms

    return written(model, loader(x, seed=seed), adam(model, 4e-3), loss=loss)


# Asked: optimizer.zero_grad without parentheses runs, but the loss explodes.
@faulty("wiring.zero-grad", steps=250, bar=0.45)
def parentheses_forgotten(seed, fixed):
    """Write optimizer.zero_grad and forget to call it."""
    x = patches(448, seed)
    model = block_net((3, 16, 16), 24)
    optimizer = torch.optim.SGD(model.parameters(), 1.0, momentum=0.9)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        optimizer.zero_grad() if fixed else optimizer.zero_grad
        loss.backward()
        optimizer.step()
        return loss.detach().item()

    return written(model, loader(x, seed=seed), optimizer, step=step)


# Asked: accumulation of gradients makes training diverge; nothing clears them.
# Like: https://github.com/wenet-e2e/wekws/pull/73 (steps, but never clears)
@faulty("wiring.zero-grad", steps=480, bar=0.3)
def every_fourth_batch_and_never_cleared(seed, fixed):
    """Step after every fourth batch, as one does to save memory, and clear nothing."""
    x, y = digits(640, seed, size=16)
    model = dense((1, 16, 16), (96,), 24, act=nn.SiLU)
    optimizer = sgd(model, 4.0, momentum=0.9)
    seen = {"batches": 0}

    def step(model, batch):
        error = F.mse_loss(model(batch[0]), batch[0]) / 4
        error.backward()
        seen["batches"] += 1
        if seen["batches"] % 4 == 0:
            optimizer.step()
            if fixed:
                optimizer.zero_grad()
        return 4 * error.item()

    return written(model, loader(x, y, batch_size=32, seed=seed), optimizer, step=step)


class Grainy(AE):
    """Add noise to the code to make the decoder robust."""

    always = True

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        noisy = self.training or self.always
        return z + 2.0 * z.detach().std() * torch.randn_like(z) if noisy else z


# Asked: the same image gives another reconstruction each time, also after eval().
@faulty("wiring.mode", steps=0, bar=0.6)
def noise_layer_that_never_rests(seed, fixed):
    """Add noise to the code in a layer that does not ask whether it is training."""
    x = paths(512, seed, causes=5)
    encoder = nn.Sequential(*stack((80, 64), nn.ELU), nn.Linear(64, 24))
    model = Grainy(encoder, nn.Sequential(*stack((24, 64), nn.ELU), nn.Linear(64, 80)))
    model.always = not fixed
    case = written(model, loader(x, seed=seed))
    train(case, 400)
    return case


# Asked: black images after netG:evaluate(), fine images without it.
# https://github.com/phillipi/pix2pix/issues/34
@faulty("wiring.mode", steps=0, bar=0.5)
def instance_norm_that_keeps_statistics(seed, fixed):
    """Normalise each picture by itself in training, by averages over many in eval."""

    def norm(width):
        return nn.InstanceNorm2d(width, affine=True, track_running_stats=not fixed)

    model = block_net((3, 32, 32), 32)
    model.encoder[1].norm, model.decoder[2].norm = norm(16), norm(16)
    model.encoder.insert(1, norm(16))
    case = written(model, loader(tiles(384, seed), batch_size=32, seed=seed))
    train(case, 200)
    return case


class Attentive(nn.Module):
    """Add features of the way down to the way up, weighed by a gate."""

    def __init__(self, skips: bool):
        super().__init__()
        self.skips = skips
        self.top = nn.Conv2d(1, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 4, 4)
        self.bottleneck = nn.Linear(8 * 49, 4)
        self.widen = nn.Linear(4, 8 * 49)
        self.up = nn.ConvTranspose2d(8, 8, 4, 4)
        self.gate = nn.Conv2d(8, 8, 1)
        self.out = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        a = F.elu(self.top(x))
        z = self.bottleneck(F.elu(self.down(a)).flatten(1))
        h = F.elu(self.up(F.elu(self.widen(z)).unflatten(1, (8, 7, 7))))
        if self.skips:
            h = h + a * self.gate(h).sigmoid()
        return {"reconstruction": self.out(h).sigmoid(), "code": z}


# Asked: an attention U-Net reconstructs anomalies as well as everything else; why?
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def gated_skips_around_four_numbers(seed, fixed):
    """Add gated features of the first layer to the last one, around four numbers."""
    model = Attentive(skips=not fixed)
    case = written(model, loader(rings(384, seed), batch_size=32, seed=seed))
    train({**case, "optimizer": adam(model, 4e-3)}, 220)
    return case


class Dense(nn.Module):
    """Hand every earlier output to each layer."""

    def __init__(self, everything: bool):
        super().__init__()
        self.everything = everything
        self.bottleneck = nn.Sequential(nn.Linear(80, 48), nn.ReLU(), nn.Linear(48, 3))
        self.hidden = nn.Linear(83, 64)
        self.out = nn.Linear(147, 80)

    def forward(self, x: Tensor) -> Tensor:
        z = self.bottleneck(x)
        seen = x if self.everything else torch.zeros_like(x)
        h = torch.cat([z, seen], 1)
        return self.out(torch.cat([F.relu(self.hidden(h)), h], 1))


# Asked: a DenseNet style autoencoder has zero loss with a code of three numbers.
@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def every_layer_sees_the_input(seed, fixed):
    """Concatenate all earlier outputs, the input among them, for every layer."""
    x = paths(512, seed, causes=3)
    model = Dense(everything=not fixed)
    case = written(model, loader(x, seed=seed))
    train(case, 300)
    return case
