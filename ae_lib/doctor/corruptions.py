"""Whether a corruption is where it should be: on the input, and only there."""

import torch

from . import noise
from .linear import components
from .rows import neighbours
from .sample import main_tensor, tensors_in


def wrong_target(case, statistic, value, threshold, where, why_not, remedy, **more):
    """Add the finding `data.target`; return True."""
    case.find(
        "data.target",
        "error",
        {
            "statistic": statistic,
            "value": value,
            "threshold": threshold,
            "where": where,
            **more,
        },
        why_not,
        remedy,
        "The loss compares the output with the clean image it should return, and the "
        "reconstruction error falls below that of the mean image.",
    )
    return True


def roughness(case, values):
    """Return the share of variance in noise-like detail, between 0 and 1."""
    shape = case.picture_shape
    total = (values - values.mean(0)).double().square().mean().item() + 1e-12
    if shape is None or values[0].numel() != torch.Size(shape).numel():
        _, _, values_ = components(values, 64)
        return max(0.0, 1 - values_.sum().item() / (total * values[0].numel()))
    v = values.reshape(-1, *shape)[:256].double()
    if shape[2] in (1, 3, 4) and shape[0] > 4:
        v = v.permute(0, 3, 1, 2)
    down = v[:, :, 1:] - v[:, :, :-1]
    cross = (down[..., 1:] - down[..., :-1]).square().mean().item() / 4
    return cross / total


def white(case, rest):
    """Tell whether neighbouring pixels of a difference have nothing in common."""
    shape = case.picture_shape
    if shape is None or rest[0].numel() != torch.Size(shape).numel():
        return True
    down, across = neighbours(rest.reshape(-1, *shape)[:256])
    return abs(down) < 0.25 and abs(across) < 0.25


def at_edges(case, x, rest):
    """Tell whether a difference lies where the image has edges, as lost detail does.

    Noise is as large on plain areas. On pictures only.
    """
    shape = case.picture_shape
    if shape is None or rest[0].numel() != torch.Size(shape).numel():
        return False
    v, d = (w.reshape(-1, *shape)[:256].double() for w in (x, rest))
    slope = sum(
        torch.diff(v, dim=dim).abs().narrow(5 - dim, 0, v.shape[5 - dim] - 1)
        for dim in (2, 3)
    )
    size = d[:, :, :-1, :-1].abs()
    both = torch.stack([slope.flatten(), size.flatten()])
    return torch.corrcoef(both)[0, 1].item() > 0.3


def both_sides(case, x, t):
    """Find a corruption in a target that is compared with itself."""
    with case.program.trial():
        goal = main_tensor(case.program.pair(case.batch)[1]).float().cpu()
    for part in tensors_in(case.batch):
        if part.shape != goal.shape or not part.is_floating_point():
            continue
        other = part.float().cpu()
        share = corrupted(case, other, goal)
        if not share and spoiled(other, goal):  # too few samples to tell what is rough
            share = ((goal - other).var() / goal.var().clamp(min=1e-12)).item()
        if share > case.limits["target.noise"]:
            return _in_target(case, share, "what pair returns, against the batch")
        share = corrupted(case, goal, other)
        if share > case.limits["target.noise"]:
            return wrong_target(
                case,
                "difference between input and target",
                0.0,
                "above 0",
                "the batch holds a corrupted image, pair gives the clean one twice",
                "Not a plain autoencoder: a corruption was made "
                f"({share:.0%} of the variance), and the model never sees it.",
                "pair = lambda batch: (noisy, clean)  # the corrupted one is the input",
            )
    if case.evaluated is None or not case.evaluated.targets:
        return False
    ours, theirs = roughness(case, t), roughness(case, case.evaluated.t)
    if not ours > 3 * theirs + case.limits["target.noise"]:
        return False
    return _in_target(case, ours, "target, against the target of eval_batches")


def _in_target(case, share, where):
    return wrong_target(
        case,
        "corruption of the target, share of its variance",
        share,
        case.limits["target.noise"],
        where,
        "Not the input alone: input and target are the same corrupted image, so "
        "copying the corruption is rewarded.",
        "loss = loss_fn(model(noisy), clean)  # the target stays clean: clone() first",
    )


def corrupted(case, clean, other):
    """Return the share of `other` that is a corruption of `clean`, else 0.

    It is one if what `clean` does not explain is rough and white, as noise is, or if
    all changed values were replaced by one and the same, as a mask does. An image
    drawn dot by dot from its grey levels is a sample, not a corruption.
    """
    a, b = (v.double().flatten() - v.double().mean() for v in (clean, other))
    if torch.equal(clean, other) or not a.any():
        return 0.0
    rest = b - (a @ b) / (a @ a) * a
    share = (rest.square().sum() / b.square().sum().clamp(min=1e-20)).item()
    few = len(other.unique()) <= 2 < len(clean.unique())
    rougher = roughness(case, other) > 1.1 * roughness(case, clean)
    if (a @ b) ** 2 > 0.01 * (a @ a) * (b @ b) and rougher and not few:
        if white(case, rest.reshape(clean.shape)):
            return share
    changed = clean != other
    part = changed.double().mean().item()
    fill = other[changed]
    if not 0.01 < part < 0.95 or clean[changed].std() < 1e-6 or few:
        return 0.0
    same = (fill == fill.median()).double().mean().item()
    return max(share, part) if same > 0.95 else 0.0


def spoiled(raw, given):
    """Return the share of values changed by holes or white noise, 0.0 otherwise.

    Units, crops and flips change an image as a whole: they are no corruption.
    """
    changed = given != raw
    share = changed.double().mean().item()
    if not 0.01 < share:
        return 0.0
    if share < 0.95:
        values = given[changed]
        return share if len(values.unique()) <= 2 else 0.0
    added = (given - raw).double().flatten(1)
    clean = raw.double().flatten(1)
    clean = clean - clean.mean(0)
    if added.std() < 0.02 * raw.std():
        return 0.0

    def alike(a, b):
        return abs((a * b).mean().item()) / (a.std() * b.std() + 1e-12).item()

    white = alike(added[:, 1:], added[:, :-1]) < 0.1 and alike(added, clean) < 0.1
    return share if white else 0.0


def is_noise(case, x, t):
    """Report a target that is the noise on the input, as a residual learner's is."""
    a, b = (v.flatten(1).double()[:768] for v in (x, t))
    a, b = a - a.mean(0), b - b.mean(0)
    slope = ((a * b).sum() / b.square().sum().clamp(min=1e-20)).item()
    common = slope**2 * b.square().sum() / a.square().sum().clamp(min=1e-20)
    if len(a) < 48 or not 0.002 < common < 0.98:
        return False
    maker = torch.Generator().manual_seed(0)
    order = torch.rand(b.shape, generator=maker).argsort(0)
    chance = noise.share_of_few(b.gather(0, order))
    found = [noise.share_of_few(v) for v in (b, a, a - slope * b)]
    if found[0] > 1.5 * chance + 0.02 or found[2] < found[1] + 0.01:
        return False
    if found[2] < 2 * chance + 0.1 or not white(case, t):
        return False
    return wrong_target(
        case,
        "variance in 8 components: target, input, input less target",
        [round(v, 3) for v in found],
        "target above chance",
        "target",
        "Not a hard task: the target has no structure at all, and the input without "
        "it has more, so the target is the noise and not the image.",
        "loss = loss_fn(model(noisy), clean)  # or show noisy - model(noisy)",
    )


def unused(case, x):
    """Find a corruption that is drawn but never reaches the input."""
    if case.program.given_pair is None:
        return False
    with case.program.trial():
        before = torch.get_rng_state()
        source, goal = case.program.pair(case.batch)
        drew = not torch.equal(before, torch.get_rng_state())
    raw = main_tensor(case.batch)
    source, goal = main_tensor(source), main_tensor(goal)
    if not drew or raw.shape != source.shape or not torch.equal(source, goal):
        return False
    if not torch.equal(raw, source):
        return False
    return wrong_target(
        case,
        "difference between input and target",
        0.0,
        "above 0",
        "pair(batch) draws random numbers and returns the batch unchanged",
        "Not a plain autoencoder: noise is drawn, but the model never sees it.",
        "pair = lambda x: (x + sigma * torch.randn_like(x), x)",
    )
