"""Eleventh part, d: strong noise and odd penalties that are right."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ae_lib.doctor.clinic.heldback.bank11_d_material import (
    faint,
    firing,
    murals,
    panel,
    strokes,
    tremors,
)
from ae_lib.doctor.clinic.material import loader
from ae_lib.doctor.clinic.parts import adam, dense, stack
from ae_lib.doctor.clinic.program import healthy


def squares(x: Tensor) -> Tensor:
    """Cut pictures (B, C, 16, 16) into 16 squares, (B, 16, C * 16)."""
    cut = F.unfold(x, 4, stride=4)  # (B, C * 16, 16)
    return cut.movedim(1, 2)


def pasted(rows: Tensor) -> Tensor:
    """Put 16 squares together again."""
    return F.fold(rows.movedim(2, 1), (16, 16), 4, stride=4)


class Masked(nn.Module):
    """Encode the squares that are left, and write all from them."""

    def __init__(self, d=48, wide=64):
        super().__init__()
        self.embed = nn.Linear(d, wide)
        self.places = nn.Parameter(0.1 * torch.randn(16, wide))
        self.blank = nn.Parameter(0.1 * torch.randn(wide))
        layer = nn.TransformerEncoderLayer(
            wide, 4, 128, 0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(wide, d)

    def forward(self, x: Tensor) -> Tensor:
        rows = squares(x)
        hidden = (rows == -1).all(2, keepdim=True)
        tokens = torch.where(hidden, self.blank, self.embed(rows)) + self.places
        return pasted(self.out(self.blocks(tokens)))


def hide(x: Tensor, share: float = 0.75) -> Tensor:
    """Replace most squares of each picture by -1."""
    rows = squares(x).clone()
    order = torch.rand(rows.shape[:2]).argsort(1)
    rows[order < round(16 * share)] = -1
    return pasted(rows)


@healthy(steps=400, bar=0.55)
def three_of_four_squares_hidden(seed):
    """Hide three quarters of the squares of murals from a transformer."""
    x = murals(1024, seed)
    model = Masked()
    return {
        "model": model,
        "batches": loader(x, batch_size=64, seed=seed),
        "pair": lambda batch: (hide(batch), batch),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.AdamW(model.parameters(), 2e-3),
        "judge": [(hide(x), x)],
    }


@healthy(steps=600, bar=0.85)
def noise_as_loud_as_the_record_itself(seed):
    """Add noise of the records' own strength, and average it out over channels."""
    x = tremors(1536, seed)
    model = dense((24, 4), (96,), 5, act=nn.SiLU, last=None)
    optimizer = adam(model, 2e-3)

    def step(model, batch):
        optimizer.zero_grad()
        loss = F.mse_loss(model(batch + torch.randn_like(batch)), batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "step": step,
        "optimizer": optimizer,
        "judge": [(x + torch.randn_like(x), x)],
    }


class Pepper(nn.Module):
    """Set half of all pixels to black or white in training."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        chance = torch.rand_like(x)
        return torch.where(chance < 0.25, 0.0, torch.where(chance > 0.75, 1.0, x))


@healthy(steps=1000, bar=0.75)
def half_of_the_pixels_black_or_white(seed):
    """Spoil half of the pixels in a layer, and sum the cross-entropy over all."""
    model = dense((1, 16, 16), (128,), 12, last=None)
    model.encoder.insert(0, Pepper())

    def loss(logits, target):
        total = F.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        return total / len(target)

    return {
        "model": model,
        "batches": loader(strokes(1280, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
        "view": torch.sigmoid,
    }


class Few(nn.Module):
    """Keep the six largest of 80 units and write with unit directions."""

    def __init__(self, d=48, m=80, k=6):
        super().__init__()
        self.k = k
        self.words = nn.Linear(m, d)
        self.encoder = nn.Linear(d, m)
        with torch.no_grad():
            self.tidy()
            self.encoder.weight.copy_(self.words.weight.T)

    def tidy(self) -> None:
        """Scale the directions to length one."""
        self.words.weight.data = F.normalize(self.words.weight.data, dim=0)

    def encode(self, x: Tensor) -> Tensor:
        a = self.encoder(x).relu()
        top = a.topk(self.k, dim=1)
        return torch.zeros_like(a).scatter(1, top.indices, top.values)

    def forward(self, x: Tensor) -> Tensor:
        return self.words(self.encode(x))


@healthy(steps=500, bar=0.85)
def six_units_of_eighty(seed):
    """Keep only the six largest of eighty units, and renormalise after each step."""
    model = Few()
    optimizer = adam(model, 3e-3)

    def step(model, batch):
        loss = (model(batch) - batch).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.tidy()
        return loss.item()

    return {
        "model": model,
        "batches": loader(firing(2048, seed), batch_size=128, seed=seed),
        "step": step,
        "optimizer": optimizer,
    }


class Curves(nn.Module):
    """Code a curve by strided convolutions, and return the curve it has seen."""

    def __init__(self, k=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Unflatten(1, (1, 64)),
            nn.Conv1d(1, 12, 5, 2, 2),
            nn.GELU(),
            nn.Conv1d(12, 16, 5, 4, 2),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(128, k),
        )
        self.decoder = nn.Sequential(*stack((k, 96), nn.GELU), nn.Linear(96, 64))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"x_hat": self.decoder(self.encode(x)), "of": x}


@healthy(steps=400, bar=0.9)
def jacobian_estimated_by_random_directions(seed):
    """Estimate the Jacobian's norm of a convolutional encoder by two random probes."""
    x = faint(1024, seed)
    x = (x - x.mean()) / x.std()
    model = Curves()

    def loss(output, target):
        error = F.mse_loss(output["x_hat"], target)
        with torch.enable_grad():
            seen = output["of"].detach().requires_grad_()
            z, steep = model.encode(seen), 0.0
            for _ in range(2):
                probe = torch.randn_like(z)
                (g,) = torch.autograd.grad(z, seen, probe, create_graph=True)
                steep = steep + g.square().sum(1).mean() / 2
        return error + 0.01 * steep

    return {
        "model": model,
        "batches": loader(x, seed=seed),
        "loss": loss,
        "optimizer": adam(model, 2e-3),
    }


class Halves(nn.Module):
    """Code by tanh units, and hand their activity between zero and one on."""

    def __init__(self, d=24, k=16):
        super().__init__()
        self.encoder = nn.Sequential(*stack((d, 64)), nn.Linear(64, k), nn.Tanh())
        self.decoder = nn.Sequential(*stack((k, 64)), nn.Linear(64, d))

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        z = self.encode(x)
        return {"reconstruction": self.decoder(z), "activity": (1 + z) / 2}


@healthy(steps=500, bar=0.85)
def activity_of_tanh_units_held_at_a_fifth(seed):
    """Hold tanh units, shifted to between zero and one, at a mean of one fifth."""
    model = Halves()

    def loss(output, target):
        rho = output["activity"].mean(0)
        on = 0.2 * (0.2 / rho).log() + 0.8 * (0.8 / (1 - rho)).log()
        error = F.mse_loss(output["reconstruction"], target, reduction="none")
        return error.sum(1).mean() + 0.2 * on.sum()

    return {
        "model": model,
        "batches": loader(panel(1024, seed), seed=seed),
        "loss": loss,
        "optimizer": adam(model, 3e-3),
    }
