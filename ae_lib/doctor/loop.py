"""Watch the user's own training step: gradients cleared, mode, what the model sees."""

import math

import torch

from . import modes
from . import sample as samples


class Watch:
    """What a few steps of the user's loop did."""

    def __init__(self):
        self.modes, self.inputs, self.used, self.losses = [], [], [], []
        self.moved, self.cosines = [], []
        self.drew = self.pending = False
        self.touched = 0


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
    if case.program.optimizers:
        case.did("wiring.zero-grad")
        _zero_grad(case, seen)
    case.touched = seen.touched == len(seen.losses) > 0
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


def watch(case, count=10):
    """Return a `Watch` over `count` steps of the user's loop."""
    program, seen = case.program, Watch()
    raw = [samples.cut(b, 32) for b in program_batches(case)]
    with program.trial(True):
        params = [p for o in program.optimizers for g in o.param_groups
                  for p in g["params"] if p.requires_grad]  # fmt: skip
        params = list({id(p): p for p in params}.values()) or [
            p for p in program.model.parameters() if p.requires_grad
        ]
        fresh = {id(p): None for p in params}
        total = {id(p): None for p in params}
        for p in params:
            p.grad = None

        def catch(p):
            def hook(grad):
                for box in (fresh, total):
                    old = box[id(p)]
                    new = grad.detach()
                    box[id(p)] = new.clone() if old is None else old + new

            return p.register_hook(hook)

        def before(optimizer, args, kwargs):
            mine = [p for g in optimizer.param_groups for p in g["params"]]
            mine = [p for p in mine if id(p) in fresh]
            closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
            if closure is None:
                use(mine)
                return None

            def watched():  # as LBFGS calls it, several times in one step
                fresh.update(dict.fromkeys(map(id, mine)))
                value = closure()
                use(mine)
                return value

            return args[:1], {"closure": watched}

        def use(mine):
            seen.used.append(_compare(mine, fresh, total))
            for p in mine:
                fresh[id(p)] = None

        def entered(module, args):
            seen.modes.append(module.training)
            if args and torch.is_tensor(args[0]):
                seen.inputs.append(args[0].detach().clone())

        left = {}

        def after(optimizer, args, kwargs):
            left.update({id(p): p.detach().clone() for p in params})

        handles = [catch(p) for p in params]
        handles += [o.register_step_post_hook(after) for o in program.optimizers]
        handles += [o.register_step_pre_hook(before) for o in program.optimizers]
        handles.append(program.model.register_forward_pre_hook(entered))
        try:
            for at in range(count):
                old = [p.detach().clone() for p in params]
                program.model.train()
                state = torch.get_rng_state()
                seen.losses.append(program.run_step(raw[at % len(raw)]))
                if at == 0:
                    seen.drew = not torch.equal(state, torch.get_rng_state())
                seen.moved.append(
                    sum(not torch.equal(p, o) for p, o in zip(params, old, strict=True))
                )
                seen.touched += any(
                    not torch.equal(p, left[id(p)]) for p in params if id(p) in left
                )
                seen.pending = any(v is not None for v in fresh.values())
                if at > 4 and program.clock.left < 0.5 * program.clock.seconds:
                    break
        finally:
            for handle in handles:
                handle.remove()
    seen.raw = raw[0]
    return seen


def program_batches(case):
    """Return the raw batches kept for interventions, without single samples."""
    raw = [b for b in case.sample.raw if len(samples.main_tensor(b)) > 1]
    return raw or case.sample.raw


def _flat(values):
    values = [v.double().flatten() for v in values if v is not None]
    return torch.cat(values) if values else None


def _cosine(a, b):
    if a is None or b is None or a.shape != b.shape:
        return float("nan")
    power = (a.norm() * b.norm()).item()
    return (a @ b).item() / power if power > 0 else float("nan")


def _compare(params, fresh, total):
    """Compare the gradient about to be used with what arrived since the last step."""
    with_fresh = [p for p in params if fresh[id(p)] is not None]
    used = _flat([p.grad for p in with_fresh if p.grad is not None])
    new = _flat([fresh[id(p)] for p in with_fresh])
    all_ = _flat([total[id(p)] for p in with_fresh])
    empty = used is None or not used.any().item()
    if used is None or new is None or used.shape != new.shape:
        came = new is not None
        return {"empty": empty and came, "fresh": float("nan"), "arrived": came}
    return {
        "empty": empty,
        "fresh": _cosine(used, new),
        "total": _cosine(used, all_),
        "arrived": bool(new.any()),
        "ratio": (used.norm() / new.norm().clamp(min=1e-30)).item(),
    }


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
    if stale or (grows and len(exact) >= 0.8 * len(rows[1:]) and exact):
        worst = min(late or rows[1:], key=lambda r: r["fresh"])
        case.find(
            "wiring.zero-grad",
            "error",
            {
                "statistic": "cosine of the gradient used and that of this step",
                "value": worst["fresh"],
                "threshold": case.limits["grad.stale"],
                "where": "optimizer.step()",
                "cosine with the sum of all gradients so far": worst["total"],
            },
            "Not gradient accumulation: gradients that were already applied are "
            "applied "
            "again.",
            "optimizer.zero_grad()  # before loss.backward(), in every step",
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
    drawn = seen.drew and quiet and any(same) and not intended
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
