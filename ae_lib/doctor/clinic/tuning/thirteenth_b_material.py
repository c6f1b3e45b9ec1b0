"""Small synthetic data for the ninth part, b: the same for each seed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import pair, x_hat


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(seed)


def grid(size: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates (size, size) of rows and columns in [-1, 1]."""
    axis = torch.linspace(-1, 1, size)
    return torch.meshgrid(axis, axis, indexing="ij")


def cells(n: int, seed: int, size: int = 16) -> Tensor:
    """Return stained cells (n, 3, size, size) in [0, 1]: membrane and nucleus."""
    g, (y, x) = made(seed), grid(size)
    cx, cy, nx, ny = (torch.rand(4, n, 1, 1, generator=g) - 0.5).unbind(0)
    wide, tall, nucleus = (0.5 + 0.4 * torch.rand(3, n, 1, 1, generator=g)).unbind(0)
    away = (((x - 0.6 * cx) / wide) ** 2 + ((y - 0.6 * cy) / tall) ** 2).sqrt()
    body = torch.sigmoid(8 * (1 - away))
    inner = ((x - 0.6 * cx - 0.3 * nx) ** 2 + (y - 0.6 * cy - 0.3 * ny) ** 2).sqrt()
    core = torch.sigmoid(14 * (0.45 * nucleus - inner))
    stain = 0.6 + 0.4 * torch.rand(n, 2, 1, 1, generator=g)
    pink, blue = stain[:, 0] * body, stain[:, 1] * core
    image = torch.stack([1 - 0.5 * blue, 1 - 0.5 * pink - 0.3 * blue, 1 - 0.3 * pink])
    return image.transpose(0, 1).clamp(0, 1).contiguous()


def weave(n: int, seed: int, size: int = 16, flaw: bool = False) -> Tensor:
    """Return cloth (n, 1, size, size) in [0, 1]; with a flaw, one bright tear each."""
    g, (y, x) = made(seed), grid(size)
    warp, weft, light, tilt = torch.rand(4, n, 1, 1, generator=g).unbind(0)
    lines = torch.sin(9 * x + 6.28 * warp) + torch.sin(7 * y + 6.28 * weft)
    cloth = 0.5 + 0.13 * lines + 0.2 * (light - 0.5) + 0.15 * (tilt - 0.5) * x
    cloth = cloth + 0.02 * torch.randn(n, size, size, generator=g)
    if flaw:
        fx, fy = (1.2 * torch.rand(2, n, 1, 1, generator=g) - 0.6).unbind(0)
        cloth = cloth + 0.6 * torch.exp(-((x - fx) ** 2 + (y - fy) ** 2) / 0.03)
    return cloth.clamp(0, 1).unsqueeze(1)


def terrain(n: int, seed: int, size: int = 16, waves: int = 6) -> Tensor:
    """Return height maps (n, 1, size, size) of a few fixed waves, near N(0, 1)."""
    g, kind, (y, x) = made(seed), made(77), grid(size)
    kx, ky = (2.5 * torch.randn(2, waves, 1, 1, generator=kind)).unbind(0)
    both = torch.cat([torch.sin(kx * x + ky * y), torch.cos(kx * x + ky * y)])
    height = torch.einsum("nw,whv->nhv", torch.randn(n, 2 * waves, generator=g), both)
    return ((height - height.mean()) / height.std()).unsqueeze(1)


def glyphs(n: int, seed: int, size: int = 16) -> tuple[Tensor, Tensor]:
    """Return signs (n, 1, size, size) in [0, 1] of four kinds, and the kind."""
    g, (y, x) = made(seed), grid(size)
    kind = torch.randint(4, (n,), generator=g)
    cx, cy = (0.6 * torch.rand(2, n, 1, 1, generator=g) - 0.3).unbind(0)
    r = 0.35 + 0.25 * torch.rand(n, 1, 1, generator=g)
    dx, dy = (x - cx).abs(), (y - cy).abs()
    box, disc = torch.maximum(dx, dy) - r, (dx**2 + dy**2).sqrt() - r
    cross = torch.maximum(torch.minimum(dx, dy) - 0.15, torch.maximum(dx, dy) - r)
    ring = disc.abs() - 0.12
    shape = torch.stack([box, disc, cross, ring])[kind, torch.arange(n)]
    return torch.sigmoid(-18 * shape).unsqueeze(1), kind


def clouds(n: int, seed: int, size: int = 16) -> Tensor:
    """Return soft colour clouds (n, 3, size, size) in [0, 1]."""
    g = made(seed)
    coarse = torch.rand(n, 3, 4, 4, generator=g)
    shared = torch.rand(n, 1, 4, 4, generator=g)
    mixed = 0.35 * coarse + 0.65 * shared
    return F.interpolate(mixed, size=size, mode="bicubic").clamp(0, 1)


def currents(n: int, seed: int, t: int = 48) -> Tensor:
    """Return motor currents (n, t), positive: a start-up peak and a ripple."""
    g, time = made(seed), torch.linspace(0, 1, t)
    peak, decay, level, depth, phase = torch.rand(5, n, 1, generator=g).unbind(0)
    start = (1 + peak) * torch.exp(-time * (4 + 6 * decay))
    ripple = (0.1 + 0.2 * depth) * torch.sin(6.28 * (3 * time + phase))
    return 0.6 + 0.5 * level + start + ripple + 0.02 * torch.rand(n, t, generator=g)


def stations(n: int, seed: int, d: int = 24, rank: int = 5) -> Tensor:
    """Return readings (n, d) of stations that share weather, columns N(0, 1)."""
    g, kind = made(seed), made(5)
    z = torch.randn(n, rank, generator=g)
    mix = torch.randn(rank, d, generator=kind)
    x = z @ mix + 0.4 * torch.sin(1.5 * z @ mix.roll(3, 1))
    x = x + 0.15 * torch.randn(n, d, generator=g)
    return (x - x.mean(0)) / x.std(0)


def fit(case: dict, epochs: int, val, schedule=None) -> dict:
    """Train a case for some epochs; return the mean losses, on the batch `val` too."""
    model, optimizer = case["model"], case["optimizer"]
    loss_of = case.get("loss") or (lambda out, to: F.mse_loss(x_hat(out), to))
    history = {"train_loss": [], "val_loss": []}
    for _ in range(epochs):
        model.train()
        total = count = 0
        for batch in case["batches"]:
            seen, target = pair(case, batch)
            optimizer.zero_grad()
            loss = loss_of(model(seen), target)
            loss.backward()
            optimizer.step()
            total, count = total + loss.item() * len(seen), count + len(seen)
        if schedule:
            schedule.step()
        model.eval()
        with torch.no_grad():
            seen, target = pair(case, val)
            held = loss_of(model(seen), target).item()
        history["train_loss"].append(total / count)
        history["val_loss"].append(held)
    model.train()
    return history


class Corrupted:
    """Yield (corrupted, clean) batches, with fresh noise in every epoch."""

    def __init__(self, batches, corrupt):
        self.batches, self.corrupt = batches, corrupt

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for x in self.batches:
            yield self.corrupt(x), x


def spots(n: int, seed: int, size: int = 12) -> Tensor:
    """Return one soft spot (n, 1, size, size) in [0, 1], anywhere but the edge."""
    g, (y, x) = made(seed), grid(size)
    cx, cy = (1.4 * torch.rand(2, n, 1, 1, generator=g) - 0.7).unbind(0)
    return torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.18).unsqueeze(1)


def atoms(n: int, seed: int, d: int = 32, size: int = 48, few: int = 3) -> Tensor:
    """Return sums (n, d) of a few out of `size` fixed directions."""
    g, kind = made(seed), made(19)
    words = F.normalize(torch.randn(size, d, generator=kind), dim=1)
    chosen = torch.rand(n, size, generator=g).topk(few, 1).indices
    share = torch.zeros(n, size)
    share.scatter_(1, chosen, 1 + torch.rand(n, few, generator=g))
    return share @ words + 0.02 * torch.randn(n, d, generator=g)
