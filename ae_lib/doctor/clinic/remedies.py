"""Apply the doctor's own remedy to a program of the clinic.

A remedy is a line of code for the program at hand, in its names: `model`, `optimizer`,
`x` and `x_hat`. Lines that stand alone are executed. Others name what to change in
words ("drop the final sigmoid", "latent_dim = 24"); a person would do that, and here
the program's textbook repair stands for it, if the finding names the program's own
fault. A wrong finding in words, or none, is a remedy that does not work.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.doctor.clinic import measures
from ae_lib.doctor.program import fields, places

NAMES = {"torch": torch, "nn": nn, "F": F}
MORE = 250  # steps after a remedy for a program that was trained when it was found


class Changed:
    """Batches with a function applied to each image tensor."""

    def __init__(self, batches, change):
        self.batches, self.change = batches, change

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        for batch in self.batches:
            if torch.is_tensor(batch):
                yield self.change(batch)
                continue
            shape = batch[0].shape
            alike = [torch.is_tensor(b) and b.shape == shape for b in batch]
            pairs = zip(batch, alike, strict=True)
            yield tuple(self.change(b) if like else b for b, like in pairs)


def execute(line: str, case: dict) -> dict | None:
    """Return the case with a remedy line executed, None for a line in words."""
    code = re.split(r"  #", line)[0].strip()
    name = code.split("=")[0].strip()
    try:
        if name == "optimizer":
            return _optimizer(code, case)
        if name == "x" and "..." not in code:
            return _data(code, case)
        if name == "loss" and "x_hat" in code and not case.get("step"):
            return _loss(code, case)
        if code.startswith(("model", "nn.init.", "[")):
            return _model(code, case, "takes logits" in line)
    except (SyntaxError, NameError, AttributeError, ValueError, TypeError, IndexError):
        return None
    return None


def _optimizer(code, case):
    found = {"model": case["model"]}
    exec(code, NAMES | {}, found)
    new, old = found["optimizer"], case.get("optimizer")
    if case.get("step") and old is not None:  # the step holds the old one
        if type(new) is not type(old):
            return None
        held = {id(p) for group in old.param_groups for p in group["params"]}
        for group in old.param_groups:
            group["lr"] = new.param_groups[0]["lr"]
        rest = [p for p in case["model"].parameters() if id(p) not in held]
        if rest:
            old.add_param_group({"params": rest})
        return case
    return {**case, "optimizer": new}


def _data(code, case):
    def change(x):
        found = {"x": x}
        exec(code, NAMES | {}, found)
        return found["x"]

    judged = "judge" if "judge" in case else "eval_batches"
    changed = {"batches": Changed(case["batches"], change)}
    if case.get(judged) is not None:
        changed[judged] = list(Changed(case[judged], change))
    next(iter(changed["batches"]))
    return {**case, **changed}


def _loss(code, case):
    def loss(output, target):
        found = {"x_hat": measures.x_hat(output), "x": target, "output": output}
        exec(code, NAMES | _codes(output), found)
        return found["loss"]

    x, target = measures.pair(case, next(iter(case["batches"])))
    loss(case["model"](x), target)
    if "with_logits" in code:  # of logits, the sigmoid is the picture
        case = {**case, "view": torch.sigmoid}
    elif "sigmoid" not in code:  # the loss compares the output itself
        case = {key: value for key, value in case.items() if key != "view"}
    return {**case, "loss": loss}


def _codes(output):
    """Return mu and logvar of a model's output by their names, {} without."""
    spots, parts = places(output), fields(output)
    return {k: parts[spots[k]] for k in ("mu", "logvar") if k in spots}


def _model(code, case, logits=False):
    model = case["model"]
    if logits:  # of logits, the sigmoid is the picture
        case = {**case, "view": torch.sigmoid}
    for _ in range(code.count(".")):  # model.decoder.3 is written model.decoder[3]
        code = re.sub(r"(?<=[A-Za-z_\]])\.(\d+)", r"[\1]", code)
    exec(code, NAMES | {"model": model})
    kept = case.get("optimizer")
    if kept is not None and code.startswith("model") and not case.get("step"):
        group = {k: v for k, v in kept.param_groups[0].items() if k != "params"}
        fresh = type(kept)([{"params": list(model.parameters()), **group}], lr=1e-3)
        case = {**case, "optimizer": fresh}
    return case


def outcome(program, code: str, remedy: str, seed: int = 0) -> dict:
    """Measure a program as found and after the remedy, trained for as many steps.

    `applied` tells how: "executed", "in words" (the textbook repair), "wrong" for words
    on another fault, or "none" for no finding.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            changed = execute(remedy, program.make(seed))
        except RuntimeError:  # a line that stops the program does not cure it
            row = {"as_found": program.outcome(seed), "repaired": float("-inf")}
            return {**row, "applied": "executed"}
        if changed is not None:
            steps = program.steps or MORE
            found = program.measured(program.make(seed), steps, seed)
            after = program.measured(changed, steps, seed)
            return {"as_found": found, "repaired": after, "applied": "executed"}
    row = {"as_found": program.outcome(seed), "repaired": float("-inf")}
    if code in (program.code, *program.accepts):
        fixed = program.outcome(seed, fixed=True)
        return {**row, "repaired": fixed, "applied": "in words"}
    return {**row, "applied": "wrong" if remedy else "none"}
