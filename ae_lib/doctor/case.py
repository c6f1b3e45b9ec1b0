"""One examination in progress: shared measurements, and the findings so far."""

import math
from functools import cached_property

import torch

from . import sample as samples
from . import trace
from .report import Finding
from .starts import default_start

PROBE = 61  # an odd batch size, so that no weight matrix looks like a batch


def join(raw, n):
    """Put samples of several batches together into one batch of at most `n`."""
    raw = [b for b in raw if samples.main_tensor(b) is not None]
    each = max(1, math.ceil(n / len(raw)))
    parts = [samples.cut(b, each) for b in raw]
    try:
        return samples.cut(_stack(parts), n)
    except (RuntimeError, TypeError, IndexError):
        return samples.cut(raw[0], n)


def _stack(parts):
    first = parts[0]
    if torch.is_tensor(first):
        return torch.cat(parts) if first.ndim else first
    if isinstance(first, dict):
        return {k: _stack([p[k] for p in parts]) for k in first}
    if isinstance(first, list | tuple):
        return type(first)(_stack(list(p)) for p in zip(*parts, strict=True))
    return first


class Case:
    """The program, its data and every measurement that more than one check uses."""

    def __init__(self, program, sample, limits, *, evaluated, history, labels):
        self.program, self.sample, self.limits = program, sample, limits
        self.evaluated, self.history, self.labels = evaluated, history or {}, labels
        self.findings, self.checked, self.unchecked = [], [], {}
        self.measured, self.notes, self.pictures = {}, [], {}
        self.forward_trouble = self.loss_trouble = None
        self.kept = {}  # short trainings by name, for a second look at the same program
        self.sums = False  # whether the loss grows with the batch, once it is known
        self.shortened = None  # the norm of gradients that the step makes much shorter
        self.accumulates = 1  # calls of step for one update, once it is known

    def find(self, code, severity, evidence, why_not, remedy, confirm):
        """Add a finding."""
        self.findings.append(
            Finding(code, severity, evidence, why_not, remedy, confirm)
        )

    def has(self, *codes):
        """Tell whether any of the codes was found as an error or warning."""
        return any(f.code in codes and f.severity != "info" for f in self.findings)

    def did(self, *codes):
        """Note that these codes were looked for."""
        self.checked += [c for c in codes if c not in self.checked]
        for code in codes:
            self.unchecked.pop(code, None)

    def skip(self, reason, *codes):
        """Note that these codes could not be looked for, and why."""
        for code in codes:
            if code not in self.checked:
                self.unchecked.setdefault(code, reason)

    @cached_property
    def x(self):
        return torch.nan_to_num(self.sample.x, 0.0, 0.0, 0.0)

    @cached_property
    def t(self):
        return torch.nan_to_num(self.sample.t, 0.0, 0.0, 0.0)

    @cached_property
    def batch(self):
        """A raw batch of about 61 samples drawn from several batches."""
        return join(self.sample.raw, PROBE)

    @cached_property
    def pair(self):
        with self.program.trial():
            return self.program.pair(self.batch)

    @property
    def source(self):
        return self.pair[0]

    @cached_property
    def target(self):
        goal = self.program.move(samples.main_tensor(self.pair[1]))
        return goal.float() if not goal.is_floating_point() else goal

    @cached_property
    def size(self):
        return len(samples.main_tensor(self.source))

    @cached_property
    def traced(self):
        """(Output, ops) of one pass in evaluation mode, detached; None if it raised."""
        source, size = self.source, self.size  # before the trial: it starts its own
        try:
            with self.program.trial(False), torch.no_grad():
                return trace.follow(self.program, source, size)
        except Exception as problem:
            self.forward_trouble = problem
            return None

    @property
    def out(self):
        return self.traced[0] if self.traced else None

    @property
    def ops(self):
        return self.traced[1] if self.traced else []

    @cached_property
    def code(self):
        """(op, all): where the code is, and whether all information passes it."""
        if not self.traced or self.out.x_hat is None:
            return None, False
        with self.program.trial(False):
            return trace.bottleneck(
                self.program, self.source, self.size, self.ops, self.out
            )

    @cached_property
    def codes(self):
        """The codes of the probe batch, (N, k), or None."""
        op = self.code[0]
        return None if op is None else op.out.detach().float().flatten(1)

    @cached_property
    def is_vae(self):
        """Whether mu and logvar are what they are called: named, or sampled from.

        A bare tuple may hold other things, as the codes before and after rounding.
        """
        if self.out is None or self.out.logvar is None:
            return False
        if not isinstance(self.out.raw, list | tuple):
            return True
        outputs, drew = [], False
        for seed in (0, 1):
            with self.program.trial(True, seed), torch.no_grad():
                before = torch.get_rng_state()
                outputs.append(self.program.forward(self.source).x_hat)
                drew = not torch.equal(before, torch.get_rng_state())
        return drew or not torch.equal(*outputs)

    @cached_property
    def flat(self):
        """Targets of the probe batch, (N, D)."""
        return self.target.detach().float().reshape(self.size, -1)

    @cached_property
    def mean_image(self):
        return self.t.flatten(1).mean(0)

    @cached_property
    def variance(self):
        """Error of the mean image: the mean variance of a target value."""
        return self.t.flatten(1).var(0, unbiased=False).mean().item()

    def reconstruct(self, source, training=False):
        """Return x_hat in target units, (N, D), or None where the model raises."""
        try:
            with self.program.trial(training), torch.no_grad():
                out = self.program.forward(source)
                return self.program.image(out.x_hat).detach().float().flatten(1)
        except Exception:
            return None

    def r2(self, x_hat, target):
        """Return R² over the mean image of the data; NaN when it is undefined."""
        if x_hat is None or x_hat.shape != target.shape:
            return float("nan")
        error = (x_hat - target).square().mean().item()
        mean = self.mean_image.to(target.device)
        base = (target - mean).square().mean().item()
        return 1 - error / base if base > 1e-12 else float("nan")

    @cached_property
    def r2_now(self):
        """R² of the model as it stands, the better of both modes."""
        values = [
            self.r2(self.reconstruct(self.source, mode), self.flat)
            for mode in (False, True)
        ]
        values = [v for v in values if math.isfinite(v)]
        return max(values) if values else float("nan")

    @cached_property
    def epochs(self):
        return max((len(v) for v in self.history.values()), default=0)

    @cached_property
    def steps_taken(self):
        """Steps the optimizer has taken, as far as its state tells; else 0."""
        best = 0
        for optimizer in self.program.optimizers:
            for state in optimizer.state.values():
                best = max(best, int(state.get("step") or 0))
        for name, value in self.program.model.named_buffers():
            if name.endswith("num_batches_tracked"):
                best = max(best, int(value))
        return best

    @property
    def unused(self):
        """Whether the optimizers keep count of their steps, and there were none."""
        kinds = (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
        known = [o for o in self.program.optimizers if isinstance(o, kinds)]
        known += [  # momentum is kept from the first step on
            o
            for o in self.program.optimizers
            if isinstance(o, torch.optim.SGD)
            and all(group["momentum"] for group in o.param_groups)
        ]
        return bool(known) and not any(o.state for o in self.program.optimizers)

    @property
    def counted(self):
        """Whether an optimizer itself counts 30 steps or more."""
        states = [s for o in self.program.optimizers for s in o.state.values()]
        return max((int(s.get("step") or 0) for s in states), default=0) >= 30

    @property
    def stepped(self):
        """Whether an optimizer holds the state of at least one step."""
        return any(o.state for o in self.program.optimizers)

    @property
    def few_steps(self):
        """Whether training has only begun, so that running statistics lag behind."""
        return 0 < self.steps_taken < 5

    @cached_property
    def near_start(self):
        """Whether most weights still have the spread of torch's default start."""
        weights = [p for p in self.program.model.parameters() if p.ndim > 1]
        weights = [p for p in weights if p.requires_grad] or weights
        return 2 * sum(map(default_start, weights)) >= len(weights)

    @cached_property
    def trained(self):
        """Whether the model has been trained: history, optimizer state, weights."""
        if self.epochs:
            return True
        if self.steps_taken >= 30 and (self.counted or not self.near_start):
            return True
        if math.isfinite(self.r2_now) and self.r2_now > 0.2:
            return True
        if self.stepped and not self.steps_taken:  # SGD does not count its steps
            return not self.near_start
        return not self.steps_taken and self.departed and self.r2_now > -1.5

    @cached_property
    def departed(self):
        """Whether the weights have left the range of torch's default start."""
        touched = total = 0
        learning = any(p.requires_grad for p in self.program.model.parameters())
        for module in self.program.model.modules():
            weight = getattr(module, "weight", None)
            bias = getattr(module, "bias", None)
            if torch.is_tensor(weight) and not weight.requires_grad and learning:
                continue  # a part that was trained before, and is kept
            if not torch.is_tensor(weight) or weight.ndim < 2:
                norm = isinstance(module, torch.nn.modules.batchnorm._NormBase)
                if norm and torch.is_tensor(bias):
                    total += 1
                    touched += bool(bias.detach().abs().max() > 1e-3)
                continue
            fan = weight[0].numel()
            if isinstance(module, torch.nn.modules.conv._ConvTransposeNd):
                fan = weight.shape[1] * weight[0, 0].numel()
            if torch.is_tensor(bias) and bias.numel():
                total += 1
                top = bias.detach().abs().max().item()
                touched += bool(top > 1.001 / fan**0.5)
        return total > 0 and touched > 0.5 * total

    @cached_property
    def picture_shape(self):
        """(C, H, W) of one target when it can be read as an image, else None."""
        shape = tuple(self.t.shape[1:])
        if len(shape) == 3 and min(shape[1:]) >= 6:
            return shape
        if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= 6:
            return shape
        if len(shape) == 2 and min(shape) >= 6:
            return (1, *shape)
        if len(shape) == 1:
            for channels in (1, 3):
                side = math.isqrt(shape[0] // channels)
                if side >= 6 and channels * side * side == shape[0]:
                    return (channels, side, side)
        return None
