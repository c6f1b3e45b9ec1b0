"""Whether the target is what the network should return, and can be inferred."""

import torch

from . import noise
from .corruptions import (
    at_edges,
    both_sides,
    is_noise,
    roughness,
    unused,
    white,
    wrong_target,
)
from .linear import likeness, linear_r2
from .order import REPEATED
from .sample import main_tensor


def check(case):
    """Look for labels, wrong shapes, wrong pairs, noisy targets, unused noise."""
    case.did("data.target")
    if case.sample.trouble is not None:
        problem = case.sample.trouble
        wrong_target(
            case,
            "pair raised",
            f"{type(problem).__name__}: {problem}",
            "no error",
            "pair(batch)",
            "Not the model: the error occurs before it runs.",
            "pair = lambda batch: (batch[0], batch[0])",
        )
        return
    if not case.sample.raw:
        return
    try:
        x, t = case.x, case.t
    except RuntimeError:
        case.skip("samples differ in shape", "data.target")
        return
    if _shape(case, x, t):
        return
    if x.shape == t.shape and x.ndim > 1:
        if not torch.allclose(x, t):
            _related(case, x, t)
        elif not unused(case, x) and not both_sides(case, x, t):
            noise.kept_for_dropped(case)
            if not case.has("noise.too-strong"):
                noise.inside(case)


def _shape(case, x, t):
    """Compare the target's shape with the output's."""
    if case.out is None or case.out.x_hat is None:
        got = list(x.shape[1:])
    else:
        got = list(case.out.x_hat.shape[1:])
    want = list(t.shape[1:])
    if got == want:
        return False
    width = torch.Size(got).numel()
    if torch.Size(want).numel() != width:
        labels = t.ndim == 1 or torch.Size(want).numel() <= max(1, width // 8)
        return wrong_target(
            case,
            "shape of one target",
            want,
            got,
            "target",
            "Not the architecture: the target is "
            + ("a label, not an image." if labels else "of another size."),
            "loss = loss_fn(x_hat, x)  # compare with the input"
            if labels
            else f"make output and target agree: {got} against {want}",
        )
    try:
        with case.program.trial(), torch.no_grad():
            out = case.program.forward(case.source)
            goal = main_tensor(case.pair[1])
            perfect = goal.reshape(out.x_hat.shape).to(out.x_hat)
            other = perfect.roll(1, 0)
            raw = case.program.replaced(out.raw, x_hat=perfect)
            value = float(case.program.loss_of(raw, goal))
            raw = case.program.replaced(out.raw, x_hat=other)
            swapped = float(case.program.loss_of(raw, goal))
    except Exception as problem:
        return wrong_target(
            case,
            "loss raised",
            f"{type(problem).__name__}: {problem}",
            f"output {got}",
            f"target {want}",
            "Not the values: the shapes differ, although they hold as many numbers.",
            "loss = loss_fn(x_hat.flatten(1), x.flatten(1))",
        )
    if abs(swapped - value) <= 1e-4 * abs(value):
        return wrong_target(
            case,
            "loss with the outputs given to the wrong samples, over the right ones",
            swapped / value if value else 1.0,
            "clearly above 1",
            f"output {got} against target {want}",
            "Not a weak model: the shapes broadcast, so that every output is compared "
            "with every target.",
            "loss = loss_fn(x_hat.flatten(1), x.flatten(1))",
        )
    return False


def own_against_others(x, t):
    """Return the z-score by which x_i resembles t_i more than t_j."""
    x = x.flatten(1).double() - x.flatten(1).double().mean(0)
    t = t.flatten(1).double() - t.flatten(1).double().mean(0)
    n = len(x)
    table = x @ t.T
    own = table.diagonal().sum()
    others = torch.stack([table.roll(s, 1).diagonal().sum() for s in range(1, n)])
    return ((own - others.mean()) / (others.std() + 1e-12)).item()


def _related(case, x, t):
    """Judge a denoiser's pairs."""
    case.did("noise.too-strong")
    if x.ndim == 3 and any(torch.equal(t, x.flip(d)) for d in (1, 2)):
        return  # series to be written backwards, as recurrent decoders often do
    if _ignores_order(case):
        return  # a bag of points, shown in any order
    if is_noise(case, x, t):
        return
    z = own_against_others(x[:768], t[:768])
    limits = case.limits
    case.measured["target.pair"] = z
    vary = min(x.std(), t.std()) > 1e-6 and len(x) > 15
    if z < limits["target.pair"] and vary and likeness(x, t) < 0.3:
        if noise.drowned(case, x, t, z):
            return
        _excuse_repeats(case)
        rolled = max(own_against_others(x[:256], t[:256].roll(s, 0)) for s in (-1, 1))
        wrong_target(
            case,
            "z-score by which an input resembles its own target",
            z,
            limits["target.pair"],
            "input and target",
            "Not strong noise: averaged over all pixels and pairs, an input is no "
            f"nearer to its own target than to others (shifted by one: {rolled:.1f}).",
            "permute both alike: order = torch.randperm(len(x)); "
            "x, target = x[order], target[order]",
        )
        return
    if _moved(case, x, t):
        return
    r2 = linear_r2(x, t)
    case.measured["noise.r2"] = r2
    rough_x, rough_t = roughness(case, x), roughness(case, t)
    case.measured["roughness"] = [rough_x, rough_t]
    noisier = rough_t > 1.5 * rough_x + 0.03 and white(case, t - x)
    if noisier and not at_edges(case, x, t - x):
        wrong_target(
            case,
            "fine-grained noise in the target, share of its variance",
            rough_t,
            rough_x,
            "target (second), against the input",
            "Not a hard task: the input is the cleaner of the two, so they are "
            "exchanged.",
            "loss = loss_fn(model(noisy), clean)  # input noisy, target clean",
        )
    elif r2 < limits["noise.r2"]:
        noise.report(
            case,
            x,
            t,
            r2,
            f"Not wrong pairs: inputs do resemble their own targets (z = {z:.0f}).",
        )


def _excuse_repeats(case):
    """Take back that samples repeat, where only targets do that belong to no input."""
    seen, count = len(case.sample.inputs_seen), case.sample.count
    if seen >= case.limits["order.distinct"] * count:
        case.findings = [
            f
            for f in case.findings
            if (f.code, f.evidence["statistic"]) != ("data.order", REPEATED)
        ]


def _ignores_order(case):
    """Tell whether the answer stays as it is when parts of the input change places."""
    source = case.source
    if not torch.is_tensor(source) or source.ndim < 3 or case.traced is None:
        return False
    maker = torch.Generator().manual_seed(0)
    with case.program.trial(False), torch.no_grad():
        answer = case.program.forward(source).x_hat
        spread = answer.float().var(0).mean().sqrt().item()
        for axis in range(1, source.ndim):
            if source.shape[axis] < 4 or not spread > 0:
                continue
            order = torch.randperm(source.shape[axis], generator=maker)
            mixed = source.index_select(axis, order.to(source.device))
            moved = case.program.forward(mixed).x_hat
            if (moved - answer).abs().max().item() < 1e-3 * spread:
                return True
    return False


def _moved(case, x, t):
    """Report inputs that hold the pixels of their targets in other places.

    Only some of them, so that pairs on the whole still belong together: a flip or a
    turn that was applied to the input alone.
    """
    a, b = x[:512].flatten(1), t[:512].flatten(1)
    equal = torch.isclose(a, b, atol=1e-6).all(1)
    same = torch.isclose(a.sort(1).values, b.sort(1).values, atol=1e-6).all(1)
    moved = (same & ~equal).double().mean().item()
    if moved < 0.1:
        return False
    return wrong_target(
        case,
        "share of inputs that hold their target's pixels in other places",
        moved,
        0.1,
        "input against target",
        "Not noise: no value is new, they stand elsewhere, as after a flip or a turn "
        "of the input alone.",
        "transform once, then split: x = augment(x); x_hat = model(x); "
        "loss = loss_fn(x_hat, x)",
    )
