"""Which parameters learn: who has them, and whether gradients reach them."""

import torch

from . import trace, unoptimised
from .arms import fresh_start


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
        lasting = _lasting(program, case, out)
        recon, graph = (
            {i: p for i, p in found.items() if i in lasting or _is_weight(p)}
            for found in (recon, graph)
        )
        if loss.requires_grad:
            loss.sum().backward()
        grads = {i: p.grad for i, p in {**recon, **graph}.items()}
        norms = {
            i: 0.0 if g is None else g.detach().double().norm().item()
            for i, g in grads.items()
        }
    case.trainable = list({**recon, **graph}.values())
    _cut_off(case, params, recon, graph, used, silent, loss)
    unoptimised.check(case, params, {**recon, **graph}, norms)


def _lasting(program, case, out):
    """Return the ids of leaves that a second pass meets again, as it does parameters.

    An input that the forward pass detaches and differentiates by is made anew.
    """
    again = program.forward(case.source)
    value = program.loss_of(again.raw, case.pair[1]) if case.loss_trouble is None else 0
    found = {id(p) for p in program.model.parameters()}
    for result in (again.x_hat, value):
        if torch.is_tensor(result) and result.requires_grad:
            found |= set(leaves(result))
    return found


def _is_weight(leaf):
    return isinstance(leaf, torch.nn.Parameter)  # of a layer made in forward, too


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
    lost, case.unreached, case.silent = [], [], []
    for name, p in params.items():
        if not p.requires_grad or not p.numel():
            continue
        if p.ndim > 1 and id(p) in used and id(p) in silent:
            case.silent.append(name)
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
    unoptimised.confirm(case)
    lost, arms = getattr(case, "unreached", []), getattr(case, "arms", {})
    best = max((a.r2 for a in arms.values() if a.name != "reference model"), default=1)
    if not lost and getattr(case, "silent", []) and best <= case.limits["fit.fails"]:
        asleep = _silent_anew(case)  # a slope of 0 everywhere, as that of rounding
        lost = [name for name in case.silent if name in asleep]
    if not lost or case.has("wiring.no-gradient", "wiring.unoptimised"):
        return
    if best > case.limits["fit.fails"]:
        _idle(case, lost)
        return
    _no_gradient(
        case,
        "layers that run and get no gradient of the loss",
        len(lost),
        ", ".join(lost[:4]) + (" …" if len(lost) > 4 else ""),
        "Not the step: no step size fits 16 images. These layers run, and the loss has "
        "no path back to them, as after argmin, rounding or .detach().",
        "z = z + (quantised - z).detach()  # the straight-through estimate",
        threshold=0,
    )


def _idle(case, lost):
    """Report layers that run for nothing: neither output nor loss depends on them."""
    params, held = dict(case.program.model.named_parameters()), case.program.held()
    lost = [n for n in lost if id(params[n]) in held]
    known = case.program.loss is not None or torch.is_tensor(case.out.raw)
    if not lost or not known or (case.program.step and case.program.loss is None):
        return
    _no_gradient(
        case,
        "layers that run, while neither output nor loss depends on them",
        len(lost),
        ", ".join(lost[:4]) + (" …" if len(lost) > 4 else ""),
        "Not frozen layers: the optimizer has them; their result is computed and goes "
        "nowhere, so another tensor was passed on in its place.",
        f"pass on what {lost[0].rsplit('.', 1)[0]} returns",
        threshold=0,
        severity="warning",
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


def _no_gradient(
    case,
    statistic,
    value,
    where,
    why,
    remedy,
    threshold="a gradient",
    severity="error",
):
    case.find(
        "wiring.no-gradient",
        severity,
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
    """Return how far the output moves when a parameter moves by 1 % of its size.

    In the mode in which it moves more: statistics at their start may hide it.
    """
    program, moves = case.program, []
    for mode in (False, True):
        with torch.no_grad():
            with program.trial(mode):
                before = program.forward(case.source).x_hat.double()
            with program.trial(mode):
                maker = torch.Generator().manual_seed(0)
                noise = torch.randn(parameter.shape, generator=maker).to(parameter)
                size = parameter.abs().mean().clamp(min=1e-3)
                parameter.data.add_(0.3 * size * noise)
                after = program.forward(case.source).x_hat.double()
        scale = before.std().item() + 1e-12
        moves.append((after - before).square().mean().sqrt().item() / scale)
    return max(moves)
