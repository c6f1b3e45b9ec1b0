"""Follow one batch through a model, function by function."""

from dataclasses import dataclass

import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from .sample import main_tensor

WEIGHTED = ("linear", "conv1d", "conv2d", "conv3d", "matmul", "mm")
WEIGHTED += ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "addmm", "bmm")
WEIGHTED += ("bilinear", "einsum", "rmatmul", "baddbmm")
SQUASH = ("sigmoid", "tanh", "hardsigmoid", "hardtanh")
RECTIFY = ("relu", "leaky_relu", "relu6", "elu", "selu", "celu", "gelu")
RECTIFY += ("silu", "softplus", "mish", "hardswish", "prelu", "rrelu", "threshold")
RECTIFY += ("clamp", "abs", "softsign", "hardshrink", "square", "pow")
RECTIFY += ("clip", "clamp_min", "maximum", "softshrink", "logsigmoid", "sin")


@dataclass
class Op:
    """One function call: what ran, in which module, and what came out."""

    index: int
    kind: str
    where: str
    out: torch.Tensor
    entry: torch.Tensor | None
    weight: torch.Tensor | None

    @property
    def width(self):
        return self.out[0].numel()

    @property
    def weighted(self):
        return self.kind in WEIGHTED and self.weight is not None

    @property
    def bends(self):
        return self.kind in SQUASH + RECTIFY

    @property
    def part(self):
        """The named part of the model it belongs to, "" for a plain sequence."""
        first = self.where.split(".")[0]
        return "" if first.isdigit() else first

    def __str__(self):
        return f"{self.where or 'model'} ({self.kind})"


class Tracer(TorchFunctionMode):
    """Record every function of a forward pass; optionally change some results.

    `change` maps the index of an op to a function of its result.
    """

    def __init__(self, model, size, change=None):
        super().__init__()
        self.size, self.change, self.ops, self.at = size, change or {}, [], 0
        self.paths = {id(m): n for n, m in model.named_modules()}
        self.stack, self.entered = [], {}

    def __enter__(self):
        self.handles = [
            hooks.register_module_forward_pre_hook(self._push),
            hooks.register_module_forward_hook(self._pop, always_call=True),
        ]
        return super().__enter__()

    def __exit__(self, *problem):
        for handle in self.handles:
            handle.remove()
        return super().__exit__(*problem)

    def _push(self, module, args):
        self.stack.append(self.paths.get(id(module), type(module).__name__))
        if args and torch.is_tensor(args[0]):
            self.entered.setdefault(self.stack[-1], args[0])

    def _pop(self, module, args, result):
        if self.stack:
            self.stack.pop()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not torch.is_tensor(result) or not result.is_floating_point():
            return result
        if result.ndim < 2 or len(result) != self.size or not result.numel():
            return result
        entry, weight = None, None
        for item in (*args, *(kwargs or {}).values()):
            if not torch.is_tensor(item):
                continue
            if item.ndim >= 2 and len(item) == self.size and entry is None:
                entry = item
            elif weight is None and item.ndim >= 2:
                weight = item
        name = getattr(func, "__name__", "op").strip("_")
        if name in ("get", "set", "detach", "contiguous", "to", "float"):
            return result
        if self.at in self.change:
            result = self.change[self.at](result)
        where = self.stack[-1] if self.stack else ""
        self.ops.append(Op(self.at, name, where, result, entry, weight))
        self.at += 1
        return result


def follow(program, source, size, change=None):
    """Run the model on `source` and return (Output, list of ops)."""
    with Tracer(program.model, size, change) as tracer:
        output = program.forward(source)
    return output, tracer.ops


def spread(tensor):
    """Return the signal ratio: std across samples over root mean square."""
    flat = tensor.detach().double().flatten(1)
    power = flat.square().mean().sqrt().item()
    return flat.std(0, unbiased=False).square().mean().sqrt().item() / (power + 1e-30)


def variation(tensor):
    """Return the mean variance across samples."""
    return tensor.detach().double().flatten(1).var(0, unbiased=False).mean().item()


@torch.no_grad()
def bottleneck(program, source, size, ops=None, output=None):
    """Find the op that carries the code.

    Returns (op, all) where `all` tells whether the output depends on the input
    through this op alone; (None, False) when no op narrows the path.
    """
    if ops is None:
        output, ops = follow(program, source, size)
    entry = samples_width(source)
    final = output.x_hat
    base = variation(final)
    narrow, begin = {}, {}
    for op in ops:
        if 0 < op.width < entry and not _decodes(ops, begin.get(op.width), op):
            narrow[op.width] = op  # the last op of each width, within the encoder
            if op.part:
                begin.setdefault(op.width, op)
    last = max((op.index for op in ops if op.weighted), default=-1)
    choices = [op for _, op in sorted(narrow.items()) if op.index < last][:8]
    felt = []  # by the output; others only serve a term of the loss
    for op in choices:
        state = torch.get_rng_state()
        changed, _ = follow(program, source, size, {op.index: _mean})
        torch.set_rng_state(state)
        left = variation(changed.x_hat)
        moved = (changed.x_hat - final).double().abs().max().item()
        if moved > 0 and left <= 1e-3 * base:
            return op, True
        if moved > 0:
            felt.append(op)
            maker = _made_by(ops, op)
            if maker not in (None, *choices):  # it may also go where `op` does not
                choices.insert(choices.index(op) + 1, maker)
    heavy = [op for op in felt if _made_by(ops, op) is not None]
    heavy = [op for op in heavy if op.width > 1]
    return (heavy[0], False) if heavy else (None, False)


def _decodes(ops, code, op):
    """Tell whether `op` lies beyond a weighted layer of another part of the model."""
    if code is None:
        return False
    between = [o for o in ops if code.index < o.index <= op.index]
    return any(o.weighted and o.part not in ("", code.part) for o in between)


def _made_by(ops, op):
    """Return the last layer with weights of the same width, up to `op`, or None."""
    same = [o for o in ops if o.width == op.width and o.index <= op.index]
    return next((o for o in reversed(same) if o.weighted), None)


def _mean(tensor):
    return tensor.mean(0, keepdim=True).expand_as(tensor).contiguous()


def samples_width(source):
    """Return the number of values in one sample of an input."""
    return main_tensor(source)[0].numel()
