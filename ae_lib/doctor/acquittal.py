"""The last word has the program itself: what learns all the same is not broken."""

import math
from dataclasses import replace

from . import ahead
from .linear import pca_r2

# Findings that say "it will not learn". Others are facts of their own, as samples that
# never come, parameters that nobody has, or a network that copies; and what is drowned,
# a column or a term of the loss, is not seen in R².
CONTRADICTED = (
    "loss.domain output.range signal.init-scale "
    "signal.dead-units signal.saturated signal.common-mode step.too-large "
    "step.too-small vae.collapse sparse.too-strong"
).split()
SAID = "It learns all the same: R² {:.3f} after {} steps of its own on a copy. "


def hear(report, case):
    """Turn alarms into information where the program's own training refutes them.

    Its own step, loss and optimizer must bring it, within some hundred steps, to what
    PCA of as many numbers explains, or nearly so.
    """
    alarms = [f for f in report.findings if f.severity != "info"]
    if not alarms or any(f.code not in CONTRADICTED for f in alarms):
        return
    if case.program.clock.left < 5 or case.loss_trouble is not None:
        return
    enough = _enough(case)
    steps, r2 = 0, case.r2_now
    if not r2 >= enough:
        later = ahead.look(case)
        if later is None:
            return
        steps, r2 = later.steps, later.r2[-1]
    if not (math.isfinite(r2) and r2 >= enough):
        return
    said = SAID.format(r2, steps)
    report.findings[:] = [
        replace(f, severity="info", why_not=said + f.why_not) if f in alarms else f
        for f in report.findings
    ]


def _enough(case):
    """Return the R² that refutes: nearly that of PCA with as many numbers."""
    limits = case.limits
    best = None if case.codes is None else pca_r2(case.t, case.codes.shape[1])
    if best is None:
        return limits["acquit.alone"]
    return max(limits["acquit.share"] * best, limits["acquit.least"])
