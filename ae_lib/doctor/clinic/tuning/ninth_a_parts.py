"""Pictures of several kinds, and a loop that keeps a history, for the ninth part."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic.measures import pair, train, x_hat


def made(seed: int) -> torch.Generator:
    """Return a generator of its own for a seed."""
    return torch.Generator().manual_seed(1000 + seed)


def grid(size: int) -> tuple[Tensor, Tensor]:
    """Return the coordinates of rows and columns, (1, size, size) each, in [-1, 1]."""
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y[None], x[None]


def draws(n: int, columns: int, seed: int) -> Tensor:
    """Return uniform numbers, one column of shape (n, 1, 1) for each request."""
    return torch.rand(columns, n, 1, 1, generator=made(seed))


def ellipses(n: int, seed: int, size: int = 16) -> Tensor:
    """Return masks (n, 1, size, size) of one filled ellipse, 0 or 1."""
    y, x = grid(size)
    cy, cx, a, b, turn = draws(n, 5, seed)
    cy, cx, turn = cy - 0.5, cx - 0.5, 3.1416 * turn
    a, b = 0.25 + 0.4 * a, 0.25 + 0.4 * b
    u = (x - cx) * turn.cos() + (y - cy) * turn.sin()
    v = (y - cy) * turn.cos() - (x - cx) * turn.sin()
    return ((u / a).square() + (v / b).square() < 1).float()[:, None]


def rooms(n: int, seed: int, size: int = 16) -> Tensor:
    """Return depth maps (n, 1, size, size) in metres: a tilted wall and a box."""
    y, x = grid(size)
    far, pan, tilt, cy, cx, wide, near = draws(n, 7, seed)
    wall = 2.5 + 1.5 * far + (pan - 0.5) * x + (tilt - 0.5) * y
    box = ((x - cx + 0.5).abs() < 0.25 + 0.3 * wide) & ((y - cy + 0.5).abs() < 0.4)
    return torch.where(box, wall - 0.5 - 0.8 * near, wall)[:, None]


def smooth(n: int, channels: int, seed: int, size: int = 16, cells: int = 4) -> Tensor:
    """Return smooth random maps (n, channels, size, size), about N(0, 1)."""
    coarse = torch.randn(n, channels, cells, cells, generator=made(seed))
    return 1.4 * F.interpolate(coarse, size=size, mode="bicubic", align_corners=False)


def satellite(n: int, seed: int, size: int = 16, bands: int = 6) -> Tensor:
    """Return reflectances (n, bands, size, size): smooth mixtures of four materials."""
    share = (2 * smooth(n, 4, seed, size)).softmax(1)
    spectra = 0.02 + 0.55 * torch.rand(4, bands, generator=made(77))
    return torch.einsum("nmhw,mb->nbhw", share, spectra)


def bumps(n: int, seed: int, size: int = 16, points: int = 3) -> Tensor:
    """Return heat maps (n, points, size, size), a Gaussian bump for each key point."""
    y, x = grid(size)
    spot = 1.4 * torch.rand(2, n, points, 1, 1, generator=made(seed)) - 0.7
    return (-((y - spot[0]).square() + (x - spot[1]).square()) / 0.08).exp()


def faces(n: int, seed: int, size: int = 24) -> Tensor:
    """Return cartoon faces (n, 1, size, size): head, two eyes and a mouth."""
    y, x = grid(size)
    cy, cx, wide, eye, mouth, bow, skin = draws(n, 7, seed)
    y, x = y - 0.3 * (cy - 0.5), x - 0.3 * (cx - 0.5)

    def soft(distance: Tensor) -> Tensor:
        return torch.sigmoid(-12 * distance)

    head = soft((x / (0.55 + 0.3 * wide)).square() + (y / 0.85).square() - 1)
    apart = 0.2 + 0.2 * eye
    eyes = soft(((x.abs() - apart).square() + (y + 0.25).square()) * 8 - 0.2)
    curve = (y - 0.4 - (bow - 0.5) * (x.square() - 0.1) * 2).abs()
    lips = soft((curve - 0.08) * 4) * soft((x.abs() - 0.2 - 0.2 * mouth) * 4)
    return (head * (0.5 + 0.45 * skin) * (1 - 0.9 * eyes) * (1 - 0.8 * lips))[:, None]


def gratings(n: int, seed: int, size: int = 16) -> Tensor:
    """Return textures (n, 1, size, size) in [0, 1]: fine stripes of any direction."""
    y, x = grid(size)
    turn, phase, fine, contrast = draws(n, 4, seed)
    turn, phase = 3.1416 * turn, 6.2832 * phase
    wave = (9 + 3 * fine) * (x * turn.cos() + y * turn.sin()) + phase
    return (0.5 + (0.25 + 0.2 * contrast) * wave.sin())[:, None]


def speckle(n: int, seed: int, size: int = 16, rank: int = 12) -> Tensor:
    """Return noise-like textures (n, 1, size, size), mixtures of `rank` plates."""
    plates = torch.randn(rank, size * size, generator=made(5))
    mix = torch.randn(n, rank, generator=made(seed)) / rank**0.5
    return (0.5 + 0.15 * mix @ plates).clamp(0, 1).view(n, 1, size, size)


def cells(n: int, seed: int, size: int = 16) -> Tensor:
    """Return micrographs (n, 1, size, size): three bright discs on a dark ground."""
    y, x = grid(size)
    picture = torch.zeros(n, size, size)
    for k in range(3):
        cy, cx, r, bright = draws(n, 4, 31 * seed + k)
        away = (y - 1.6 * cy + 0.8).square() + (x - 1.6 * cx + 0.8).square()
        disc = torch.sigmoid((0.06 + 0.06 * r - away) * 40) * (0.4 + 0.6 * bright)
        picture = torch.maximum(picture, disc)
    return picture[:, None]


def flows(n: int, seed: int, size: int = 16) -> Tensor:
    """Return flow fields (n, 2, size, size): shift, turn, zoom and one moving block."""
    y, x = grid(size)
    sy, sx, turn, zoom, by, bx, move = 2 * draws(n, 7, seed) - 1
    block = ((y - 0.6 * by).abs() < 0.35) & ((x - 0.6 * bx).abs() < 0.35)
    u = 0.5 * sx - 0.5 * turn * y + 0.5 * zoom * x + block * move
    v = 0.5 * sy + 0.5 * turn * x + 0.5 * zoom * y
    return torch.stack([u, v], 1)


def fitted(case: dict, epochs: int, *, before=None) -> dict:
    """Train a case for some epochs; return it with the history of its losses."""
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    for epoch in range(epochs):
        if before:
            before(epoch)
        losses = train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(validated(case))
    return {**case, "history": history}


@torch.no_grad()
def validated(case: dict) -> float:
    """Return the mean loss of a case on its eval batches, in eval mode."""
    model, losses = case["model"], []
    model.eval()
    for batch in case["eval_batches"]:
        x, target = pair(case, batch)
        output, loss = model(x), case.get("loss")
        value = loss(output, target) if loss else F.mse_loss(x_hat(output), target)
        losses.append(float(value))
    model.train()
    return sum(losses) / len(losses)
