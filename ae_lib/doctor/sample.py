"""Read what the training loop consumes, once, and keep what the checks need."""

import time
from collections import Counter
from dataclasses import dataclass, field

import torch

KEEP = 1024  # samples kept for baselines and PCA, fewer of large images
VALUES = 30_000_000  # numbers kept at most, for inputs and for targets
RAW = 12  # raw batches kept for the interventions
SCAN_SECONDS = 3.0


def tensors_in(value):
    """Return all tensors in a batch: tensor, tuple, list or dict."""
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors_in(v)]
    if isinstance(value, list | tuple):
        return [t for v in value for t in tensors_in(v)]
    return []


def main_tensor(value):
    """Return the first tensor of an input or target, or None."""
    found = tensors_in(value)
    return found[0] if found else None


def cut(value, n):
    """Return the first `n` samples of a batch of any structure, the last for -n."""
    found = main_tensor(value)
    size = len(found) if found is not None and found.ndim else 0
    part = slice(n) if n >= 0 else slice(n, None)
    return _map(value, lambda t: t[part] if t.ndim and len(t) == size else t)


def repeat(value, times):
    """Return a batch that holds each sample `times` times."""
    size = len(main_tensor(value))
    return _map(
        value, lambda t: torch.cat([t] * times) if t.ndim and len(t) == size else t
    )


def _map(value, change):
    if torch.is_tensor(value):
        return change(value)
    if isinstance(value, dict):
        return {k: _map(v, change) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map(v, change) for v in value))
    if isinstance(value, list | tuple):
        return type(value)(_map(v, change) for v in value)
    return value


def clone(value):
    """Return a batch of any structure with its own memory."""
    return _map(value, torch.clone)


def default_pair(batch):
    """Turn a batch into (input, target) as `examine` documents it."""
    if torch.is_tensor(batch):
        return batch, batch
    parts = tensors_in(batch)
    if not parts:
        raise TypeError(
            f"a batch must be a tensor or hold tensors, got {type(batch).__name__}"
        )
    if len(parts) > 1 and parts[0].shape == parts[1].shape and parts[1].ndim > 1:
        return parts[0], parts[1]
    return parts[0], parts[0]


@dataclass
class Sample:
    """What was seen in one pass over the batches."""

    raw: list = field(default_factory=list)
    sizes: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    features: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    inputs_seen: set = field(default_factory=set)  # keys of inputs unlike their targets
    bad: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    dtype: object = None
    low: float = float("inf")
    high: float = float("-inf")
    complete: bool = False
    smallest: object = None
    trouble: Exception | None = None

    @property
    def x(self):
        return torch.cat(self.inputs)[:KEEP]

    @property
    def t(self):
        return torch.cat(self.targets)[:KEEP]

    @property
    def count(self):
        return sum(self.sizes)


def read(batches, pair, seconds=SCAN_SECONDS, limit=4000):
    """Pass once over `batches` and return a `Sample`.

    Where batches differ in the shape of a sample, as series in buckets of one length
    do, those of the commonest shape are kept.
    """
    sample, shapes = Sample(), []
    _pass(sample, shapes, batches, pair, seconds, limit)
    counts = Counter()
    for shape, x in zip(shapes, sample.inputs, strict=False):
        counts[shape] += len(x)
    if len(counts) > 1:
        (common, _), *_ = counts.most_common(1)
        for name in ("raw", "inputs", "targets", "features", "keys"):
            rows = zip(getattr(sample, name), shapes, strict=False)
            setattr(sample, name, [row for row, shape in rows if shape == common])
    return sample


def _pass(sample, shapes, batches, pair, seconds, limit):
    """Fill a sample, and note the shape of a sample in each batch that is not empty."""
    kept, keep = 0, KEEP
    project, stop = {}, time.monotonic() + seconds
    for at, batch in enumerate(batches):
        if at >= limit or (time.monotonic() > stop and kept >= 64):
            return
        first = main_tensor(batch)
        if first is None:
            batch = _tensors(batch)
            first = main_tensor(batch)
        size = 0 if first is None else (len(first) if first.ndim else 1)
        if first is None or first.numel() == 0:
            sample.sizes.append(0)
            continue
        sample.sizes.append(size)
        try:
            source, target = pair(batch)
        except Exception as problem:
            sample.trouble = problem
            source, target = default_pair(batch)
        x, t = main_tensor(source), main_tensor(target)
        if x is None or t is None:
            raise ValueError(
                "pair must return (input, target) with a tensor in each, got "
                f"({type(source).__name__}, {type(target).__name__})"
            )
        shapes.append((x.shape[1:], t.shape[1:]))
        if len(sample.raw) < RAW:
            sample.raw.append(batch)
        if sample.smallest is None or size < len(main_tensor(sample.smallest)):
            sample.smallest = batch
        _scan(sample, at, batch, x, t, project)
        if not kept:
            keep = min(KEEP, max(96, VALUES * len(x) // x.numel()))
        if kept < keep:
            sample.inputs.append(x.detach().cpu().float()[: keep - kept])
            rows = t.detach().cpu().float()[: keep - kept]
            sample.targets.append(rows if rows.ndim > 1 else rows.reshape(-1, 1))
            kept += len(x) if x.ndim else 1
    sample.complete = True


def _tensors(batch):
    """Turn numpy arrays in a batch into tensors."""
    if hasattr(batch, "__array__"):
        return torch.as_tensor(batch)
    if isinstance(batch, list | tuple):
        return type(batch)(
            torch.as_tensor(b) if hasattr(b, "__array__") else b for b in batch
        )
    return batch


def _keys(values, unit):
    rounded = (values.double() / unit * 1e4).round().long().tolist()
    return [hash(tuple(row[::2])) for row in rounded]


def _scan(sample, at, batch, x, t, project):
    sample.dtype = sample.dtype or x.dtype
    for name, tensor in (("input", x), ("target", t)):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            sample.bad.append({"batch": at, "in": name, "values": count})
    finite = torch.nan_to_num(x.detach().float(), 0.0, 0.0, 0.0)
    sample.low = min(sample.low, finite.min().item())
    sample.high = max(sample.high, finite.max().item())
    # An input may share one mask or one corruption with its batch; a target does not.
    image = t.is_floating_point() and t.ndim > 1 and len(t) == len(x)
    alike = x.numel() == t.numel() and t.is_floating_point()
    own = alike or (image and t[0].numel() >= 16)
    values = finite if not own else torch.nan_to_num(t.detach().float(), 0.0, 0.0, 0.0)
    flat = values.flatten(1) if values.ndim > 1 else values[:, None]
    width = flat.shape[1]
    if width not in project:
        maker = torch.Generator().manual_seed(width)
        weights = torch.randn(width, 9, generator=maker) / width**0.5
        project[width] = weights.to(flat.device)
    values = (flat @ project[width]).cpu()
    unit = project.setdefault("unit", values.std().item() or 1.0)
    stats = torch.stack([flat.mean(1), flat.std(1, unbiased=False)], 1).cpu()
    sample.features.append(torch.cat([stats, values[:, :8]], 1))
    sample.keys.append(_keys(values, unit))
    if alike and x is not t:
        rows = finite.flatten(1) if finite.ndim > 1 else finite[:, None]
        sample.inputs_seen.update(_keys((rows @ project[width]).cpu(), unit))
    parts = tensors_in(batch)
    for part in parts[1:]:
        if part.ndim <= 1 and part.numel() == len(x) and not part.is_floating_point():
            sample.labels.append(part.detach().cpu().reshape(-1))
            break
