"""Everything an examination may disturb, and how to put it back."""

import copy
import inspect
import random
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
_BOXES = ("_parameters", "_buffers", "_modules", *_HOOKS)
_LARGE = 4_000_000  # elements; larger loose tensors are data, not state
_PLAIN = (int, float, bool, str, bytes, type(None))


def reachable(value, depth=4, seen=None):
    """Yield the tensors, modules and optimizers held by `value`, hidden ones too.

    Looks into lists, tuples, dicts and the attributes of modules, so that layers
    kept in a plain Python list (which `Module.parameters` misses) are found.
    """
    seen = set() if seen is None else seen
    if isinstance(value, _PLAIN) or id(value) in seen or depth < 0:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield value
        for module in value.modules():
            seen.add(id(module))
            for item in list(vars(module).values()):
                yield from reachable(item, depth, seen)
    elif isinstance(value, torch.optim.Optimizer):
        yield value
        for group in value.param_groups:
            yield from reachable(group["params"], depth, seen)
    elif isinstance(value, dict):
        for item in list(value.values()):
            yield from reachable(item, depth - 1, seen)
    elif isinstance(value, list | tuple | set):
        for item in list(value):
            yield from reachable(item, depth - 1, seen)


def closed_over(function):
    """Return the objects a callable closes over, as a dict name -> object."""
    found = {}
    target = inspect.unwrap(function) if callable(function) else function
    if hasattr(target, "__self__"):
        owner = found["self"] = target.__self__
        if not isinstance(owner, nn.Module | torch.optim.Optimizer | type):
            found.update(getattr(owner, "__dict__", {}))  # a trainer's own parts
    if not inspect.isfunction(target) and not inspect.ismethod(target):
        found.update(getattr(target, "__dict__", {}))
        target = type(target).__call__ if callable(target) else None
    if getattr(target, "func", None) is not None:  # functools.partial
        found.update(closed_over(target.func))
    try:
        names = inspect.getclosurevars(target)
    except (TypeError, ValueError):
        return found
    found.update(names.globals)
    found.update(names.nonlocals)
    for at, item in enumerate(getattr(target, "__defaults__", None) or ()):
        found[f"default {at}"] = item
    return found


def _has_state(value):
    return (
        hasattr(value, "state_dict")
        and hasattr(value, "load_state_dict")
        and not isinstance(value, nn.Module | torch.optim.Optimizer | type)
    )


class Snapshot:
    """A copy of all state that an examination may change.

    Covers parameters, buffers, hidden tensors, gradients, requires_grad, training
    flags, hooks, plain attributes, optimizer state and groups, schedulers and
    gradient scalers that `step` closes over, and the random number generators of
    torch, CUDA, numpy and Python. `restore` may be called any number of times.
    """

    def __init__(self, model, optimizers=(), extras=(), generators=()):
        self.modules, self.tensors, self.optimizers = [], [], list(optimizers)
        self.stateful, self.boxes = [], []
        self.generators = [(g, g.get_state()) for g in generators]
        roots = [model, *optimizers, *extras]
        known = set()
        for root in roots:
            if _has_state(root):
                self.stateful.append((root, copy.deepcopy(root.state_dict())))
            if isinstance(root, torch.Generator):
                self.generators.append((root, root.get_state()))
            if isinstance(root, list | dict) and _is_small(root):
                self.boxes.append((root, copy.copy(root)))
            for item in reachable(root, seen=known):
                if isinstance(item, nn.Module):
                    self.modules += [self._module(m) for m in item.modules()]
                elif isinstance(item, torch.optim.Optimizer):
                    if item not in self.optimizers:
                        self.optimizers.append(item)
                elif not item.is_inference() and (
                    item.requires_grad or item.numel() < _LARGE
                ):
                    self.tensors.append(self._tensor(item))
        self.saved_optimizers = [self._optimizer(o) for o in self.optimizers]
        self.rng = _rng()
        self.grad_enabled = torch.is_grad_enabled()

    @staticmethod
    def _module(module):
        attributes = dict(vars(module))
        for name in _BOXES:
            if name in attributes:
                attributes[name] = (attributes[name], dict(attributes[name]))
        return module, attributes

    @staticmethod
    def _tensor(tensor):
        grad = tensor.grad if tensor.is_leaf else None
        return (
            tensor,
            tensor.detach().clone(),
            tensor.requires_grad,
            grad,
            None if grad is None else grad.detach().clone(),
            tensor._backward_hooks if tensor.is_leaf else None,
        )

    @staticmethod
    def _optimizer(optimizer):
        state = {
            key: {
                name: (item, item.clone() if torch.is_tensor(item) else None)
                for name, item in value.items()
            }
            for key, value in optimizer.state.items()
        }
        groups = [
            {**group, "params": list(group["params"])}
            for group in optimizer.param_groups
        ]
        return optimizer, state, groups

    @torch.no_grad()
    def restore(self, rng=True):
        """Put every saved value back, in place."""
        for module, attributes in self.modules:
            for name in set(vars(module)) - set(attributes):
                del module.__dict__[name]
            for name, value in attributes.items():
                if name in _BOXES:
                    value, content = value
                    value.clear()
                    value.update(content)
                module.__dict__[name] = value
        for tensor, value, needs_grad, grad, grad_value, hooks in self.tensors:
            if tensor.data_ptr() and not torch.equal(tensor, value):
                tensor.data.copy_(value)
            if not tensor.is_leaf:
                continue
            if tensor.requires_grad != needs_grad:
                tensor.requires_grad_(needs_grad)
            if grad is not None:
                grad.copy_(grad_value)
            tensor.grad = grad
            if not hooks:
                tensor._backward_hooks = hooks
        for optimizer, state, groups in self.saved_optimizers:
            self._restore_optimizer(optimizer, state, groups)
        for item, saved in self.stateful:
            item.load_state_dict(copy.deepcopy(saved))
        for box, content in self.boxes:
            box.clear()
            box.extend(content) if isinstance(box, list) else box.update(content)
        if rng:
            for generator, saved in self.generators:
                generator.set_state(saved)
            _set_rng(self.rng)
            torch.set_grad_enabled(self.grad_enabled)

    @staticmethod
    def _restore_optimizer(optimizer, state, groups):
        optimizer.state.clear()
        for key, value in state.items():
            optimizer.state[key] = {}
            for name, (item, saved) in value.items():
                if torch.is_tensor(item):
                    item.copy_(saved)
                optimizer.state[key][name] = item
        for group, saved in zip(optimizer.param_groups, groups, strict=False):
            for name in set(group) - set(saved):
                del group[name]
            group.update({k: v for k, v in saved.items() if k != "params"})


def _is_small(box):
    """Tell whether a list or dict is a small counter worth restoring."""
    items = box.values() if isinstance(box, dict) else box
    return len(box) <= 10_000 and all(isinstance(i, _PLAIN) for i in items)


# NumPy's global generator is old, and programs under examination draw from it.
def _rng():
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()  # noqa: NPY002


def _set_rng(saved):
    cpu, cuda, numpy_state, python_state = saved
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    np.random.set_state(numpy_state)  # noqa: NPY002
    random.setstate(python_state)


def seed_everything(seed):
    """Seed torch, numpy and Python, for a reproducible experiment."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)


@contextmanager
def experiment(snapshot, seed=0):
    """Run a block on the real objects and put everything back afterwards."""
    seed_everything(seed)
    try:
        yield
    finally:
        snapshot.restore()
