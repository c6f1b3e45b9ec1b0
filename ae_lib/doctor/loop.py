"""Watch the user's own training step: gradients cleared, mode, what the model sees."""

import math

from . import modes, shown
from .watching import watch


def check(case):
    """Run a few of the user's steps and judge the loop."""
    if case.program.step is None:
        return
    if not case.program.clock.seconds:
        case.skip("no time left", "wiring.zero-grad")
        return
    if case.out is None:
        case.skip("the model raised", "wiring.zero-grad", "wiring.mode")
        return
    try:
        seen = watch(case)
    except Exception as problem:
        text = f"{type(problem).__name__}: {problem}"
        case.skip(f"step raised {text[:80]}", "wiring.zero-grad")
        _raised(case)
        return
    if case.program.optimizers or any(seen.moved):
        case.did("wiring.zero-grad")
        _zero_grad(case, seen)
        _never_applied(case, seen)
    rows = [r for r in seen.used if r.get("fresh", 0) > 0.99]
    if rows and max(r["ratio"] for r in rows) < case.limits["grad.clipped"]:
        case.shortened = sorted(r["norm"] for r in rows)[len(rows) // 2]
    case.touched = seen.touched == len(seen.losses) > 0
    calls = len(seen.used) / max(1, len(case.program.optimizers))
    if calls >= 1:  # gradients may be collected over several steps
        case.accumulates = min(8, round(len(seen.losses) / calls))
    modes.in_steps(case, seen)
    shown.check(case, seen)
    _reached(case, seen)


def _reached(case, seen):
    """Take back that parameters get no gradient where the user's step gives them one.

    As the words of a code book do by a term of their own.
    """
    names = {n for n, p in case.program.model.named_parameters() if id(p) in seen.given}
    case.unreached = [n for n in getattr(case, "unreached", []) if n not in names]
    case.findings = [
        f
        for f in case.findings
        if f.code != "wiring.no-gradient"
        or not names.issuperset(str(f.evidence["where"]).split(", "))
    ]


def _raised(case):
    """Report a step that raises on a batch as it was served."""
    program = case.program
    if case.forward_trouble or case.loss_trouble or case.findings:
        return  # what is known already may explain it
    try:
        with program.trial(True):
            program.run_step(case.sample.raw[0])
        return
    except Exception as problem:
        text = f"{type(problem).__name__}: {problem}"
    cut = "require grad" in text or "grad_fn" in text or "inference" in text.lower()
    case.find(
        "wiring.no-gradient" if cut else "data.target",
        "error",
        {
            "statistic": "the step raised",
            "value": text[:200],
            "threshold": "no error",
            "where": "step(model, batch)",
        },
        "Not the model: it runs on this batch by itself; the step does not.",
        "keep the graph between model and loss: no .detach(), .item() or no_grad"
        if cut
        else "x = batch[0] if isinstance(batch, (tuple, list)) else batch  # in step",
        "step(model, batch) returns the loss of every batch.",
    )


def _zero_grad(case, seen):
    rows = [r for r in seen.used if r]
    mine = {id(p) for p in case.program.model.parameters()}
    silent = rows and not any(r["arrived"] or r["empty"] for r in rows)
    if silent and not seen.pending and mine & case.program.held():
        case.find(
            "wiring.no-gradient",
            "error",
            {
                "statistic": "steps in which a gradient arrived",
                "value": 0,
                "threshold": len(rows),
                "where": f"{len(rows)} calls of optimizer.step()",
            },
            "Not a small step: backward() was never called, or on a loss without a "
            "path to the parameters.",
            "loss.backward()  # before optimizer.step(), on the loss of this batch",
            "p.grad is not None after backward(), and the parameters move.",
        )
        return
    empty = [r for r in rows if r["empty"] and r.get("arrived", True)]
    if rows and len(empty) == len(rows) and not any(seen.moved):
        case.find(
            "wiring.zero-grad",
            "error",
            {
                "statistic": "steps that used an empty gradient",
                "value": len(empty),
                "threshold": 0,
                "where": f"{len(rows)} calls of optimizer.step()",
            },
            "Not a cut graph: gradients arrived, and were cleared before they were "
            "used.",
            "optimizer.zero_grad(); loss.backward(); optimizer.step()  # in this order",
            "The parameters differ after one step.",
        )
        return
    if len(rows) > 1 and all(r["only the last"] for r in rows):
        calls = round(len(seen.losses) / len(rows))
        case.find(
            "wiring.zero-grad",
            "error",
            {
                "statistic": "calls of step whose gradient an update uses",
                "value": 1,
                "threshold": calls,
                "where": f"{len(rows)} updates in {len(seen.losses)} calls",
            },
            f"Not a large batch in parts: of the gradients of {calls} calls all but "
            "the last are cleared before the update.",
            "optimizer.zero_grad()  # after optimizer.step() alone, not in each part",
            "The gradient used is the sum of those of all parts.",
        )
        return
    stale = [
        r
        for r in rows[1:]
        if math.isfinite(r["fresh"])
        and r["fresh"] < case.limits["grad.stale"]
        and r["total"] > max(r["fresh"] + 0.02, 0.99)
    ]
    exact = [r for r in rows[1:] if r.get("total", 0) > 0.999 and r["ratio"] > 1.02]
    late = [r for r in rows[2:] if math.isfinite(r["fresh"])]
    grows = len(late) >= 3 and all(
        r["total"] > r["fresh"] + 1e-6 and r["total"] > 0.999 for r in late
    )
    held = bool(case.program.optimizers)
    if stale or (grows and len(exact) >= 0.8 * len(rows[1:]) and exact):
        worst = min(late or rows[1:], key=lambda r: r["fresh"])
        case.find(
            "wiring.zero-grad",
            "error",
            {
                "statistic": "cosine of the gradient used and that of this step",
                "value": worst["fresh"],
                "threshold": case.limits["grad.stale"],
                "where": "optimizer.step()" if held else "the step's own update",
                "cosine with the sum of all gradients so far": worst["total"],
            },
            "Not gradient accumulation: gradients that were already applied are "
            "applied "
            "again.",
            f"{'optimizer' if held else 'model'}.zero_grad()"
            "  # before loss.backward(), in every step",
            "The gradient used equals the gradient of the current loss.",
        )
        return
    named = case.program.model.named_parameters()
    kept = set.intersection(*(r["kept"] for r in rows[1:])) if len(rows) > 3 else set()
    if names := [name for name, p in named if id(p) in kept]:
        part = names[0].split(".")[0]
        case.find(
            "wiring.zero-grad",
            "error",
            {
                "statistic": "parameters whose gradients are never cleared",
                "value": len(names),
                "threshold": 0,
                "where": ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
            },
            "Not gradient accumulation: gradients that were applied stay, and are "
            "applied again; those of other parameters are cleared.",
            f"call model.zero_grad(), which clears the {part} too, before "
            "loss.backward()",
            "The gradient used equals the gradient of the current loss.",
        )
        return
    if not any(seen.moved) and case.program.optimizers and not rows:
        if any(p.requires_grad for p in case.program.model.parameters()):
            case.find(
                "wiring.unoptimised",
                "error",
                {
                    "statistic": "parameters that moved in the user's steps",
                    "value": 0,
                    "threshold": 1,
                    "where": f"{len(seen.losses)} calls of step",
                    "gradients arrived": seen.pending,
                },
                "Not a small step: optimizer.step() was never called.",
                "optimizer.step()  # after loss.backward()",
                "The parameters differ after one step.",
            )


def _never_applied(case, seen):
    """Report an optimizer that is never told to step, while another one is."""
    program = case.program
    waiting = seen.given - seen.stepped
    if not seen.stepped or not waiting or case.has("wiring.zero-grad"):
        return
    mine = {id(p): n for n, p in program.model.named_parameters()}
    names = [name for i, name in mine.items() if i in waiting]
    if not names:
        return
    case.did("wiring.unoptimised")
    case.find(
        "wiring.unoptimised",
        "error",
        {
            "statistic": "parameters with a gradient that no step applies",
            "value": len(names),
            "threshold": 0,
            "where": ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
            "calls of step": len(seen.losses),
        },
        "Not a small step: these parameters get a gradient, and their optimizer is "
        "never told to use it.",
        f"step with the optimizer of {names[0].rsplit('.', 1)[0]} too: "
        "call its .step() after loss.backward()",
        "Each parameter differs from its old value after one step.",
    )
