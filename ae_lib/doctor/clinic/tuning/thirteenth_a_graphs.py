"""Ninth part, a: faults in how the parts of a model are joined."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.measures import code_matters, refuses_noise, train
from ae_lib.doctor.clinic.parts import adam, dense, sgd, stack
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.thirteenth_a_material import (
    gait,
    made,
    mels,
    sheet,
    tones,
    turbine,
)


class Kept(nn.Module):
    """Keep the last code for plots."""

    def __init__(self, cut, d=80, k=8):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96, 96)), nn.Linear(96, k))
        self.decoder = nn.Sequential(*stack((k, 96, 96)), nn.Linear(96, d))
        self.cut, self.last_code = cut, None

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        self.last_code = z.detach()
        return self.decoder(self.last_code if self.cut else z)


@faulty("wiring.no-gradient", steps=300, bar=0.8)
def code_kept_for_plots_is_the_one_decoded(seed, fixed):
    """Detach the code to keep it for plots, and decode the copy that was kept."""
    x = turbine(1024, seed, t=16).flatten(1)
    model = Kept(cut=not fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 3e-3),
    }


class Rounded(nn.Module):
    """Store a frame of sound as a few numbers on a grid of sixteenths."""

    def __init__(self, straight, d=64, k=6):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 96), nn.GELU), nn.Linear(96, k))
        self.norm = nn.LayerNorm(k, elementwise_affine=False)
        self.decoder = nn.Sequential(*stack((k, 96), nn.GELU), nn.Linear(96, d))
        self.straight = straight

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.norm(self.encoder(x))
        q = torch.round(16 * z) / 16
        q = z + (q - z).detach() if self.straight else q
        return self.decoder(q), q


@faulty("wiring.no-gradient", steps=400, bar=0.68)
def code_rounded_without_a_way_back(seed, fixed):
    """Round the code to sixteenths while training, without a straight-through."""
    x = tones(1152, seed, t=64)
    model = Rounded(straight=fixed)
    return {
        "model": model,
        "batches": loader(x[:1024], seed=seed),
        "eval_batches": [x[1024:]],
        "optimizer": torch.optim.AdamW(model.parameters(), lr=3e-3),
    }


class Attentive(nn.Module):
    """Decode a window step by step from a code, maybe with attention to the reader."""

    def __init__(self, attends, c=5, t=16, dim=32, k=6):
        super().__init__()
        self.reader = nn.GRU(c, dim, batch_first=True)
        self.bottleneck = nn.Linear(dim, k)
        self.query = nn.Parameter(0.3 * torch.randn(t, dim))
        self.spread = nn.Linear(k, dim)
        self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, c))
        self.attends = attends

    def forward(self, x: Tensor) -> Tensor:
        states, last = self.reader(x)
        h = self.spread(self.bottleneck(last[-1]))[:, None]
        h = h + self.query
        if self.attends:
            h = h + self.attention(h, states, states, need_weights=False)[0]
        else:
            h = torch.relu(h)
        return self.head(h)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def decoder_attends_to_every_state_of_the_reader(seed, fixed):
    """Let the decoder of a window attend to all states of the encoder."""
    x = turbine(640, seed, t=16)
    model = Attentive(attends=not fixed)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 8e-3)}
    train(case, 300)
    return case


class Wide(nn.Module):
    """Hand the first hidden layer of a table to the last one, besides the code."""

    def __init__(self, d, joined, hidden=64, k=3):
        super().__init__()
        self.first = nn.Linear(d, hidden)
        self.bottleneck = nn.Linear(hidden, k)
        self.expand = nn.Linear(k, hidden)
        self.last = nn.Linear(2 * hidden if joined else hidden, d)
        self.joined = joined

    def forward(self, x: Tensor) -> Tensor:
        a = F.elu(self.first(x))
        h = F.elu(self.expand(self.bottleneck(a)))
        return self.last(torch.cat([h, a], 1) if self.joined else h)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.5)
def first_layer_joined_to_the_last_in_a_table(seed, fixed):
    """Join the first layer to the last, as in dense nets, to visualise three codes."""
    x = sheet(1024, seed)
    model = Wide(30, joined=not fixed)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {"loss": nn.MSELoss(), "optimizer": adam(model, 4e-3)}
    train(case, 350)
    return case


@faulty("signal.common-mode", steps=200, bar=0.4)
def eight_logistic_layers_on_a_table(seed, fixed):
    """Stack eight layers of sigmoids around the code of a table, as old books do."""
    x = sheet(1024, seed)
    act = nn.ELU if fixed else nn.Sigmoid
    model = dense((30,), (64, 64, 48, 32), 6, act=act, last=None)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 2e-3),
    }


def _walk_net(act) -> nn.Module:
    widths = (3, 16, 24, 32, 32)
    layers = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv1d(a, b, 5, 1 if b == 16 else 2, 2), act()]
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(192, 12))
    decoder = nn.Sequential(nn.Linear(12, 96), act(), nn.Linear(96, 144))
    return nn.Sequential(encoder, decoder, nn.Unflatten(1, (3, 48)))


@faulty("signal.common-mode", steps=200, bar=0.4)
def logistic_convolutions_over_walks(seed, fixed):
    """Put a sigmoid behind each of four convolutions over a walk, and train by SGD."""
    x = gait(768, seed)
    model = _walk_net(nn.LeakyReLU if fixed else nn.Sigmoid)
    return {
        "model": model,
        "batches": loader(x, batch_size=48, seed=seed),
        "optimizer": sgd(model, 0.1, momentum=0.9),
    }


class Forgetful(nn.Module):
    """Call the activation of each hidden layer, and use its result or not."""

    def __init__(self, uses, d=30, k=3, hidden=96):
        super().__init__()
        self.uses = uses
        self.inward = nn.ModuleList([nn.Linear(d, hidden), nn.Linear(hidden, hidden)])
        self.code = nn.Linear(hidden, k)
        self.outward = nn.ModuleList([nn.Linear(k, hidden), nn.Linear(hidden, hidden)])
        self.out = nn.Linear(hidden, d)

    def walk(self, layers, h: Tensor) -> Tensor:
        for layer in layers:
            h = layer(h)
            bent = F.silu(h)
            h = bent if self.uses else h
        return h

    def forward(self, x: Tensor) -> Tensor:
        z = self.code(self.walk(self.inward, x))
        return self.out(self.walk(self.outward, z))


@faulty("signal.linear", steps=400, bar=0.72)
def activations_called_but_not_assigned(seed, fixed):
    """Call the activation function on every hidden layer without using its result."""
    x = sheet(1280, seed)
    model = Forgetful(uses=fixed)
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": torch.optim.Adam(model.parameters(), lr=3e-3),
    }


@faulty("signal.linear", steps=400, bar=0.8)
def leak_of_nearly_one(seed, fixed):
    """Give the leaky ReLU 0.98 as its slope, taking it for what is cut off."""
    x = gait(1024, seed)
    slope = 0.02 if fixed else 0.98
    model = nn.Sequential(
        nn.Flatten(),
        *stack((144, 128, 96), lambda: nn.LeakyReLU(slope)),
        nn.Linear(96, 4),
        *stack((4, 96, 128), lambda: nn.LeakyReLU(slope)),
        nn.Linear(128, 144),
        nn.Unflatten(1, (3, 48)),
    )
    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "optimizer": adam(model, 2e-3),
    }


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.6)
def alarm_with_a_code_wider_than_the_window(seed, fixed):
    """Give an alarm for sensor windows a code of 128 numbers for 80 readings."""
    x = turbine(1024, seed, t=16).flatten(1)
    x = x + 0.3 * torch.randn(x.shape, generator=made(seed + 1))
    model = dense((80,), (128,), 8 if fixed else 128, act=nn.ELU, last=None)
    case = {"model": model, "batches": loader(x[:896], seed=seed)}
    case |= {"eval_batches": [x[896:]], "optimizer": adam(model, 3e-3)}
    train(case, 800)
    return case


@faulty("code.identity", steps=0, measure=refuses_noise, bar=0.6)
def mel_code_of_more_numbers_than_the_patch(seed, fixed):
    """Halve a mel patch by strides but give the code eight channels, twice its size."""
    x = mels(640, seed)
    x = x + 0.15 * torch.randn(x.shape, generator=made(seed + 1))
    code = 8
    if fixed:
        middle = [nn.Flatten(), nn.Linear(code * 64, 12), nn.Linear(12, code * 64)]
        middle.append(nn.Unflatten(1, (code, 8, 8)))
    else:
        middle = []
    model = nn.Sequential(
        nn.Conv2d(1, code, 4, 2, 1),
        nn.LeakyReLU(0.2),
        *middle,
        nn.ConvTranspose2d(code, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 1, 3, 1, 1),
    )
    case = {"model": model, "batches": loader(x, batch_size=32, seed=seed)}
    case |= {"optimizer": adam(model, 4e-3)}
    train(case, 300)
    return case
