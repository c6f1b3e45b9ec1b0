"""What else it could be: what came close to a limit, and what more training shows.

What came close is information: it raises no alarm, and stands after the faults. So is
what training shows, but for faults that no healthy program of the clinic grew into.
"""

from dataclasses import replace

from . import ahead
from .nonfinite import rate
from .report import Finding

NEAR = "Not beyond the usual limit: of all checks this one came close to it. "
GROWN = ("code.identity", "fit.mean-image", "wiring.bypass")  # then a warning
LENGTHS = ("fit.undertrained", "fit.overfit", "step.nonfinite")  # of a copy, no matter
HINTS = 3  # where no fault was found
RUNNERS_UP = 2  # where one was


def add(report, case, again):
    """Append the runners-up to a report, two after a fault and three without one.

    `again(looser_limits)` examines once more: with looser limits, or with the usual
    ones the model as it stands.
    """
    faulty = not report.ok
    room = RUNNERS_UP if faulty else HINTS
    found = [] if faulty or case.trained else _foreseen(case, again)
    known = {f.code for f in (*report.findings, *report.suppressed, *found)}
    if len(found) < room and case.program.clock.left > 1:
        second = again(True)
        aside = [] if faulty else second.suppressed  # no fault explains them
        found += [
            replace(f, severity="info", why_not=NEAR + f.why_not)
            for f in (*second.findings, *aside)
            if f.code not in known
        ]
    report.findings += found[:room]
    _copies_despite(report)
    report.findings.sort(key=lambda f: f.severity == "info")


def _copies_despite(report):
    """Put a sparsity term that hardly pulls before the copying it was to prevent."""
    places = {f.code: i for i, f in enumerate(report.findings)}
    copy, term = places.get("code.identity"), places.get("sparse.inert")
    if copy is None or term is None or report.findings[copy].severity == "info":
        return
    blamed = replace(report.findings[term], severity="warning")
    report.suppressed.append(report.findings[copy])
    report.findings = [
        blamed if i == term else f for i, f in enumerate(report.findings) if i != copy
    ]


def _apart(finding):
    """Tell whether it is too clear for a passing state of the training.

    Modes too far apart for a statistic that lags behind, or with one that hardly moves;
    log-variances that are too large without exception.
    """
    seen = finding.evidence
    value, limit = seen.get("value"), seen.get("threshold")
    if finding.code == "wiring.mode":
        return value > 5 * limit > 5 or 0 < (seen.get("momentum") or 1) < 0.01
    return finding.code == "vae.logvar" and seen.get("smallest", 0) > limit


def _too_fast(case, taken):
    """Return step.too-large where smaller steps do not end at the mean image.

    Sixteen images may be fitted at a rate at which the batches are not.
    """
    lr, works = rate(case), case.limits["fit.works"]
    if lr is None:
        return None
    kind = type(case.program.optimizers[0]).__name__
    _, good, r2 = ahead.best_rate(case, [(kind, lr / 10), (kind, lr / 100)])
    if not r2 >= works:
        return None
    return Finding(
        "step.too-large",
        "warning",
        {
            "statistic": f"R² on its own batches after 150 steps at lr={good:g}",
            "value": r2,
            "threshold": works,
            "where": f"{kind}, lr={lr:g}: the mean image after {taken} steps",
        },
        "Not the network, the data or the loss: the same program learns with smaller "
        "steps. It shows only after some steps.",
        f"optimizer = torch.optim.{kind}(model.parameters(), lr={good:.1g})"
        f"  # now {kind}, lr={lr:g}",
        "The outputs still differ from input to input after some hundred steps.",
    )


def _foreseen(case, again):
    """Return what an untrained program shows after some of its own training."""
    program = case.program
    if not (program.step or program.optimizer) or program.clock.left < 8:
        return []
    with program.trial(True):
        taken = sum(1 for _ in ahead.steps(case, ahead.STEPS, ahead.SECONDS))
        later = again(False)
    said = f"Not seen yet: it shows after {taken} steps of this program on a copy. "
    if any(f.code == "fit.mean-image" for f in later.findings):
        cause = _too_fast(case, taken)
        if cause is not None:
            return [cause]
    return [
        replace(
            f,
            severity="warning" if f.code in GROWN or _apart(f) else "info",
            why_not=said + f.why_not,
        )
        for f in later.findings
        if f.severity != "info" and f.code not in LENGTHS and f.code[:5] != "data."
    ]
