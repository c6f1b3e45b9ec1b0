"""What a program of the clinic is, and how a bank of them is collected."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from inspect import cleandoc

import torch

from ae_lib.doctor.clinic import measures

PRIVATE = ("judge", "view")  # for the measures; doctor.examine does not take them
PARTS = ("tuning", "heldback")  # folders
CODES = tuple(
    f"{family}.{fault}"
    for family, faults in {
        "data": "nonfinite scale order target layout shift",
        "output": "range",
        "loss": "domain scale",
        "wiring": "unoptimised no-gradient zero-grad mode bypass",
        "signal": "common-mode saturated dead-units init-scale linear",
        "step": "too-large too-small nonfinite",
        "code": "too-small identity",
        "decoder": "checkerboard",
        "fit": "mean-image undertrained overfit blurry",
        "vae": "collapse logvar",
        "sparse": "too-strong inert",
        "noise": "too-strong",
        "contractive": "wrong",
        "features": "no-gain",
    }.items()
    for fault in faults.split()
)


@dataclass(frozen=True)
class Program:
    """Hold one autoencoder program, with its fault and the textbook remedy for it.

    `code` is the expected first cause, None for a healthy program. `accepts` lists
    codes that are right as well, where an honest reader could defend either.
    `write(seed, fixed)` writes the program down; `steps`, `measure` and `bar` belong
    to the check that the remedy works: after `steps` training steps the measure
    (higher is better) of the repaired program exceeds the bar and the faulty one.
    """

    name: str
    code: str | None
    part: str
    write: Callable[[int, bool], dict]
    accepts: tuple[str, ...]
    steps: int
    measure: Callable[[dict], float]
    bar: float

    @property
    def story(self) -> str:
        """Tell in a sentence what the author of the program did."""
        return cleandoc(self.write.__doc__ or "")

    def make(self, seed: int = 0, *, fixed: bool = False) -> dict:
        """Write the program down: arguments of `examine`, and the private keys."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.write(seed, fixed)

    def build(self, seed: int = 0) -> dict:
        """Build the arguments of `doctor.examine` for the program as it was found."""
        return public(self.make(seed))

    def repair(self, seed: int = 0) -> dict:
        """Build the same program with the textbook remedy applied."""
        return public(self.make(seed, fixed=True))

    def outcome(self, seed: int = 0, *, fixed: bool = False) -> float:
        """Train the program, or its textbook repair, for its `steps` and measure it."""
        return self.measured(self.make(seed, fixed=fixed), self.steps, seed)

    def measured(self, case: dict, steps: int, seed: int = 0) -> float:
        """Train a case for some steps and measure it.

        A program that raises, or ends with a NaN, measures minus infinity.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                measures.train(case, steps)
                value = self.measure(case)
            except (RuntimeError, ValueError, TypeError, IndexError):
                return float("-inf")
        return value if value == value else float("-inf")


def public(case: dict) -> dict:
    """Leave out the keys that `doctor.examine` does not take."""
    return {key: value for key, value in case.items() if key not in PRIVATE}


def faulty(
    code: str,
    *,
    accepts: tuple[str, ...] = (),
    steps: int = 150,
    measure: Callable[[dict], float] = measures.r2,
    bar: float = 0.2,
) -> Callable:
    """Mark a function `(seed, fixed) -> case` as a faulty program of the bank."""
    if unknown := {code, *accepts} - set(CODES):
        raise ValueError(f"codes must be of program.CODES, got {sorted(unknown)}")

    def mark(write: Callable[[int, bool], dict]) -> Program:
        return _program(write, code, accepts, steps, measure, bar)

    return mark


def healthy(
    *,
    steps: int = 150,
    measure: Callable[[dict], float] = measures.r2,
    bar: float = 0.2,
) -> Callable:
    """Mark a function `(seed) -> case` as a healthy program of the bank."""

    def mark(plain: Callable[[int], dict]) -> Program:
        def write(seed: int, fixed: bool) -> dict:
            return plain(seed)

        write.__doc__, write.__name__ = plain.__doc__, plain.__name__
        write.__module__ = plain.__module__
        return _program(write, None, (), steps, measure, bar)

    return mark


def _program(write, code, accepts, steps, measure, bar) -> Program:
    part = write.__module__.split(".")[-2]  # the folder
    return Program(write.__name__, code, part, write, accepts, steps, measure, bar)


def collect(package: str, modules: Iterable[str]) -> list[Program]:
    """Import the modules and list their programs in the order of the files."""
    found = []
    for name in modules:
        module = import_module(f"{package}.{name}")
        found += [v for v in vars(module).values() if isinstance(v, Program)]
    return found
