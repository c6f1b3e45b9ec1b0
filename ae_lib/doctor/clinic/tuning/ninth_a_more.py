"""Healthy programs on pictures: counts, ordered codes, rounding, rows as a series."""

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic.material import digits, loader, patches, scenes
from ae_lib.doctor.clinic.parts import adam, conv, dense
from ae_lib.doctor.clinic.program import healthy
from ae_lib.doctor.clinic.tuning.ninth_a_parts import (
    cells,
    ellipses,
    faces,
    fitted,
    made,
)


class Counts(nn.Module):
    """Read counts through a root, and return the logarithm of their rate."""

    def __init__(self):
        super().__init__()
        self.inner = dense((1, 16, 16), (160,), 16, act=nn.ELU, last=None)

    def forward(self, x):
        return self.inner((x + 0.375).sqrt() / 3)


@healthy(steps=40, bar=0.3)
def photons_counted(seed):
    """Fit photon counts, whole numbers up to about thirty, by a Poisson likelihood."""
    x, test = (15 * cells(n, seed + s) + 1 for n, s in ((896, 0), (256, 55)))
    x, test = torch.poisson(x, made(seed)), torch.poisson(test, made(seed + 1))
    model = Counts()
    case = {"model": model, "batches": loader(x, seed=seed), "optimizer": adam(model)}
    case |= {"eval_batches": loader(test, shuffle=False), "view": torch.exp}
    return fitted({**case, "loss": nn.PoissonNLLLoss(log_input=True)}, 25)


@healthy(steps=0, bar=0.5)
def overlap_beside_the_entropy(seed):
    """Train on masks with BCE plus the Dice loss, as for segmentation."""
    model = dense((1, 16, 16), (160,), 12, act=nn.LeakyReLU)

    def loss(output, target):
        both = (output * target).flatten(1).sum(1)
        size = (output + target).flatten(1).sum(1)
        dice = 1 - (2 * both + 1) / (size + 1)
        return F.binary_cross_entropy(output, target) + dice.mean()

    data = loader(ellipses(1400, seed), seed=seed)
    case = {"model": model, "batches": data, "loss": loss}
    case |= {"eval_batches": [ellipses(256, seed + 19)], "optimizer": adam(model, 3e-3)}
    case = fitted(case, 40)
    model.eval()
    return case


class Ordered(nn.Module):
    """Cut the code at a random length while training, so that its units are ordered."""

    def __init__(self):
        super().__init__()
        self.inner = conv((3, 16, 16), 24, act=nn.GELU)

    def encode(self, x):
        return self.inner.encode(x)

    def forward(self, x):
        z = self.encode(x)
        if self.training:
            length = torch.randint(4, 25, (len(z), 1))
            z = z * (torch.arange(24) < length)
        return self.inner.decode(z)


@healthy(steps=40, bar=0.4)
def units_in_the_order_of_their_use(seed):
    """Cut the code at random lengths while training (nested dropout)."""
    x, model = patches(640, seed), Ordered()
    case = {"batches": loader(x[:512], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[512:], shuffle=False)}
    return fitted({**case, "model": model, "optimizer": adam(model, 3e-3)}, 18)


class Compressor(nn.Module):
    """Round the code in use; add noise of the same width while training."""

    def __init__(self):
        super().__init__()
        self.inner = conv((3, 16, 16), 48, act=nn.LeakyReLU)
        self.log_scale = nn.Parameter(torch.zeros(48))

    def forward(self, x):
        z = 4 * self.inner.encode(x)
        q = z + torch.rand_like(z) - 0.5 if self.training else z.round()
        nats = q.abs() / self.log_scale.exp() + self.log_scale  # Laplace, up to log 2
        return {"x_hat": self.inner.decode(q / 4), "rate": nats.sum(1).mean()}


@healthy(steps=0, bar=0.4)
def rate_and_distortion(seed):
    """Compress scenes: rounding in use, uniform noise and a rate term in training."""
    x, y = scenes(640, seed)
    model = Compressor()

    def loss(output, target):
        return 400 * F.mse_loss(output["x_hat"], target) + 0.02 * output["rate"]

    case = {"batches": loader(x[:512], y[:512], batch_size=32, seed=seed)}
    case |= {"eval_batches": loader(x[512:], y[512:], shuffle=False), "loss": loss}
    case = fitted({**case, "model": model, "optimizer": adam(model, 3e-3)}, 20)
    model.eval()
    return case


class Rows(nn.Module):
    """Read a picture row by row with a GRU and write it row by row from the code."""

    def __init__(self):
        super().__init__()
        self.reader = nn.GRU(8, 64, batch_first=True, bidirectional=True)
        self.code = nn.Linear(128, 20)
        self.start = nn.Linear(20, 96)
        self.writer = nn.GRU(20, 96, batch_first=True)
        self.pixels = nn.Linear(96, 8)

    def forward(self, x):
        _, last = self.reader(x.squeeze(1))
        z = self.code(last.transpose(0, 1).flatten(1))
        each = z[:, None].expand(-1, 8, -1)
        rows, _ = self.writer(each, torch.tanh(self.start(z))[None])
        return torch.sigmoid(self.pixels(rows))[:, None], z


@healthy(steps=40, bar=0.35)
def digits_read_row_by_row(seed):
    """Treat the rows of a digit as a series for two GRUs, with clipped gradients."""
    x, y = digits(1400, seed, 8)
    model = Rows()
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        recon, _ = model(batch[0])
        loss = F.mse_loss(recon, batch[0])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss.item()

    case = {"model": model, "batches": loader(x[:1152], y[:1152], seed=seed)}
    case |= {"eval_batches": loader(x[1152:], y[1152:], shuffle=False), "step": step}
    return fitted({**case, "optimizer": optimizer}, 30)


@healthy(steps=0, bar=0.5)
def linear_start_from_the_svd(seed):
    """Start a linear autoencoder of faces at the principal components: all is done."""
    x, test = faces(768, seed, 16), faces(256, seed + 12, 16)
    mean = x.mean(0).flatten()
    axes = torch.linalg.svd(x.flatten(1) - mean, full_matrices=False).Vh[:14]
    down, up = nn.Linear(256, 14), nn.Linear(14, 256)
    with torch.no_grad():
        down.weight.copy_(axes)
        down.bias.copy_(-axes @ mean)
        up.weight.copy_(axes.T)
        up.bias.copy_(mean)
    shape = nn.Unflatten(1, (1, 16, 16))
    model = nn.Sequential(nn.Flatten(), down, up, shape)
    case = {"model": model, "batches": loader(x, seed=seed)}
    case |= {
        "eval_batches": loader(test, shuffle=False),
        "optimizer": adam(model, 1e-4),
    }
    return fitted(case, 8)
