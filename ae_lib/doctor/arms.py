"""Fit 16 images in arms that differ in one factor; the arm that works names it."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from . import sample as samples
from .program import fields, places

COUNT = 16


@dataclass
class Arm:
    """The outcome of one short training run on a few images."""

    name: str
    r2: float = float("nan")
    losses: list = field(default_factory=list)
    update: float = float("nan")  # of the median layer
    least: float = float("nan")  # of the layer that moves least
    finite: bool = True
    trouble: str = ""
    steps: int = 0
    rates: tuple = ()  # the learning rates that were the largest: before, and at last

    @property
    def drop(self):
        """How far the loss fell: first value less the mean of the last tenth."""
        good = [v for v in self.losses if math.isfinite(v)]
        if len(good) < 4:
            return 0.0
        tail = good[-max(1, len(good) // 10) :]
        return good[0] - sum(tail) / len(tail)

    def row(self):
        """Return the numbers worth reporting."""
        return {
            "r2": self.r2,
            "update ratio": self.update,
            "steps": self.steps,
            "finite": self.finite,
        }


def few(case):
    """Return the raw batch of 16 images used in every arm."""
    return samples.cut(case.batch, COUNT)


def as_served(case):
    """Return the 16 images, repeated to the user's batch size if the loss is a sum.

    The gradient of a sum, and with it the step, grows with the batch.
    """
    if not case.sums:
        return few(case)
    size = sorted(case.sample.sizes)[len(case.sample.sizes) // 2]
    return samples.repeat(few(case), max(1, round(size / COUNT)))


def fresh_start(model):
    """Draw new weights wherever a layer knows how."""
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()


def scale_rate(program, factor):
    """Multiply the learning rate of the user's optimizers."""
    for optimizer in program.optimizers:
        for group in optimizer.param_groups:
            if torch.is_tensor(group["lr"]):
                group["lr"] = group["lr"] * factor
            else:
                group["lr"] *= factor


def adam_step(case, recon_only, params=None):
    """Return a step function with Adam 1e-3 on every parameter of the graph."""
    params = case.trainable if params is None else params
    return _step(case, torch.optim.Adam(params, lr=1e-3, fused=True), recon_only)


def _step(case, optimizer, recon_only):
    program = case.program

    def recon(raw, target):
        x_hat = program.image(fields(raw)[places(raw)["x_hat"]])
        goal = program.move(samples.main_tensor(target)).to(x_hat.dtype)
        return (x_hat - goal.reshape(x_hat.shape)).square().mean()

    def step(batch):
        return program.plain_step(batch, optimizer, recon if recon_only else None)

    return step


def run(
    case,
    name,
    *,
    factor=1.0,
    adam=False,
    recon=False,
    fresh=False,
    without="",
    times=1,
    instead=(),
):
    """Run one arm within its share of the time, once, and return an `Arm`.

    `without` names what the arm leaves out: "dropout", "decay" or "freezing";
    `instead` the paths of modules that nn.ReLU stands in for.
    """
    key = (name, factor, adam, recon, fresh, without, times)
    if (key, instead) not in case.kept:
        with swapped(case.program.model, instead):
            case.kept[key, instead] = _run(case, *key)
    return case.kept[key, instead]


@contextmanager
def swapped(model, paths, make=nn.ReLU):
    """Let new modules, nn.ReLU by default, stand in for some, and put them back."""
    parents = {path: model.get_submodule(path.rpartition(".")[0]) for path in paths}
    names = {path: path.rpartition(".")[2] for path in paths}
    kept = {path: model.get_submodule(path) for path in paths}
    try:
        for path in paths:
            setattr(parents[path], names[path], make())
        yield
    finally:
        for path in paths:
            setattr(parents[path], names[path], kept[path])


def _run(case, name, factor, adam, recon, fresh, without, times):
    program, arm = case.program, Arm(name)
    times *= 1 if adam else case.accumulates
    batch = as_served(case)
    begin = program.clock.spent
    with program.trial(True):
        if fresh:
            fresh_start(program.model)
        if factor != 1.0:
            scale_rate(program, factor)
        if without == "dropout":
            for module in program.model.modules():
                if isinstance(module, nn.modules.dropout._DropoutNd):
                    module.p = 0.0
        if without == "decay":
            for optimizer in program.optimizers:
                for group in optimizer.param_groups:
                    group["weight_decay"] = 0.0
        if without == "freezing":
            program.model.requires_grad_(True)
        heavy = [p for p in program.model.parameters() if p.ndim >= 2]
        heavy = [p for p in heavy if p.requires_grad]
        ratios, least = [], []
        groups = [g for o in program.optimizers for g in o.param_groups]
        first = max((float(g["lr"]) for g in groups), default=0.0)
        try:
            step = program.run_step
            if adam:
                every = list(program.model.parameters())
                step = adam_step(case, recon, every if without == "freezing" else None)
            elif recon:
                step = _step(case, program.optimizer, True)
            while arm.steps < times * case.arm_steps:
                spent = program.clock.spent - begin
                if arm.steps >= 10 and spent > times * case.arm_seconds:
                    break
                watch = arm.steps < 4
                before = [p.detach().clone() for p in heavy] if watch else []
                program.model.train()
                value = step(batch)
                arm.losses.append(value)
                arm.steps += 1
                if watch:
                    now = [
                        ((p.detach() - b).norm() / (b.norm() + 1e-12)).item()
                        for p, b in zip(heavy, before, strict=True)
                    ]
                    ratios += now
                    least.append(min(now, default=float("nan")))
                if not math.isfinite(value) or value > 1e12:
                    arm.finite = False
                    break
            arm.r2 = _r2(case, batch)
        except Exception as problem:
            arm.trouble, arm.finite = f"{type(problem).__name__}: {problem}", False
        arm.rates = (first, max((float(g["lr"]) for g in groups), default=0.0))
        ratios = sorted(r for r in ratios if math.isfinite(r))
        arm.update = ratios[len(ratios) // 2] if ratios else float("nan")
        arm.least = sorted(least)[len(least) // 2] if least else float("nan")
    if not math.isfinite(arm.r2):
        arm.r2 = float("-inf")
    return arm


def _r2(case, batch):
    """Return the R² over the mean of the 16 images, the better of both modes."""
    program, best = case.program, float("-inf")
    source, goal = program.pair(batch)
    goal = program.move(samples.main_tensor(goal)).float()
    goal = goal.reshape(len(goal), -1)
    base = goal.var(0, unbiased=False).mean().item()
    for mode in (True, False):
        program.model.train(mode)
        with torch.no_grad():
            x_hat = program.image(program.forward(source).x_hat).float().flatten(1)
        if x_hat.shape == goal.shape and base > 1e-12:
            error = (x_hat - goal).square().mean().item()
            if math.isfinite(error):
                best = max(best, 1 - error / base)
    return best


def reference(case):
    """Fit the same images with a plain network and Adam 1e-3; return an `Arm`."""
    if "reference" not in case.kept:
        case.kept["reference"] = _reference(case)
    return case.kept["reference"]


def _reference(case):
    program, arm = case.program, Arm("reference model")
    with program.trial():
        source, goal = program.pair(few(case))
        x = samples.main_tensor(source).float().flatten(1).cpu()
        t = samples.main_tensor(goal).float().cpu()
        t = t.reshape(len(t), -1)
        x, t = torch.nan_to_num(x), torch.nan_to_num(t)
        net = nn.Sequential(
            nn.Linear(x.shape[1], 64), nn.ReLU(), nn.Linear(64, t.shape[1])
        )
        with torch.no_grad():
            net[2].bias.copy_(t.mean(0))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(100):
            optimizer.zero_grad()
            loss = (net(x) - t).square().mean()
            loss.backward()
            optimizer.step()
        base = t.var(0, unbiased=False).mean().item()
        arm.steps, arm.losses = 100, [loss.item()]
        arm.r2 = 1 - loss.item() / base if base > 1e-12 else float("nan")
    return arm


def plan(case):
    """Set how many steps, and how long, every arm may take."""
    program = case.program
    begin, losses = program.clock.spent, []
    for batch in (few(case), samples.repeat(few(case), 2)):
        with program.trial(True):
            try:
                losses.append(program.run_step(batch))
            except Exception:  # the arm that runs it tells
                continue
    case.sums = len(losses) == 2 and 1.5 < losses[1] / (losses[0] or 1.0) < 2.5
    once = max((program.clock.spent - begin) / 2, 1e-4)
    case.arm_seconds = max(0.5, min(2.5, 0.15 * case.program.clock.left))
    case.arm_steps = int(max(30, min(200, case.arm_seconds / once)))
