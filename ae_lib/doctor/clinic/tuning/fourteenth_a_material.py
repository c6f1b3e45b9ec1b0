"""Tenth part, a: small data of many kinds, the same for each seed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ae_lib.doctor.clinic import measures


def made(seed: int) -> torch.Generator:
    """Return a generator of random numbers with its own seed."""
    return torch.Generator().manual_seed(seed)


def _uniform(rng, *shape, low=0.0, high=1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=rng)


def _grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    return torch.meshgrid(rows, columns, indexing="ij")


def beats(n: int = 768, seed: int = 0, t: int = 64) -> Tensor:
    """Return heart beats (n, t): five waves of random height, place and width."""
    rng = made(seed)
    time = torch.linspace(0, 1, t)
    x = torch.zeros(n, t)
    shape = ((0.2, 0.15, 0.04), (0.37, -0.15, 0.02), (0.42, 1.0, 0.025))
    for centre, height, width in (*shape, (0.48, -0.25, 0.02), (0.7, 0.35, 0.06)):
        place = centre + _uniform(rng, n, 1, low=-0.04, high=0.04)
        tall = height * _uniform(rng, n, 1, low=0.6, high=1.4)
        wide = width * _uniform(rng, n, 1, low=0.8, high=1.3)
        x += tall * torch.exp(-0.5 * ((time - place) / wide).square())
    return x + 0.02 * torch.randn(n, t, generator=rng)


def spectra(n: int = 768, seed: int = 0, d: int = 96) -> tuple[Tensor, Tensor]:
    """Return absorption spectra (n, d) of mixed substances, and the main substance."""
    rng, fixed = made(seed), made(7)
    axis = torch.linspace(0, 1, d)
    pure = torch.zeros(5, d)
    for substance in pure:
        for _ in range(3):
            centre = _uniform(fixed, 1, low=0.1, high=0.9)
            width = _uniform(fixed, 1, low=0.02, high=0.05)
            tall = _uniform(fixed, 1, low=0.3, high=1.0)
            substance += tall * torch.exp(-0.5 * ((axis - centre) / width).square())
    main = torch.randint(5, (n,), generator=rng)
    shares = 0.6 * torch.rand(n, 5, generator=rng).square()
    shares[torch.arange(n), main] += _uniform(rng, n, low=0.6, high=1.0)
    x = 1 - torch.exp(-shares @ pure)  # saturates, as absorption does
    return (x + 0.005 * torch.randn(n, d, generator=rng)).clamp(0, 1), main


def sensors(n: int = 768, seed: int = 0, t: int = 24, c: int = 4) -> Tensor:
    """Return windows (n, t, c) of a machine's channels that hang together."""
    rng, fixed = made(seed), made(11)
    time = torch.linspace(0, 1, t)[None, :, None]
    mix = torch.randn(3, c, generator=fixed)
    pace = _uniform(rng, n, 1, 3, low=0.5, high=1.5)
    phase = _uniform(rng, n, 1, 3)
    tall = _uniform(rng, n, 1, 3, low=0.4, high=1.2)
    causes = tall * torch.sin(2 * torch.pi * (pace * time + phase))
    x = causes @ mix + 0.05 * torch.randn(n, t, c, generator=rng)
    return (x - x.mean((0, 1))) / x.std((0, 1))


def masks(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return masks (n, 1, size, size) of 0 and 1: one ellipse or one box each."""
    rng = made(seed)
    y, x = _grid(size, size)
    cy, cx = (_uniform(rng, n, 1, 1, low=-0.4, high=0.4) for _ in range(2))
    ry, rx = (_uniform(rng, n, 1, 1, low=0.3, high=0.6) for _ in range(2))
    far = torch.stack(((y - cy) / ry, (x - cx) / rx))  # (2, n, size, size)
    round_ = far.square().sum(0) < 1
    boxed = far.abs().amax(0) < 0.9
    kind = torch.rand(n, 1, 1, generator=rng) < 0.5
    return torch.where(kind, round_, boxed).float()[:, None]


def landscapes(n: int = 768, seed: int = 0, h: int = 16, w: int = 16) -> Tensor:
    """Return colour landscapes (n, 3, h, w): blue sky, a sun, brown hills."""
    rng = made(seed)
    y, x = _grid(h, w)

    def draw(low, high):
        return _uniform(rng, n, 1, 1, low=low, high=high)

    rise = 0.35 * torch.sin(draw(1, 3) * x + draw(0, 6.3)) + draw(-0.2, 0.5)
    ground = torch.sigmoid(10 * (y - rise))[:, None]  # (n, 1, h, w)
    light = draw(0.55, 1.0)[:, None]
    sky = torch.stack([0.45 - 0.2 * y, 0.62 - 0.15 * y, 0.95 + 0 * y])[None] * light
    green = draw(0.3, 0.6)
    soil = torch.stack([draw(0.4, 0.6), green, draw(0.05, 0.2)], 1) * light
    soil = soil * (0.8 + 0.2 * y)
    far = (y - draw(-0.9, -0.4)).square() + (x - draw(-0.8, 0.8)).square()
    sun = (
        torch.exp(-far / 0.08)[:, None] * torch.tensor([0.5, 0.4, -0.3])[:, None, None]
    )
    picture = (1 - ground) * (sky + sun) + ground * soil
    return (picture + 0.01 * torch.randn(n, 3, h, w, generator=rng)).clamp(0, 1)


def spots(n: int = 768, seed: int = 0, size: int = 16, number: int = 2) -> Tensor:
    """Return grey images (n, 1, size, size) of soft spots on a grey ground."""
    rng = made(seed)
    y, x = _grid(size, size)
    picture = _uniform(rng, n, 1, 1, low=0.1, high=0.3) + 0 * y
    for _ in range(number):
        cy, cx = (_uniform(rng, n, 1, 1, low=-0.7, high=0.7) for _ in range(2))
        wide = _uniform(rng, n, 1, 1, low=0.2, high=0.4)
        far = ((y - cy).square() + (x - cx).square()) / (2 * wide.square())
        tall = _uniform(rng, n, 1, 1, low=0.3, high=0.6)
        picture = picture + tall * torch.exp(-far)
    return picture.clamp(0, 1)[:, None]


def counts(n: int = 768, seed: int = 0, words: int = 60) -> tuple[Tensor, Tensor]:
    """Return word counts (n, words) of short texts about six topics, and the topic."""
    rng, fixed = made(seed), made(13)
    topics = torch.rand(6, words, generator=fixed).pow(6)
    topics = topics / topics.sum(1, keepdim=True)
    main = torch.randint(6, (n,), generator=rng)
    share = 0.5 * torch.rand(n, 6, generator=rng).square() + 2.5 * F.one_hot(main, 6)
    share = share / share.sum(1, keepdim=True)
    length = _uniform(rng, n, 1, low=80, high=200)
    return torch.poisson(length * (share @ topics), generator=rng), main


def outlines(n: int = 768, seed: int = 0, points: int = 20) -> Tensor:
    """Return closed outlines (n, points, 2) in the order of the angle."""
    rng = made(seed)
    angle = torch.arange(points) * (2 * torch.pi / points)
    radius = 1 + 0 * angle.expand(n, -1)
    for k in (2, 3):
        tall = _uniform(rng, n, 1, low=0.0, high=0.35)
        phase = _uniform(rng, n, 1, low=0.0, high=6.283)
        radius = radius + tall * torch.cos(k * angle + phase)
    radius = radius * _uniform(rng, n, 1, low=0.4, high=0.9)
    x = torch.stack([radius * angle.cos(), radius * angle.sin()], 2)
    shift = _uniform(rng, n, 1, 2, low=-0.3, high=0.3)
    return x + shift + 0.01 * torch.randn(n, points, 2, generator=rng)


def clients(n: int = 1024, seed: int = 0) -> Tensor:
    """Return a table (n, 12) in raw units: years, euros, shares, visits and so on."""
    rng, fixed = made(seed), made(17)
    causes = torch.randn(n, 3, generator=rng)
    mix = torch.randn(3, 12, generator=fixed)
    bent = causes @ mix + 0.5 * (causes.square() - 1) @ torch.randn(
        3, 12, generator=fixed
    )
    bent = bent + 0.2 * torch.randn(n, 12, generator=rng)
    bent = bent / bent.std(0)
    spread = [12, 9000, 0.1, 4, 2500, 0.02, 30, 1.5, 700, 0.3, 8, 15000]
    middle = [45, 38000, 0.4, 9, 6000, 0.05, 80, 3, 2100, 1.2, 20, 52000]
    return bent * torch.tensor(spread) + torch.tensor(middle)


def columns(x: Tensor) -> Tensor:
    """Return x with every column of mean 0 and deviation 1."""
    return (x - x.mean(0)) / x.std(0)


def column_r2(case: dict) -> float:
    """Return the mean over columns of 1 - MSE / variance, each at least -1."""
    _, target, picture = measures.outputs(case)
    error = (picture.reshape(target.shape) - target).square().mean(0)
    return (1 - error / target.var(0)).clamp(min=-1).mean().item()


def waves_of_kinds(n: int = 768, seed: int = 0, d: int = 48) -> tuple[Tensor, Tensor]:
    """Return windows (n, d) of four patterns on a strong drift, and the pattern."""
    rng = made(seed)
    time = torch.linspace(-1, 1, d)
    kind = torch.randint(4, (n,), generator=rng)
    phase = _uniform(rng, n, 1, high=1.0)
    angle = 2 * torch.pi * time + phase
    shapes = [angle.sin(), (2 * angle).sin(), angle.sin().sign(), angle.cos().abs()]
    pattern = torch.stack(shapes, 1)[torch.arange(n), kind]  # (n, d)
    pattern = pattern * _uniform(rng, n, 1, low=0.8, high=1.2)
    offset, slope, bend = (torch.randn(n, 1, generator=rng) for _ in range(3))
    x = 0.3 * pattern + 2 * offset + 2 * slope * time + 0.5 * bend * time.square()
    x = x + 0.03 * torch.randn(n, d, generator=rng)
    return (x - x.mean()) / x.std(), kind


def cells(n: int = 512, seed: int = 0, size: int = 20) -> Tensor:
    """Return colour images (n, 3, size, size) of soft cells of two stains."""
    tints = torch.rand(2, n, 3, 1, 1, generator=made(seed))
    grey = [spots(n, 1000 * k + seed, size) for k in (1, 2)]
    return (0.6 * (grey[0] * tints[0] + grey[1] * tints[1])).clamp(0, 1)


def fit(case: dict, held_back: list, epochs: int) -> dict[str, list[float]]:
    """Train a case for some epochs and return the mean losses of each epoch."""
    history: dict[str, list[float]] = {"train_loss": [], "val_loss": []}
    model, loss = case["model"], case.get("loss", F.mse_loss)
    for _ in range(epochs):
        losses = measures.train(case, len(case["batches"]))
        history["train_loss"].append(sum(losses) / len(losses))
        model.eval()
        with torch.no_grad():
            pairs = [measures.pair(case, batch) for batch in held_back]
            found = [float(loss(model(x), target)) for x, target in pairs]
        history["val_loss"].append(sum(found) / len(found))
        model.train()
    return history


def galaxies(n: int = 768, seed: int = 0, size: int = 16) -> Tensor:
    """Return grey images (n, 1, size, size) of one tilted soft disc each on black."""
    rng = made(seed)
    y, x = _grid(size, size)

    def draw(low, high):
        return _uniform(rng, n, 1, 1, low=low, high=high)

    tilt, dy, dx = draw(0, 3.14), draw(-0.3, 0.3), draw(-0.3, 0.3)
    along = (y - dy) * tilt.cos() + (x - dx) * tilt.sin()
    across = (x - dx) * tilt.cos() - (y - dy) * tilt.sin()
    far = (along / draw(0.3, 0.45)).square() + (across / draw(0.15, 0.25)).square()
    noise = 0.01 * torch.randn(n, size, size, generator=rng)
    return (draw(0.5, 1.0) * torch.exp(-far / 2) + noise).clamp(0, 1)[:, None]
