"""More of the program's own training, on a copy that is put back afterwards."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial

import torch

from . import arms
from .sample import main_tensor

STEPS = 300
SECONDS = 3.0  # of CPU time, for the steps
EVERY = 100  # steps between two looks at R²


@dataclass
class Ahead:
    """What further training did: R² on the probe batch every hundred steps."""

    steps: int = 0
    r2: list = field(default_factory=list)  # before, after 100 steps, ..., at the end
    x_hat: torch.Tensor | None = None  # the probe batch at the end, (N, D)

    @property
    def gain(self):
        """Rise of R² from before the first step to after the last."""
        return self.r2[-1] - self.r2[0] if len(self.r2) > 1 else 0.0

    @property
    def cut_short(self):
        """Whether the time ended while R² was still rising: no proof of rest."""
        return self.steps < STEPS and self.r2[-1] > self.r2[-2] + 0.1


def look(case):
    """Train a copy for some hundred steps of the program's own; return an `Ahead`.

    The program's own step and optimizer, or Adam 1e-3 where none was given, on the
    batches it was served. Measured once per examination. None where it raises.
    """
    if "ahead" not in case.kept:
        _ = case.r2_now, case.flat  # a trial within a trial would end both
        try:
            with case.program.trial(True):
                case.kept["ahead"] = _train(case)
        except Exception as problem:
            if case.loss_trouble is None:  # else that is known already
                case.notes.append(f"further training raised {type(problem).__name__}")
            case.kept["ahead"] = None
    return case.kept["ahead"]


def _train(case):
    found, program = Ahead(), case.program
    found.r2.append(case.r2_now)
    count = STEPS * case.accumulates
    for _ in steps(case, count, min(SECONDS, 0.3 * program.clock.left)):
        found.steps += 1
        if found.steps % EVERY == 0:
            found.r2.append(_r2(case, found))
    if found.steps % EVERY:
        found.r2.append(_r2(case, found))
    return found


def steps(case, count, seconds, step=None):
    """Take training steps within the time, yielding each loss; call inside a trial."""
    program, stop = case.program, case.program.clock.spent + seconds
    raw = [b for b in case.sample.raw if len(main_tensor(b)) > 1] or case.sample.raw
    if step is None:
        step = program.run_step
        if program.step is None and program.optimizer is None:
            step = arms.adam_step(case, False)
    for at in range(count):
        program.model.train()
        value = step(raw[at % len(raw)])
        yield value
        if program.clock.spent > stop or not math.isfinite(value):
            return


def _r2(case, found):
    """Return R² of the probe batch, the better of both modes, and keep its output."""
    program, values = case.program, []
    source, goal = case.source, case.flat
    state = torch.get_rng_state()
    for mode in (True, False):
        program.model.train(mode)
        with torch.no_grad():
            x_hat = program.image(program.forward(source).x_hat)
        found.x_hat = x_hat.detach().float().flatten(1)
        values.append(case.r2(found.x_hat, goal))
    torch.set_rng_state(state)
    values = [v for v in values if math.isfinite(v)]
    return max(values) if values else float("-inf")


def best_rate(case, candidates):
    """Return (optimizer, rate, R²) of a list, what trains best on the own batches.

    Each has 150 steps at most. A program with a step of its own keeps its optimizer.
    The first one counts where no other is better by 0.05 of R², or time is short;
    R² is NaN where there was no time at all.
    """
    if case.program.step is not None:
        own = type(case.program.optimizers[0]).__name__
        candidates = [pair for pair in candidates if pair[0] == own]
    at, r2 = _first_of_the_best(
        case,
        [(pair, nullcontext, partial(_trained_at, case, *pair)) for pair in candidates],
    )
    return *candidates[at], r2


def best_start(case, starts):
    """Return of a list of (remedy, context) the remedy that trains best from the start.

    `context(model)` is a context manager inside which the model is the mended one; it
    has 150 steps on the own batches. The first one counts where no other is better by
    0.05 of R², or time is short.
    """
    train = partial(_trained_at, case)
    at, _ = _first_of_the_best(case, [(*start, train) for start in starts])
    return starts[at][0]


def _first_of_the_best(case, trials):
    """Return (place, R²) in a list of (key, context, train); what is known is kept.

    What raises, as an optimizer that wants more than a rate, will not be offered.
    """
    program, values = case.program, []
    for key, context, train in trials:
        if key not in case.kept:
            if program.clock.left < 4:
                break
            try:
                with program.trial(True), context(program.model):
                    case.kept[key] = train()
            except Exception:
                case.kept[key] = float("-inf")
        values.append(case.kept[key])
    top = max(values, default=0.0)
    at = next((at for at, value in enumerate(values) if value >= top - 0.05), 0)
    return at, values[at] if values else float("nan")


def _trained_at(case, name="", lr=None):
    """Return R² after 150 steps, with another optimizer or rate where one is named."""
    program, found, step = case.program, Ahead(), None
    if name and program.step is None:
        optimizer = getattr(torch.optim, name)(program.model.parameters(), lr=lr)

        def step(batch):
            return program.plain_step(batch, optimizer)

    for group in [g for o in program.optimizers for g in o.param_groups]:
        group["lr"] = lr or group["lr"]
    for _ in steps(case, 150, 1.2, step):
        found.steps += 1
    return _r2(case, found)
