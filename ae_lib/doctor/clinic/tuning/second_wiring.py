"""Faults in the wiring: codes wiring.*."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes, table
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import AE, adam, conv, dense, sgd
from ae_lib.doctor.clinic.program import faulty


class MadeInForward(nn.Module):
    """Make the output layer in forward, anew for every batch."""

    def __init__(self, once):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 16))
        self.hidden = nn.Sequential(nn.Linear(16, 96), nn.ReLU())
        self.out = nn.Linear(96, 64) if once else None

    def forward(self, x):
        h = self.hidden(self.encoder(x))
        return (self.out or nn.Linear(96, x.shape[1]))(h)


@faulty("wiring.unoptimised", bar=0.4)
def layer_made_in_forward(seed, fixed):
    """Make a layer in forward, where the input size is known."""
    x, _ = digits(512, seed, size=8)
    model, data = MadeInForward(fixed), loader(x.flatten(1), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model, 4e-3)}


@faulty("wiring.unoptimised", bar=0.4)
def optimizer_of_the_old_model(seed, fixed):
    """Run the notebook cell of the model again, but not that of the optimizer."""
    old = conv((3, 16, 16), 32)
    optimizer, model = adam(old), conv((3, 16, 16), 32)
    optimizer = adam(model) if fixed else optimizer
    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer}


class Scales(nn.Module):
    """Keep the decoder's blocks in a dictionary by scale."""

    def __init__(self, registered):
        super().__init__()
        self.encoder = conv((3, 16, 16), 32).encoder
        self.code = nn.Linear(32, 512)
        blocks = {"4": nn.ConvTranspose2d(32, 16, 4, 2, 1)}
        blocks["8"] = nn.ConvTranspose2d(16, 16, 4, 2, 1)
        blocks["out"] = nn.Conv2d(16, 3, 3, 1, 1)
        self.blocks = nn.ModuleDict(blocks) if registered else blocks

    def forward(self, x):
        h = F.relu(self.code(self.encoder(x))).unflatten(1, (32, 4, 4))
        h = F.relu(self.blocks["4"](h))
        h = F.relu(self.blocks["8"](h))
        return torch.sigmoid(self.blocks["out"](h))


@faulty("wiring.unoptimised", bar=0.5)
def blocks_in_a_dictionary(seed, fixed):
    """Keep blocks in a plain dict instead of nn.ModuleDict."""
    model = Scales(fixed)
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class ThroughNumpy(AE):
    """Cluster-friendly codes: pass them through NumPy."""

    kept = False

    def encode(self, x):
        z = self.encoder(x)
        return z if self.kept else torch.from_numpy(z.detach().numpy().copy())


@faulty("wiring.no-gradient", bar=0.5)
def through_numpy(seed, fixed):
    """Convert the code to NumPy and back, and wrap it as a new tensor."""
    inner = conv((3, 16, 16), 8, act=nn.ELU)
    model = ThroughNumpy(inner.encoder, inner.decoder)
    model.kept = fixed
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


class Binary(AE):
    """Decode the signs of the code."""

    straight = False

    def encode(self, x):
        z = torch.tanh(self.encoder(x))
        bits = (z > 0).float() * 2 - 1
        return z + (bits - z).detach() if self.straight else bits


@faulty("wiring.no-gradient", bar=0.35)
def binary_code(seed, fixed):
    """Threshold the code to bits without a straight-through gradient."""
    inner = dense((3, 16, 16), (128,), 12, act=nn.ELU)
    model = Binary(inner.encoder, inner.decoder)
    model.straight = fixed
    x, y = scenes(512, seed)
    data = loader(x, y, seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("wiring.zero-grad", steps=200, bar=0.4)
def only_one_of_two_cleared(seed, fixed):
    """Use two optimizers, and clear the encoder's gradients twice."""
    x = table(512, seed, d=32)
    model = dense((32,), (64,), 8, last=None)
    first = torch.optim.SGD(model.encoder.parameters(), 0.3)
    second = torch.optim.SGD(model.decoder.parameters(), 0.3)

    def step(model, batch):
        first.zero_grad()
        (second if fixed else first).zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        first.step()
        second.step()
        return loss.item()

    return {"model": model, "batches": loader(x, seed=seed), "step": step}


@faulty("wiring.zero-grad", bar=0.4)
def gradients_of_another_model_cleared(seed, fixed):
    """Call zero_grad on the copy that is kept for comparison."""
    model, best = conv((3, 16, 16), 24), conv((3, 16, 16), 24)
    optimizer = sgd(model, 0.1, momentum=0.9)

    def step(model, batch):
        (model if fixed else best).zero_grad()
        loss = 20 * F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(scenes(512, seed)[0], seed=seed)
    return {"model": model, "batches": data, "optimizer": optimizer, "step": step}


class AlwaysTraining(AE):
    """Override train() for a frozen block, and forget the mode."""

    aware = False

    def train(self, mode=True):
        return super().train(mode if self.aware else True)


@faulty("wiring.mode", bar=0.5)
def eval_has_no_effect(seed, fixed):
    """Override train() without passing the mode on: dropout stays for ever."""
    inner = dense((3, 16, 16), (128,), 24)
    encoder = nn.Sequential(*inner.encoder, nn.Dropout(0.5))
    model = AlwaysTraining(encoder, inner.decoder)
    model.aware = fixed
    data = loader(patches(512, seed), seed=seed)
    return {"model": model, "batches": data, "optimizer": adam(model)}


@faulty("wiring.mode", steps=0, bar=0.4)
def momentum_from_keras(seed, fixed):
    """Copy momentum=0.99 from Keras, where it means 0.01, and train on tiny batches."""
    model = conv((3, 16, 16), 32, norm=True)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.01 if fixed else 0.999
    case = {"model": model, "batches": loader(patches(512, seed), batch_size=16)}
    case |= {"optimizer": adam(model, 2e-3)}
    train(case, 300)
    x = patches(513, seed)
    train({**case, "batches": [x[:16] * (1 if fixed else 0.05)]}, 1)
    return case


class Unused(nn.Module):
    """Decode the hidden features by mistake; the code goes nowhere."""

    def __init__(self, right):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(768, 96), nn.ReLU())
        self.bottleneck = nn.Linear(96, 6)
        self.expand = nn.Linear(6, 96)
        self.out = nn.Sequential(nn.Linear(96, 768), nn.Sigmoid())
        self.right = right

    def forward(self, x):
        h = self.hidden(x)
        z = self.bottleneck(h)
        u = F.relu(self.expand(z))
        return self.out(u if self.right else h).view_as(x)


@faulty(
    "wiring.bypass",
    accepts=("wiring.no-gradient",),
    steps=0,
    measure=code_matters,
    bar=0.5,
)
def decoder_fed_with_features(seed, fixed):
    """Pass the hidden features to the decoder instead of the decoded code."""
    # accepts: the layers of the code indeed have no gradient
    model = Unused(fixed)
    case = {"model": model, "batches": loader(patches(512, seed), seed=seed)}
    case |= {"optimizer": adam(model)}
    train(case, 200)
    return case


class Ladder(nn.Module):
    """Add encoder features to decoder features at half resolution."""

    def __init__(self, skip):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ELU())
        self.b = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ELU(), nn.Flatten())
        self.bottleneck = nn.Linear(512, 4)
        self.c = nn.Sequential(nn.Linear(4, 512), nn.ELU(), nn.Unflatten(1, (32, 4, 4)))
        self.d = nn.Sequential(nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ELU())
        self.e = nn.ConvTranspose2d(16, 3, 4, 2, 1)
        self.skip = skip

    def forward(self, x):
        a = self.a(x)
        d = self.d(self.c(self.bottleneck(self.b(a))))
        return torch.sigmoid(self.e(d + a if self.skip else d))


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def features_added_half_way(seed, fixed):
    """Add the encoder's features at half resolution, "for sharper edges"."""
    model = Ladder(not fixed)
    case = {"model": model, "batches": loader(scenes(512, seed)[0], seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 200)
    return case
