"""Which parameters learn: who has them, and whether gradients reach them."""

import torch

from . import trace
from .arms import fresh_start
from .case import default_start


def leaves(tensor):
    """Return the leaf tensors that a result's gradient reaches, by id."""
    found, seen, stack = {}, set(), [tensor.grad_fn]
    if tensor.is_leaf and tensor.requires_grad:
        found[id(tensor)] = tensor
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        stack += [n for n, _ in node.next_functions]
    return found


def check(case):
    """Take one backward pass in training mode and account for every parameter."""
    codes = ("wiring.no-gradient", "wiring.unoptimised")
    if case.out is None or case.out.x_hat is None:
        case.skip("the model raised", *codes)
        return
    program = case.program
    with program.trial(True):
        params = dict(program.model.named_parameters())
        for p in params.values():
            p.grad = None
        try:
            out, ops = trace.follow(program, case.source, case.size)
        except Exception:
            program.model.eval()
            out, ops = trace.follow(program, case.source, case.size)
        try:
            loss = program.loss_of(out.raw, case.pair[1])
        except Exception as problem:
            case.loss_trouble = problem
            case.skip("the loss raised", "wiring.no-gradient")
            loss = (program.image(out.x_hat) - 0.3).square().mean()
        case.did("wiring.no-gradient")
        used = _ran(program, ops)
        silent = _silent(case, out)
        recon = leaves(out.x_hat) if out.x_hat.requires_grad else {}
        graph = leaves(loss) if loss.requires_grad else {}
        if loss.requires_grad:
            loss.sum().backward()
        grads = {i: p.grad for i, p in {**recon, **graph}.items()}
        norms = {
            i: 0.0 if g is None else g.detach().double().norm().item()
            for i, g in grads.items()
        }
    case.grad_norms = {program.name(p): norms[i] for i, p in graph.items()}
    case.trainable = list({**recon, **graph}.values())
    _cut_off(case, params, recon, graph, used, silent, loss)
    _unoptimised(case, params, {**recon, **graph}, norms)


def _ran(program, ops):
    """Return the ids of parameters whose module ran in the forward pass."""
    ran = {op.where for op in ops}
    found = set()
    for path, module in program.model.named_modules():
        if path in ran:
            found |= {id(p) for p in module.parameters(recurse=False)}
    return found | {id(op.weight) for op in ops if op.weight is not None}


def _silent(case, out):
    """Return the ids of parameters to which the error sends a gradient of exactly 0."""
    params = [p for p in case.program.model.parameters() if p.requires_grad]
    goal = 0.3
    if case.target.numel() == out.x_hat.numel():
        goal = case.target.reshape(out.x_hat.shape).to(out.x_hat)
    error = (out.x_hat - goal).square().mean()
    if not params or not error.requires_grad:
        return set()
    grads = torch.autograd.grad(error, params, retain_graph=True, allow_unused=True)
    pairs = zip(params, grads, strict=True)
    return {id(p) for p, g in pairs if g is not None and not g.any()}


def _cut_off(case, params, recon, graph, used, silent, loss):
    """Report parameters that change the output but get no gradient from it."""
    if not loss.requires_grad:
        frozen = all(not p.requires_grad for p in params.values())
        if frozen:
            return
        _no_gradient(
            case,
            "the loss has no gradient function",
            "none",
            "every parameter",
            "Not a small gradient: the loss is a constant for autograd, as after "
            ".item(), .detach(), numpy or torch.no_grad().",
            "compute the loss from the output tensor: drop .detach(), .item(), "
            ".data and no_grad around model(x)",
        )
        return
    if params and not set(graph) & {id(p) for p in params.values()} and recon:
        _no_gradient(
            case,
            "parameters of the model that the loss's gradient reaches",
            0,
            "every parameter",
            "Not the optimizer: the loss requires a gradient, but it is a new tensor "
            "that has lost its way back to the model, as after torch.tensor(loss).",
            "loss = F.mse_loss(x_hat, x)  # keep it; no torch.tensor(...) around it",
            threshold=1,
        )
        return
    lost, case.unreached = [], []
    for name, p in params.items():
        if not p.requires_grad or not p.numel():
            continue
        if p.ndim > 1 and id(p) in used and id(p) not in graph:
            case.unreached.append(name)
        if id(p) in recon and (id(p) not in silent or p.ndim < 2):
            continue
        if id(p) not in used and p.ndim > 1:
            effect = 0.0
        else:
            effect = _effect(case, p)
        if effect > case.limits["gradient.share"]:
            lost.append((name, effect, id(p) in graph))
    if all(row[2] for row in lost) and _input_reached(case):
        return  # another term trains them, and the code passes the gradient on
    if any(id(params[name]) in recon for name, *_ in lost):
        asleep = _silent_anew(case)
        lost = [row for row in lost if row[0] in asleep]
    if not lost:
        return
    name, effect, elsewhere = max(lost, key=lambda row: row[1])
    _no_gradient(
        case,
        "change of the output when the parameter moves by 1 %, without a gradient",
        effect,
        ", ".join(row[0] for row in lost[:4]) + (" …" if len(lost) > 4 else ""),
        "Not a dead unit: moving the parameter moves the output, so the path was cut, "
        "as by .detach(), .data, no_grad, numpy or rounding"
        + (
            "; another term of the loss still reaches it, the reconstruction does not."
            if elsewhere
            else "."
        ),
        f"let the gradient through after {name.rsplit('.', 1)[0]}: drop .detach() / "
        ".data / no_grad there",
        threshold=case.limits["gradient.share"],
    )


def _input_reached(case):
    """Tell whether a gradient of the output reaches the input."""
    source = case.source
    if not torch.is_tensor(source) or not source.is_floating_point():
        return False
    with case.program.trial(True):
        x = case.program.move(source).detach().clone().requires_grad_()
        x_hat = case.program.forward(x).x_hat
        if not x_hat.requires_grad:
            return False
        (grad,) = torch.autograd.grad(x_hat.square().sum(), x, allow_unused=True)
    return grad is not None and bool(grad.any())


def confirm(case):
    """Report layers without a path for gradients where no arm could fit 16 images.

    Their effect on the output may be nil at the start, as where all codes are rounded
    to one, so that only the failure tells that they are needed.
    """
    lost, arms = getattr(case, "unreached", []), getattr(case, "arms", {})
    best = max((a.r2 for a in arms.values() if a.name != "reference model"), default=1)
    if not lost or best > case.limits["fit.fails"] or case.has("wiring.no-gradient"):
        return
    _no_gradient(
        case,
        "layers that run and are not in the graph of the loss",
        len(lost),
        ", ".join(lost[:4]) + (" …" if len(lost) > 4 else ""),
        "Not the step: no step size fits 16 images. These layers run, and the loss has "
        "no path back to them, as after argmin, rounding or .detach().",
        "z = z + (quantised - z).detach()  # the straight-through estimate",
        threshold=0,
    )


def _silent_anew(case):
    """Return the parameters that stay without a gradient from new first weights.

    A unit on a plateau or a dead one wakes up; a path that is cut stays cut.
    """
    program = case.program
    with program.trial(True):
        fresh_start(program.model)
        out = program.forward(case.source)
        recon = leaves(out.x_hat) if out.x_hat.requires_grad else {}
        silent = _silent(case, out)
        named = program.model.named_parameters()
        return {n for n, p in named if id(p) not in recon or id(p) in silent}


def _no_gradient(case, statistic, value, where, why, remedy, threshold="a gradient"):
    case.find(
        "wiring.no-gradient",
        "error",
        {
            "statistic": statistic,
            "value": value,
            "threshold": threshold,
            "where": where,
        },
        why,
        remedy,
        "p.grad is not None, and not all zero, for every parameter after backward().",
    )


def _effect(case, parameter):
    """Return how far the output moves when a parameter moves by 1 % of its size."""
    program = case.program
    with torch.no_grad():
        with program.trial(False):
            before = program.forward(case.source).x_hat.double()
        with program.trial(False):
            maker = torch.Generator().manual_seed(0)
            noise = torch.randn(parameter.shape, generator=maker).to(parameter)
            size = parameter.abs().mean().clamp(min=1e-3)
            parameter.data.add_(0.3 * size * noise)
            after = program.forward(case.source).x_hat.double()
    scale = before.std().item() + 1e-12
    return (after - before).square().mean().sqrt().item() / scale


def _unoptimised(case, params, graph, norms):
    program = case.program
    if not program.optimizers:
        case.skip("no optimizer was given", "wiring.unoptimised")
        return
    case.did("wiring.unoptimised")
    held = program.held()
    missing = [p for i, p in graph.items() if i not in held and norms.get(i, 1) > 0]
    frozen = [p for p in params.values() if not p.requires_grad]
    mine = {id(p) for p in params.values()} | set(graph)
    foreign = len(held - mine)
    total = sum(p.numel() for p in {**{id(p): p for p in frozen}, **graph}.values())
    if missing and sum(p.numel() for p in missing) > 0:
        names = [program.name(p) for p in missing]
        hidden = [p for p in missing if id(p) not in {id(q) for q in params.values()}]
        remedy = f"optimizer = torch.optim.{_kind(program)}(model.parameters(), lr=...)"
        why = "Not a vanishing gradient: these parameters receive one, and nobody "
        why += "applies it."
        if hidden:
            remedy = f"hold the layers in an nn.ModuleList: {names[0]} is in a plain "
            remedy += "list, so model.parameters() misses it"
        elif foreign:
            why += f" The optimizer holds {foreign} tensors that are not in this model."
            remedy = (
                "build the optimizer after the model has its final layers: " + remedy
            )
        case.find(
            "wiring.unoptimised",
            "error",
            {
                "statistic": "parameters with a gradient that no optimizer has",
                "value": sum(p.numel() for p in missing),
                "threshold": 0,
                "where": ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
                "of": total,
            },
            why,
            remedy,
            "Each parameter differs from its old value after one step.",
        )
        return
    if not frozen:
        return
    names = [n for n, p in params.items() if not p.requires_grad]
    every = len(frozen) == len(params)
    raw = [p for p in frozen if id(p) in held and default_start(p)]
    size = sum(p.numel() for p in raw)
    severity = "error" if every else "warning" if size else "info"
    case.find(
        "wiring.unoptimised",
        severity,
        {
            "statistic": "parameters that do not require a gradient",
            "value": sum(p.numel() for p in frozen),
            "threshold": 0,
            "where": ", ".join(names[:4]) + (" …" if len(names) > 4 else ""),
            "of": total,
            "at their random start": size,
        },
        "Not deliberate, it seems: the optimizer was given them, and they still have "
        "the spread of a random start."
        if severity != "info"
        else "Frozen weights are a fault only if they should learn; these look chosen.",
        f"for p in model.{names[0].split('.')[0]}.parameters(): p.requires_grad_(True)",
        "The number of parameters with requires_grad equals that of the model.",
    )


def _kind(program):
    return type(program.optimizers[0]).__name__ if program.optimizers else "Adam"
