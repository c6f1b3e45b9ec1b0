"""What the checks of exercises are made of: comparisons that name a mistake."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import traceback
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


class Wrong(Exception):
    """What is wrong with an answer, in one or two plain sentences."""


def hint(text: str) -> Callable[[Callable], Callable]:
    """Give a check the figure to expect, which a reader sees before trying."""

    def keep(check: Callable) -> Callable:
        check.hint = text
        return check

    return keep


def expect(holds: bool, text: str) -> None:
    """Raise Wrong with this text unless a condition holds.

    >>> expect(1 + 1 == 2, "one and one are two")
    """
    if not holds:
        raise Wrong(text)


def number(value: object, what: str) -> float:
    """Return the plain number in an answer, or raise Wrong, naming what it is.

    >>> number(torch.tensor(3), "the size")
    3
    """
    _returned(value, what)
    try:
        value = value.item()  # of torch and of NumPy
    except AttributeError:
        pass
    except (RuntimeError, ValueError):
        raise Wrong(f"{what} should be one number, got {kind(value)}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"{what} should be a number, got {kind(value)}")
    expect(value == value, f"{what} is NaN, not a number")
    return value


def tensor(value: object, shape: tuple[int, ...], what: str) -> Tensor:
    """Return an answer that is a tensor of this shape, or raise Wrong.

    >>> tensor(torch.zeros(2, 3), (2, 3), "the code").shape
    torch.Size([2, 3])
    """
    _returned(value, what)
    expect(isinstance(value, Tensor), f"{what} should be a tensor, got {kind(value)}")
    expect(
        tuple(value.shape) == tuple(shape),
        f"{what} has shape {size(value)}, expected {size(shape)}",
    )
    expect(not value.isnan().any(), f"{what} holds NaN")
    return value.detach()


def sequence(value: object, n: int, what: str) -> list:
    """Return the n things in an answer, a tuple or a list, or raise Wrong.

    >>> sequence((3, 4), 2, "the answer")
    [3, 4]
    """
    _returned(value, what)
    if not isinstance(value, tuple | list) or len(value) != n:
        raise Wrong(f"{what} should be {n} things, (a, b), got {kind(value)}")
    return list(value)


def _returned(value: object, what: str) -> None:
    expect(value is not None, f"{what} is None: is a `return` missing?")


def kind(value: object) -> str:
    """Name an answer that is not what it should be.

    >>> kind(torch.zeros(2, 3)), kind([1, 2]), kind(0.5), kind("a")
    ('a tensor of shape 2×3', 'a list of 2', '0.5', 'str')
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {size(value)}"
    if isinstance(value, list | tuple | set | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int | float):
        return show(value)
    return type(value).__name__


def size(shape: Tensor | Iterable[int]) -> str:
    """Write a shape as people do.

    >>> size((3, 32, 32)), size(torch.zeros(5)), size(())
    ('3×32×32', '(5,)', '()')
    """
    shape = tuple(shape.shape) if isinstance(shape, Tensor) else tuple(shape)
    return "×".join(map(str, shape)) if len(shape) > 1 else str(shape)


def show(value: float) -> str:
    """Write a number with four digits, a whole one with all of its own.

    >>> show(0.123456), show(1792), show(2.0)
    ('0.1235', '1,792', '2')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def same(a: object, b: object, tol: float = 1e-3) -> bool:
    """Say whether two numbers or tensors agree, relative to the largest of b.

    >>> same(0.33333, 1 / 3), same(torch.ones(2), torch.ones(3))
    (True, False)
    """
    a = torch.as_tensor(a).detach().double()
    b = torch.as_tensor(b).detach().double()
    if a.shape != b.shape:
        return False
    scale = b.abs().max().item() if b.numel() else 0.0
    return bool(((a - b).abs() <= tol * max(scale, 1e-6)).all())


def compare(value: object, right: object, mistakes: dict, otherwise: str) -> None:
    """Raise Wrong unless a value is right, with the mistake that explains it.

    `mistakes` maps a sentence to the value that this mistake would give. A value that
    none explains gets the sentence `otherwise`, and both numbers.

    >>> compare(0.5, 0.5, {}, "the mean is off")
    >>> compare(2.0, 0.5, {"it is upside down": 2.0}, "the ratio is off")
    Traceback (most recent call last):
    ae_lib.exercises.judge.Wrong: it is upside down
    """
    if same(value, right):
        return
    for text, mistaken in mistakes.items():
        if same(value, mistaken):
            raise Wrong(text)
    value, right = torch.as_tensor(value), torch.as_tensor(right)
    if right.numel() == 1 == value.numel():
        otherwise += f": expected {show(right.item())}, got {show(value.item())}"
    raise Wrong(otherwise)


# ------------------------------------------------------------- the reader's own code


def functions(answer: object) -> list:
    """List the functions that an answer consists of: itself, or a class's methods."""
    parts = vars(answer).values() if isinstance(answer, type) else [answer]
    parts = [inspect.unwrap(part) for part in parts if callable(part)]
    return [part for part in parts if hasattr(part, "__code__")]


def is_unfilled(answer: object) -> bool:
    """Say whether an answer still holds a `...` where code should be."""
    return any(_has_gap(part) for part in functions(answer))


def _has_gap(function: Callable) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False  # no source at hand: judge what it does
    statements = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return)
    return any(
        isinstance(node, statements)
        and isinstance(node.value, ast.Constant)
        and node.value.value is ...
        for node in ast.walk(tree)
    )


def complaint(error: BaseException, answer: object) -> str:
    """Say in one sentence how the reader's code stopped, and in which line."""
    if isinstance(error, KeyboardInterrupt):
        return "Stopped before it came to an end. Is there a loop that has none?"
    name = type(error).__name__
    said = f"{name}: {_short(error)}" if _short(error) else name
    files = {part.__code__.co_filename for part in functions(answer)}
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if frame.filename in files]
    if not lines:
        return f"Your answer cannot be used as the text asks ({said})."
    return f"Your code stopped in line {lines[-1].lineno}, `{lines[-1].line}` ({said})."


def _short(error: BaseException, most: int = 160) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # a reader's own exception may fail at this as well
        return ""
    return text if len(text) <= most else text[: most - 1] + "…"


# ------------------------------------------------------------------- a broken program


def diagnosis(answer: object) -> tuple[Callable, Callable, Callable]:
    """Return the three parts of a class Diagnosis, or raise Wrong: one is missing."""
    expect(isinstance(answer, type), "keep the class, and give it to the check itself")
    one = answer()
    parts = [getattr(one, name, None) for name in ("cause", "measure", "repair")]
    expect(all(map(callable, parts)), "the class needs cause, measure and repair")
    return tuple(parts)


def hold_cause(value: object, right: str, against: dict[str, Callable]) -> None:
    """Raise Wrong unless a cause is the right one, with what speaks against it.

    `against` maps each look-alike to a function that measures, and returns the
    sentence.

    >>> hold_cause("data.order", "data.order", {})
    >>> hold_cause("code.too-small", "data.order", {"code.too-small": lambda: "no"})
    Traceback (most recent call last):
    ae_lib.exercises.judge.Wrong: not code.too-small: no
    """
    from ae_lib.doctor.reasoning import ORDER  # the doctor's words

    _returned(value, "the cause")
    if not isinstance(value, str) or value not in ORDER:
        said = repr(value) if isinstance(value, str) else kind(value)
        raise Wrong(
            f"{said} is none of the doctor's words. The last column of "
            "chapters/diagnosis.md lists them, such as `step.too-small`"
        )
    expect(
        value != "fit.mean-image",
        "fit.mean-image is what one sees, the symptom; name what causes it",
    )
    if value in against:
        raise Wrong(f"not {value}: {against[value]()}")
    expect(
        value == right,
        f"not {value}: no measurement of this page shows it in this program",
    )


def hold_apart(patients: list, others: dict[str, list]) -> None:
    """Raise Wrong unless a number lies apart for patients and for all the others.

    `others` maps whose numbers they are to the numbers, the healthy ones first. Apart
    means: on the same side as the healthy ones, and further than the numbers of either
    group differ among themselves, as numbers or by their logarithms.

    >>> hold_apart([9.0, 8.5], {"a healthy one": [1.0, 2.0]})
    >>> hold_apart([9.0, 8.5], {"a healthy one": [1.0, 8.6]})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ae_lib.exercises.judge.Wrong: your number is 8.5 here and 8.6 for a healthy one: ...
    """
    patients = [number(value, "your number") for value in patients]
    above = None
    for whose, values in others.items():
        values = [number(value, f"for {whose} your number") for value in values]
        if above is None:
            above = sum(patients) / len(patients) > sum(values) / len(values)
        if not (
            _apart(patients, values, above) or _apart(*_logs(patients, values), above)
        ):
            near = (
                (min(patients), max(values)) if above else (max(patients), min(values))
            )
            raise Wrong(
                f"your number is {show(near[0])} here and {show(near[1])} for {whose}: "
                "it does not tell the two apart"
            )


def _apart(patients: list, others: list, above: bool) -> bool:
    """Say whether two groups lie further apart than either is wide."""
    high, low = (patients, others) if above else (others, patients)
    widest = max(max(group) - min(group) for group in (patients, others))
    return min(high) - max(low) > max(widest, 1e-12)


def _logs(*groups: list) -> list[list]:
    """Return the logarithms of positive numbers, of negative ones the numbers."""
    if min(map(min, groups)) < 0:
        return list(groups)
    return [[math.log(max(value, 1e-30)) for value in group] for group in groups]


def r_squared(model: Callable, x: Tensor) -> float:
    """Say how much of the variance of images a model gives back, 0 for the mean."""
    with torch.no_grad():
        error = (model(x) - x).square().mean()
    return (1 - error / (x - x.mean(0)).square().mean()).item()


FIELDS = ((2, 1, 1.0), (2, 3, 0.4), (4, 1, 0.4))  # grid, colours, weight


def smooth_images(
    n: int, size: int = 16, channels: int = 3, fields: tuple = FIELDS, seed: int = 0
) -> Tensor:
    """Draw n smooth random images (n, channels, size, size), standardised."""
    random = torch.Generator().manual_seed(seed)
    x = torch.zeros(n, channels, size, size)
    for grid, colours, weight in fields:
        coarse = torch.randn(n, colours, grid, grid, generator=random)
        x += weight * F.interpolate(coarse, (size, size), mode="bilinear")
    return (x - x.mean(0)) / x.std()
