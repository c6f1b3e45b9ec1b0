"""Watch the user's own training step: gradients cleared, mode, what the model sees."""

import math

import torch

from . import modes
from . import sample as samples
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
    case.touched = seen.touched == len(seen.losses) > 0
    calls = len(seen.used) / max(1, len(case.program.optimizers))
    if calls >= 1:  # gradients may be collected over several steps
        case.accumulates = min(8, round(len(seen.losses) / calls))
    modes.in_steps(case, seen)
    _seen_input(case, seen)


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


def _seen_input(case, seen):
    """Compare what the model saw in the step with what the pair says it should."""
    if not seen.inputs:
        return
    parts = [t.to(seen.inputs[0]) for t in samples.tensors_in(seen.raw)
             if t.is_floating_point()]  # fmt: skip
    given = seen.inputs[0]
    quiet = _draws_nothing(case)
    same = [torch.equal(given, p) for p in parts if p.shape == given.shape]
    with case.program.trial():
        source, goal = case.program.pair(seen.raw)
    source, goal = samples.main_tensor(source), samples.main_tensor(goal)
    intended = source.shape == goal.shape and not torch.equal(source, goal)
    clean = goal.shape == given.shape and torch.equal(goal.to(given), given)
    inner = {tuple(op.out.shape[1:]) for op in case.ops} - {tuple(given.shape[1:])}
    given_too = any(  # the model met something else as well, as the noise itself
        x.shape == given.shape and not any(torch.equal(x, p) for p in parts
                                           if p.shape == x.shape)
        for x in seen.inputs[: seen.first]
    )  # fmt: skip
    drawn = bool(seen.drawn - inner) and quiet and any(same) and not intended
    drawn = drawn and not given_too
    if not ((intended and clean) or drawn):
        return
    case.find(
        "data.target",
        "error",
        {
            "statistic": "difference between the model's input and the clean image",
            "value": 0.0,
            "threshold": "above 0",
            "where": "model(...) inside step",
        },
        "Not a plain autoencoder: a corruption is made, but the model is given the "
        "clean "
        "image.",
        "x_hat = model(noisy)  # not model(x)",
        "The input differs from the target, and the denoising error falls.",
    )


def _draws_nothing(case):
    """Tell whether a forward pass and the loss leave the random numbers alone."""
    with case.program.trial(True), torch.no_grad():
        state = torch.get_rng_state()
        try:
            out = case.program.forward(case.source)
            case.program.loss_of(out.raw, case.pair[1])
        except Exception:
            return False
        return torch.equal(state, torch.get_rng_state())
