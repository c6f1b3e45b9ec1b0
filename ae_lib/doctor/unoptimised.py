"""Which parameters the optimizer lacks, and which are frozen."""

from dataclasses import replace

from . import arms, lines
from .starts import default_start


def check(case, params, graph, norms):
    """Compare the parameters that get a gradient with those an optimizer has."""
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
        remedy = f"optimizer = torch.optim.{_kind(program)}(model.parameters(), "
        remedy += f"lr={program.optimizers[0].param_groups[0]['lr']:g})"
        why = "Not a vanishing gradient: these parameters receive one, and nobody "
        why += "applies it."
        if hidden:
            remedy = f"hold the layers in an nn.ModuleList: {names[0]} is in a plain "
            remedy += "list, so model.parameters() misses it"
        elif foreign:
            why += f" The optimizer holds {foreign} tensors that are not in this model."
            remedy += "  # after the model has its final layers"
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
        "model.requires_grad_(True)  # and give the optimizer all parameters"
        if every
        else "; ".join(
            f"{lines.spot(part)}.requires_grad_(True)"
            for part in dict.fromkeys(n.rpartition(".")[0] for n in names)
            if part
        )
        or "model.requires_grad_(True)",
        "The number of parameters with requires_grad equals that of the model.",
    )


def confirm(case):
    """Ask whether frozen weights that look chosen are what keeps the rest from it.

    Where no arm fits 16 images, one trains all parameters; what it reaches tells.
    """
    tried = getattr(case, "arms", {})
    found = [f for f in case.findings if f.code == "wiring.unoptimised"]
    best = max((a.r2 for n, a in tried.items() if n != "reference"), default=1.0)
    if not tried or not found or found[0].severity != "info":
        return
    if best > case.limits["fit.fails"] or case.program.clock.left < 2:
        return
    arm = arms.run(case, "Adam 1e-3, all free", adam=True, without="freezing")
    tried["all free"] = arm
    if arm.r2 < case.limits["fit.works"]:
        return
    case.findings[case.findings.index(found[0])] = replace(
        found[0],
        severity="error",
        evidence={
            **found[0].evidence,
            "R² on 16 images, frozen and free": [round(best, 3), round(arm.r2, 3)],
        },
        why_not="Not the step and not the loss: with the frozen weights no step size "
        f"fits 16 images, with all of them free Adam reaches {arm.r2:.2f}.",
    )


def _kind(program):
    return type(program.optimizers[0]).__name__ if program.optimizers else "Adam"
