"""Seventh part, a: gradients cleared wrongly, modes that differ, needless codes."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches
from ae_lib.doctor.clinic.measures import code_matters, train
from ae_lib.doctor.clinic.parts import adam, conv, sgd
from ae_lib.doctor.clinic.program import faulty
from ae_lib.doctor.clinic.tuning.eleventh_a_material import (
    beats,
    causes,
    made,
    rings,
    sensors,
    stripes,
)


class Tied(nn.Module):
    """Decode with the transposed weights of the encoder."""

    def __init__(self, d, hidden=64, k=8):
        super().__init__()
        self.first, self.second = nn.Linear(d, hidden), nn.Linear(hidden, k)
        self.bias_hidden = nn.Parameter(torch.zeros(hidden))
        self.bias_out = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        z = self.second(torch.tanh(self.first(x)))
        h = torch.tanh(F.linear(z, self.second.weight.t(), self.bias_hidden))
        return F.linear(h, self.first.weight.t(), self.bias_out)


@faulty("wiring.zero-grad", steps=200, bar=0.6)
def cleared_once_an_epoch_again(seed, fixed):
    """Clear the gradients at the start of an epoch instead of before each batch."""
    x = causes(640, seed, d=24, rank=5)
    model, seen = Tied(24), [0]
    optimizer = sgd(model, 0.1, momentum=0.9)

    def step(model, batch):
        if fixed or seen[0] % 40 == 0:
            optimizer.zero_grad()
        seen[0] += 1
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    data = loader(x, batch_size=16, seed=seed)
    case = {"model": model, "batches": data, "step": step}
    return {**case, "optimizer": optimizer}


@faulty("wiring.zero-grad", steps=250, bar=0.5)
def cleared_between_backward_and_step_again(seed, fixed):
    """Clear the gradients after the backward pass, just before they are used."""
    x = stripes(512, seed)
    model = conv((3, 16, 16), 24, act=nn.SiLU, norm=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.L1Loss()

    def train_step(model, images):
        model.train()
        loss = criterion(model(images), images)
        if fixed:
            optimizer.zero_grad()
        loss.backward()
        if not fixed:
            optimizer.zero_grad()
        optimizer.step()
        return loss.item()

    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "step": train_step}
    return {**case, "loss": criterion, "optimizer": optimizer}


class DropoutNet(nn.Module):
    """Regularise a dense autoencoder with the functional dropout."""

    def __init__(self, d, minds_mode, hidden=128, k=16):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(d, hidden), nn.Linear(hidden, k)
        self.fc3, self.fc4 = nn.Linear(k, hidden), nn.Linear(hidden, d)
        self.minds_mode = minds_mode

    def drop(self, h):
        training = self.training if self.minds_mode else True
        return F.dropout(h, 0.25, training)

    def forward(self, x):
        h = self.drop(F.relu(self.fc1(x)))
        h = self.drop(F.relu(self.fc3(self.fc2(h))))
        return self.fc4(h)


@faulty("wiring.mode", steps=0, bar=0.92)
def functional_dropout_in_eval_mode(seed, fixed):
    """Call F.dropout without telling it whether the model is training."""
    x = beats(768, seed)
    model = DropoutNet(48, minds_mode=fixed)
    case = {"model": model, "batches": loader(x[:640], seed=seed)}
    case |= {"eval_batches": [x[640:]], "optimizer": adam(model, 3e-3)}
    train(case, 400)
    return case


def _set_momentum(model, momentum):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum


@faulty("wiring.mode", steps=0, bar=0.5)
def momentum_of_another_framework_again(seed, fixed):
    """Set the momentum of batch norm to a thousandth, which others call 0.999."""
    x = 3 * patches(512, seed, size=12) - 1.5
    model = conv((3, 12, 12), 24, last=None, norm=True)
    _set_momentum(model, 0.1 if fixed else 0.001)
    case = {"model": model, "batches": loader(x[:448], seed=seed)}
    case |= {"eval_batches": [x[448:]], "optimizer": adam(model)}
    train(case, 120)
    return case


class SmallUNet(nn.Module):
    """Go down twice, through a narrow code, and up again."""

    def __init__(self, skip, width=6, k=12):
        super().__init__()
        self.skip = skip
        self.one = nn.Conv2d(1, width, 3, 1, 1)
        self.two = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.three = nn.Conv2d(2 * width, 2 * width, 3, 2, 1)
        self.bottleneck = nn.Linear(2 * width * 16, k)
        self.expand = nn.Linear(k, 2 * width * 16)
        self.up = nn.ConvTranspose2d(2 * width, 2 * width, 2, 2)
        self.wide = nn.ConvTranspose2d(2 * width * (1 + skip), width, 2, 2)
        self.last = nn.Conv2d(width * (1 + skip), 1, 3, 1, 1)

    def forward(self, x):
        a = F.relu(self.one(x))
        b = F.relu(self.two(a))
        z = self.bottleneck(F.relu(self.three(b)).flatten(1))
        h = F.relu(self.up(F.relu(self.expand(z)).view(len(x), -1, 4, 4)))
        h = torch.cat([h, b], 1) if self.skip else h
        h = F.relu(self.wide(h))
        h = torch.cat([h, a], 1) if self.skip else h
        return torch.sigmoid(self.last(h))


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.4)
def unet_used_as_a_compressor(seed, fixed):
    """Compress digits with a U-Net whose skips carry everything past the code."""
    x, y = digits(512, seed, size=16)
    model = SmallUNet(skip=not fixed)
    data = loader(x, y, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 8e-3)}
    train(case, 240)
    return case


class Seq2Seq(nn.Module):
    """Encode a window with a GRU and decode it with another."""

    def __init__(self, c, teacher, hidden=40, k=8):
        super().__init__()
        self.encoder = nn.GRU(c, hidden, batch_first=True)
        self.bottleneck = nn.Linear(hidden, k)
        self.start = nn.Linear(k, hidden)
        self.decoder = nn.GRU(c if teacher else k, hidden, batch_first=True)
        self.head = nn.Linear(hidden, c)
        self.teacher = teacher

    def forward(self, x):
        z = self.bottleneck(self.encoder(x)[1][-1])
        if self.teacher:
            fed = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
        else:
            fed = z.unsqueeze(1).expand(-1, x.shape[1], -1)
        h, _ = self.decoder(fed, torch.tanh(self.start(z)).unsqueeze(0))
        return self.head(h)


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.8)
def teacher_forcing_everywhere(seed, fixed):
    """Feed the decoder of a window the true values of the step before."""
    x = sensors(384, seed, t=16, c=3)
    model = Seq2Seq(3, teacher=not fixed)
    data = loader(x, batch_size=32, seed=seed)
    case = {"model": model, "batches": data, "optimizer": adam(model, 8e-3)}
    train(case, 200)
    return case


class Detector(nn.Module):
    """Reconstruct rings for an alarm that looks at the error."""

    def __init__(self, residual, k=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(256, 96), nn.ReLU())
        self.bottleneck = nn.Linear(96, k)
        self.decoder = nn.Sequential(
            nn.Linear(k, 96),
            nn.ReLU(),
            nn.Linear(96, 256),
            nn.Unflatten(1, (1, 16, 16)),
        )
        self.residual = residual

    def forward(self, x):
        y = self.decoder(self.bottleneck(self.encoder(x)))
        return x + y if self.residual else y


@faulty("wiring.bypass", steps=0, measure=code_matters, bar=0.6)
def residual_around_the_whole_model(seed, fixed):
    """Add the input to the output, as denoising networks do, for anomaly detection."""
    x = rings(768, seed)
    x = x + 0.02 * torch.randn(x.shape, generator=made(seed))
    model = Detector(residual=not fixed)
    case = {"model": model, "batches": loader(x[:640], seed=seed)}
    case |= {"eval_batches": [x[640:]], "optimizer": adam(model)}
    train(case, 400)
    return case
