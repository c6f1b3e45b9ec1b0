"""A few steps of the user's own loop, and what they did."""

from contextlib import nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from . import sample as samples


class Watch:
    """What a few steps of the user's loop did."""

    def __init__(self):
        self.modes, self.inputs, self.used, self.losses = [], [], [], []
        self.moved, self.cosines = [], []
        self.drawn = set()  # shapes of one sample of what the first step drew
        self.first = 0  # how many inputs the model met in the first step
        self.pending = False
        self.touched = 0
        self.stepped = set()  # ids of the parameters that an optimizer has applied
        self.given = set()  # ids of those that got a gradient other than zero


class _Draws(TorchDispatchMode):
    """Note the shapes of random tensors, without the first axis."""

    def __init__(self):
        super().__init__()
        self.shapes = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        may_draw = torch.Tag.nondeterministic_seeded in func.tags
        state = torch.get_rng_state() if may_draw else None
        out = func(*args, **(kwargs or {}))
        if may_draw and not torch.equal(state, torch.get_rng_state()):
            self.shapes |= {tuple(t.shape[1:]) for t in samples.tensors_in(out)}
        return out


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
        last = {id(p): None for p in params}  # of the present call of the step
        calls = [0]  # since the last update
        for p in params:
            p.grad = None

        def catch(p):
            def hook(grad):
                if grad.any():
                    seen.given.add(id(p))
                for box in (fresh, total, last):
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
            row = _compare(mine, fresh, total)
            row["kept"] = _kept(mine, fresh, total)
            row["only the last"] = calls[0] > 1 and _left_out(mine, fresh, last)
            seen.used.append(row)
            calls[0] = 0
            seen.stepped |= {id(p) for p in mine}
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
            for at in range(4 * count):
                if at >= count and not (0 < len(seen.used) < 5):
                    break  # more steps where gradients are collected over several
                old = [p.detach().clone() for p in params]
                program.model.train()
                last.update(dict.fromkeys(last))
                calls[0] += 1
                with _Draws() if at == 0 else nullcontext() as draws:
                    seen.losses.append(program.run_step(raw[at % len(raw)]))
                seen.drawn |= draws.shapes if draws else set()
                seen.first = seen.first or len(seen.inputs)
                if not program.optimizers:  # descends by hand: .grad was used as it is
                    use(params)
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


def _kept(params, fresh, total):
    """Return the ids of parameters whose gradients were never cleared so far."""

    def far(used, other):
        return ((used - other).norm() / used.norm().clamp(min=1e-30)).item()

    known = [p for p in params if p.grad is not None and fresh[id(p)] is not None]
    return {
        id(p)
        for p in known
        if far(p.grad, total[id(p)]) < 1e-4 and far(p.grad, fresh[id(p)]) > 0.1
    }


def _left_out(params, fresh, last):
    """Tell whether of the gradients since the last update only the newest are left."""
    known = [p for p in params if p.grad is not None and last[id(p)] is not None]
    used = _flat([p.grad for p in known])
    newest, all_ = (_flat([box[id(p)] for p in known]) for box in (last, fresh))
    if used is None or not used.any():
        return False
    near, far = ((used - v).norm() / used.norm() for v in (newest, all_))
    return bool(near < 1e-4) and bool(far > 0.1)


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
        "norm": new.norm().item(),
    }
