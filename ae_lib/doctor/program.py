"""The program under examination: model, data, loss, optimizer and step as one."""

import dataclasses
import time
import warnings
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from . import sample as samples
from .state import Snapshot, closed_over, experiment, reachable

X_NAMES = ("x_hat", "recon", "reconstruction")
LOGVAR_NAMES = ("logvar", "log_var")


@dataclasses.dataclass
class Output:
    """A model's output with its parts named; `raw` is what the model returned."""

    raw: object
    x_hat: torch.Tensor | None
    mu: torch.Tensor | None = None
    logvar: torch.Tensor | None = None


class Clock:
    """A soft bound on CPU time that every intervention asks before it starts.

    CPU time, so that other programs on the machine do not change the verdict; waiting
    (for a slow loader, say) counts a third.
    """

    def __init__(self, seconds):
        self.begin, self.seconds = self._now(), seconds

    @staticmethod
    def _now():
        return time.process_time(), time.monotonic()

    @property
    def spent(self):
        cpu, wall = (b - a for a, b in zip(self.begin, self._now(), strict=True))
        return max(cpu, wall / 3)

    @property
    def left(self):
        return self.seconds - self.spent


def fields(raw):
    """Return the parts of a model output as a dict of where -> tensor."""
    if torch.is_tensor(raw):
        return {"": raw}
    if isinstance(raw, dict):
        return {k: v for k, v in raw.items() if torch.is_tensor(v)}
    if isinstance(raw, list | tuple):
        return {i: v for i, v in enumerate(raw) if torch.is_tensor(v)}
    names = getattr(raw, "__dict__", {})
    return {k: v for k, v in names.items() if torch.is_tensor(v)}


def places(raw):
    """Say where x_hat, mu and logvar stand in a model output."""
    found = fields(raw)
    if torch.is_tensor(raw):
        return {"x_hat": ""}
    if isinstance(raw, list | tuple):
        spots = {"x_hat": 0} if 0 in found else {}
        if 1 in found and 2 in found and found[1].shape == found[2].shape:
            spots |= {"mu": 1, "logvar": 2}
        return spots
    spots = {}
    for part, names in (("x_hat", X_NAMES), ("mu", ("mu",)), ("logvar", LOGVAR_NAMES)):
        for name in names:
            if name in found:
                spots.setdefault(part, name)
    return spots


def rebuild(raw, changes):
    """Return a copy of a model output with the parts in `changes` replaced."""
    if torch.is_tensor(raw):
        return changes.get("", raw)
    if isinstance(raw, dict):
        return (
            type(raw)({**raw, **changes}) if type(raw) is dict else {**raw, **changes}
        )
    if isinstance(raw, tuple) and hasattr(raw, "_fields"):
        return type(raw)(*(changes.get(i, v) for i, v in enumerate(raw)))
    if isinstance(raw, list | tuple):
        return type(raw)(changes.get(i, v) for i, v in enumerate(raw))
    if dataclasses.is_dataclass(raw):
        return dataclasses.replace(raw, **changes)
    twin = object.__new__(type(raw))
    twin.__dict__.update({**vars(raw), **changes})
    return twin


class Program:
    """Everything `examine` was given, with safe ways to run its parts."""

    def __init__(self, model, batches, *, loss, optimizer, step, pair, seed, clock):
        if not isinstance(model, nn.Module):
            raise ValueError(
                f"model must be a torch.nn.Module, got {type(model).__name__}"
            )
        if batches is None or (isinstance(batches, list | tuple) and not batches):
            raise ValueError("no batches: pass what the training loop consumes")
        if torch.is_tensor(batches):
            batches = [batches]
        if not hasattr(batches, "__iter__") and not hasattr(batches, "__getitem__"):
            raise ValueError(f"batches must be iterable, got {type(batches).__name__}")
        self.given = {"loss": loss, "optimizer": optimizer, "step": step, "pair": pair}
        self.model, self.batches, self.loss, self.step = model, batches, loss, step
        self.given_pair = pair
        self.own_loss = None  # an `OwnLoss`, once the step has told it
        self.seed, self.clock = seed, clock
        self.extras = [
            item for f in (step, loss, pair) for item in closed_over(f).values()
        ]
        given = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        others = [o for item in self.extras for o in _optimizers_in(item)]
        self.optimizer = given[0] or self._optimizer_of_step(others)
        if len(given) > 1 and step is None:
            self.optimizer = _Together(given)
        self.optimizers = list(dict.fromkeys([o for o in [*given, *others] if o]))
        self.snapshot = Snapshot(
            model, self.optimizers, self.extras, _generators(batches)
        )
        self.names = self._names()
        self.link = (
            None  # set by the loss check: "logit", ("exp", None), ("softmax", axis)
        )
        self.was_training = model.training

    def again(self):
        """Return the same program with what it holds now as what is put back."""
        more = {"seed": self.seed, "clock": self.clock}
        return Program(self.model, self.batches, **self.given, **more)

    def _optimizer_of_step(self, others):
        mine = {id(p) for p in self.model.parameters()}
        for item in reversed(others if self.step else []):
            held = {id(p) for g in item.param_groups for p in g["params"]}
            if held & mine or not mine:
                return item
        return None

    def _names(self):
        names = {id(p): n for n, p in self.model.named_parameters()}
        for path, module in self.model.named_modules():
            for key, value in vars(module).items():
                if key.startswith("_") and key in ("_parameters", "_modules"):
                    continue
                spot = f"{path}.{key}" if path else key
                for at, item in enumerate(reachable(value)):
                    if isinstance(item, nn.Module):
                        for n, p in item.named_parameters():
                            names.setdefault(id(p), f"{spot}[{at}].{n}")
                    elif torch.is_tensor(item):
                        names.setdefault(id(item), f"{spot}[{at}]")
        return names

    def pair(self, batch):
        """Return (input, target) of a batch, which `given_pair` may change in place."""
        if self.given_pair is None:
            found = samples.default_pair(batch)
        else:
            found = self.given_pair(samples.clone(batch))
        if self.own_loss is not None:
            self.own_loss.note(batch, found[1])
        return found

    @property
    def device(self):
        for tensor in chain(self.model.parameters(), self.model.buffers()):
            return tensor.device
        return torch.device("cpu")

    def name(self, parameter):
        """Return a parameter's name, as the program writes it."""
        return self.names.get(id(parameter), "a parameter outside the model")

    def held(self):
        """Return the ids of the parameters any optimizer has."""
        return {
            id(p) for o in self.optimizers for g in o.param_groups for p in g["params"]
        }

    @contextmanager
    def trial(self, training=None, seed=None):
        """Run a block on the real objects, silently, and restore them afterwards."""
        with experiment(self.snapshot, self.seed if seed is None else seed):
            with warnings.catch_warnings(), torch.enable_grad():
                warnings.simplefilter("ignore")
                if training is not None:
                    self.model.train(training)
                yield

    def move(self, value):
        """Put a batch of any structure on the model's device."""
        return samples._map(value, lambda t: t.to(self.device))

    def forward(self, source):
        """Run the model and return an `Output`."""
        raw = self.model(self.move(source))
        spots, found = places(raw), fields(raw)
        parts = {part: found[spot] for part, spot in spots.items()}
        return Output(raw, parts.get("x_hat"), parts.get("mu"), parts.get("logvar"))

    def loss_of(self, raw, target):
        """Return the user's loss as a scalar tensor, mean squared error by default."""
        target = self.move(target)
        if self.loss is None:
            x_hat = fields(raw)[places(raw)["x_hat"]]
            goal = samples.main_tensor(target).to(x_hat.dtype)
            if goal.shape != x_hat.shape and goal.numel() == x_hat.numel():
                goal = goal.reshape(x_hat.shape)
            return (x_hat - goal).square().mean()
        value = self.loss(raw, target)
        if isinstance(value, list | tuple):
            value = value[0]
        if isinstance(value, dict):
            value = value.get("loss", next(iter(value.values())))
        return value if torch.is_tensor(value) else torch.as_tensor(float(value))

    def replaced(self, raw, **parts):
        """Return a model output with x_hat, mu or logvar replaced."""
        spots = places(raw)
        return rebuild(raw, {spots[k]: v for k, v in parts.items() if k in spots})

    def image(self, x_hat):
        """Return x_hat in the units of the target, where the loss takes scores."""
        if isinstance(self.link, tuple):
            kind, axis = self.link
            if kind == "exp":
                return x_hat.clamp(max=30).exp()
            return torch.softmax(x_hat, axis)
        return torch.sigmoid(x_hat) if self.link == "logit" else x_hat

    def run_step(self, batch):
        """Run one training step, the user's or the usual one; return the loss."""
        if self.step is not None:
            value = self.step(self.model, samples.clone(batch))
            if isinstance(value, list | tuple):
                value = value[0]
            if isinstance(value, dict):
                value = value.get("loss", next(iter(value.values())))
            return float("nan") if value is None else float(value)
        return self.plain_step(batch, self.optimizer)

    def plain_step(self, batch, optimizer, objective=None):
        """Take one textbook step with `optimizer`; return the loss before it."""
        source, target = self.pair(batch)
        optimizer.zero_grad()
        output = self.forward(source)
        value = (objective or self.loss_of)(output.raw, target)
        if value.requires_grad:
            value.backward()
            optimizer.step()
        return float(value.detach())


class _Together:
    """Several optimizers that take each step together."""

    def __init__(self, optimizers):
        self.optimizers = optimizers

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()


def _optimizers_in(item):
    """Return the optimizers that an object is or holds in a list, tuple or dict."""
    if isinstance(item, torch.optim.Optimizer):
        return [item]
    if isinstance(item, dict):
        item = list(item.values())
    if isinstance(item, list | tuple):
        return [o for o in item if isinstance(o, torch.optim.Optimizer)]
    return []


def _generators(batches):
    """Return the generators a DataLoader draws its order from."""
    holders = [batches, getattr(batches, "sampler", None)]
    holders.append(getattr(batches, "batch_sampler", None))
    holders.append(getattr(holders[-1], "sampler", None))
    found = [getattr(h, "generator", None) for h in holders]
    return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())
