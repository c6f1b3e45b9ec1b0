"""Faults in the wiring: codes wiring.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import loader, table
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.material import (
    beats,
    blobs,
    by_column,
    cells,
    grey,
    loudness,
    sensors,
    spectra,
)


class ByHand(nn.Module):
    """Multiply by matrices that are written down by hand."""

    def __init__(self, d, k, registered):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(d, 48), nn.ReLU(), nn.Linear(48, k))
        keep = nn.Parameter if registered else torch.Tensor.requires_grad_
        self.weight = keep(torch.randn(k, d) / k**0.5)
        self.bias = keep(torch.zeros(d))

    def encode(self, x):
        return self.down(x)

    def forward(self, x):
        return self.encode(x) @ self.weight + self.bias


@faulty("wiring.unoptimised", bar=0.4)
def tensors_instead_of_parameters(seed, fixed):
    """Write torch.randn(..., requires_grad=True) where nn.Parameter was meant.

    After questions on custom layers that parameters() does not list.
    """
    model = ByHand(96, 12, fixed)
    data = loader(spectra(512, seed), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 5e-3)}


@faulty("wiring.unoptimised", bar=0.4)
def normed_after_the_optimizer(seed, fixed):
    """Add weight_norm after the optimizer was made, which replaces the weights.

    After an issue on reparametrised layers that never move.
    """
    model = conv((1, 20, 20), 16, act=nn.ELU)
    optimizer = adam(model, 3e-3)
    for layer in [*model.encoder, *model.decoder]:
        if hasattr(layer, "weight"):
            nn.utils.parametrizations.weight_norm(layer)
    optimizer = adam(model, 3e-3) if fixed else optimizer
    data = loader(grey(448, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


class Codebook(nn.Module):
    """Replace each of `groups` parts of the code by the nearest of 32 vectors."""

    def __init__(self, right, groups=8, width=4):
        super().__init__()
        inner = conv((1, 20, 20), groups * width)
        self.encoder, self.decoder = inner.encoder, inner.decoder
        self.book = nn.Embedding(32, width)
        nn.init.uniform_(self.book.weight, -1 / 32, 1 / 32)
        self.groups, self.right = groups, right

    def forward(self, x):
        z = self.encoder(x).unflatten(1, (self.groups, -1))
        far = (z[:, :, None] - self.book.weight).square().sum(-1)
        found = self.book(far.argmin(-1))
        through = z + (found - z).detach()
        moved = found if self.right else through
        term = F.mse_loss(moved, z.detach()) + 0.25 * F.mse_loss(z, found.detach())
        return {"x_hat": self.decoder(through.flatten(1)), "vq_loss": term}


def with_codebook(output, target):
    """Return the squared error and the terms of the codebook."""
    return F.mse_loss(output["x_hat"], target) + output["vq_loss"]


@faulty("wiring.no-gradient", steps=400, bar=0.4)
def codebook_after_the_shortcut(seed, fixed):
    """Compute the codebook loss on the straight-through output.

    After issues on VQ-VAE code: the embedding has no gradient and stays where it is.
    """
    model = Codebook(fixed)
    data = loader(grey(448, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": with_codebook}
    return {**case, "optimizer": adam(model, 3e-3)}


@faulty("wiring.no-gradient")
def loss_wrapped_again(seed, fixed):
    """Wrap the loss in a new tensor with requires_grad=True to silence an error.

    After questions on "element 0 of tensors does not require grad".
    """
    x, _ = cells(seed)
    model = dense((30,), (32,), 6, act=nn.Tanh, last=None)

    def loss(output, target):
        value = F.l1_loss(output, target)
        return value if fixed else torch.tensor(value.item(), requires_grad=True)

    case = {"model": model, "batches": loader(by_column(x), seed=seed), "loss": loss}
    return {**case, "optimizer": adam(model, 3e-3)}


class Sequence(nn.Module):
    """Encode a sequence by the last state of a GRU and decode it at once."""

    def __init__(self, length, channels, cut):
        super().__init__()
        self.reader = nn.GRU(channels, 6, batch_first=True)
        self.decoder = nn.Sequential(nn.Linear(6, 96), nn.ELU())
        self.decoder.append(nn.Linear(96, length * channels))
        self.cut = cut

    def encode(self, x):
        state = self.reader(x)[1][-1]
        return state.detach() if self.cut else state

    def forward(self, x):
        return self.decoder(self.encode(x)).view(x.shape)


@faulty("wiring.no-gradient", steps=400, bar=0.6)
def state_cut_as_in_language_models(seed, fixed):
    """Detach the hidden state, as truncated training of language models does.

    After a question on a sequence autoencoder whose encoder never improves.
    """
    model = Sequence(12, 2, not fixed)
    data = loader(sensors(384, seed, 12, 2), batch_size=48, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}


@faulty("wiring.zero-grad", steps=40, bar=0.4)
def closure_without_clearing(seed, fixed):
    """Forget zero_grad in the closure of LBFGS, which calls it many times a step.

    After a question on LBFGS that explodes where Adam works.
    """
    x = table(256, seed, d=24)
    model = dense((24,), (32,), 6, act=nn.Tanh, last=None)
    optimizer = torch.optim.LBFGS(model.parameters(), 0.5, max_iter=6)

    def step(model, batch):
        def closure():
            if fixed:
                optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            return loss

        return optimizer.step(closure).item()

    case = {"model": model, "batches": loader(x, batch_size=128, seed=seed)}
    return {**case, "optimizer": optimizer, "step": step}


@faulty("wiring.zero-grad")
def norms_logged_and_cleared(seed, fixed):
    """Log the gradient norms by a helper that clears up behind itself.

    After a merged fix that moved zero_grad out of a logging hook.
    """
    model = conv((1, 24, 24), 16)
    optimizer = adam(model, 3e-3)

    def log_norms(model):
        norms = [p.grad.norm().item() for p in model.parameters()]
        if not fixed:
            model.zero_grad()
        return norms

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        log_norms(model)
        optimizer.step()
        return loss.item()

    data = loader(grey(384, seed, 24, 24), batch_size=32, seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


class HomemadeDropout(nn.Module):
    """Drop four fifths of the units, with or without making up for it."""

    def __init__(self, rescale):
        super().__init__()
        self.rescale = rescale

    def forward(self, x):
        if not self.training:
            return x
        kept = x * (torch.rand_like(x) < 0.2)
        return kept / 0.2 if self.rescale else kept


@faulty("wiring.mode", steps=0, bar=0.3)
def dropout_without_rescaling(seed, fixed):
    """Write dropout by hand and forget to divide by the share that is kept.

    After a question on outputs that are far too strong in eval mode.
    """
    inner = dense((96,), (192,), 24, last=None)
    encoder = nn.Sequential(*inner.encoder[:2], HomemadeDropout(fixed))
    model = AE(encoder.append(inner.encoder[2]), inner.decoder)
    data = loader(spectra(512, seed), seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model)}
    train(case, 400)
    return case


@faulty("wiring.mode", steps=0, bar=0.4)
def buffers_not_loaded(seed, fixed):
    """Load a checkpoint of parameters only: batch norm has no running statistics.

    After an issue on models that are fine until they are saved and loaded.
    """
    x = loudness(320, seed)
    x = (x - x.mean()) / x.std()
    model = narrow_band()
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    train({**case, "optimizer": adam(model, 3e-3)}, 120)
    saved = model.state_dict() if fixed else dict(model.named_parameters())
    loaded = narrow_band()
    loaded.load_state_dict(saved, strict=False)
    return {**case, "model": loaded, "optimizer": adam(loaded, 3e-3)}


def narrow_band():
    """Return convolutions with batch norm for pictures of 24 x 32, linear end."""
    down = [nn.Conv2d(1, 12, 4, 2, 1), nn.BatchNorm2d(12), nn.ReLU()]
    down += [nn.Conv2d(12, 24, 4, 2, 1), nn.BatchNorm2d(24), nn.ReLU()]
    down += [nn.Flatten(), nn.Linear(1152, 24)]
    up = [nn.Linear(24, 1152), nn.Unflatten(1, (24, 6, 8)), nn.ReLU()]
    up += [nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.BatchNorm2d(12), nn.ReLU()]
    up += [nn.ConvTranspose2d(12, 1, 4, 2, 1)]
    return AE(nn.Sequential(*down), nn.Sequential(*up))


class Forced(nn.Module):
    """Write a signal step by step, seeing the last true value or the present one."""

    def __init__(self, late):
        super().__init__()
        self.reader = nn.GRU(1, 32, batch_first=True)
        self.bottleneck, self.first = nn.Linear(32, 6), nn.Linear(6, 32)
        self.writer, self.out = nn.GRU(1, 32, batch_first=True), nn.Linear(32, 1)
        self.late = late

    def forward(self, x):
        z = self.bottleneck(self.reader(x[..., None])[1][-1])
        if self.late:
            seen = torch.linspace(-1, 1, x.shape[1]).expand_as(x)
        else:
            seen = x
        return self.out(self.writer(seen[..., None], self.first(z)[None])[0])[..., 0]


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def teacher_tells_the_answer(seed, fixed):
    """Feed the decoder the value that it is to write, by teacher forcing unshifted.

    After a question on a sequence autoencoder with a perfect loss and useless codes.
    """
    model = Forced(fixed)
    data = loader(beats(256, seed, 24), batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 1e-2)}
    train(case, 400 if fixed else 150)
    return case


class Rescued(nn.Module):
    """Add the enlarged thumbnail of the input to the decoded picture."""

    def __init__(self, rescue):
        super().__init__()
        inner = conv((1, 20, 20), 4, last=None)
        self.encoder, self.bottleneck = inner.encoder[:-1], inner.encoder[-1]
        self.decoder, self.rescue = inner.decoder, rescue

    def forward(self, x):
        out = self.decoder(self.bottleneck(self.encoder(x)))
        if self.rescue:
            small = F.avg_pool2d(x, 2)
            out = out + F.interpolate(small, scale_factor=2, mode="bilinear")
        return out


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def thumbnail_added(seed, fixed):
    """Add an enlarged thumbnail of the input, "so that training starts well".

    After issues on reconstructions that are good even of anomalies.
    """
    model = Rescued(not fixed)
    case = {"model": model, "batches": loader(blobs(448, seed), seed=seed)}
    case |= {"optimizer": adam(model, 3e-3)}
    train(case, 250)
    return case
