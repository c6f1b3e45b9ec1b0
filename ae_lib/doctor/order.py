"""Which samples come in which order: empty, sorted, repeated and missing ones."""

import torch

REPEATED = "distinct samples over samples served"


def order(case):
    """Look for empty, sorted and repeated batches, and samples never visited."""
    case.did("data.order")
    sample, limits = case.sample, case.limits
    sizes = sample.sizes
    empty = sum(s == 0 for s in sizes)
    if not sizes or empty:
        total = max(len(sizes), 1)
        case.find(
            "data.order",
            "error" if not sizes or empty > 0.02 * total else "warning",
            {
                "statistic": "empty batches",
                "value": empty,
                "threshold": 0,
                "where": f"{empty} of {len(sizes)} batches",
                "samples": sample.count,
            },
            "Not the model: an empty batch reaches it with no sample, and the mean "
            "over nothing is NaN.",
            "for i in range(0, len(data), batch_size): batch = data[i:i + batch_size]"
            "  # step by batch_size, stop at len(data)",
            "Every batch holds samples, and an epoch visits each sample once.",
        )
    if not sizes or not any(sizes):
        return
    _repeats(case)
    ratio, mixed = batch_ratio(sample.features)
    purity = label_purity(sample.labels)
    case.measured["order.ratio"] = ratio
    limit = limits["order.ratio"]
    by_label = purity is not None and purity > 6 and ratio > 1.05 * mixed
    if (ratio > limit and ratio > 1.2 * mixed) or by_label:
        case.find(
            "data.order",
            "warning",
            {
                "statistic": "variance of batch means over that of shuffled batches",
                "value": ratio,
                "threshold": limit,
                "where": f"{len([s for s in sizes if s])} batches",
                **({} if purity is None else {"label z-score": purity}),
            },
            f"Not chance: 400 random orders of these samples give {mixed:.2f} at most.",
            "loader = DataLoader(data, batch_size=..., shuffle=True)"
            "  # or x = x[torch.randperm(len(x))] each epoch",
            "The ratio falls to about 1 and the loss stops jumping between batches.",
        )


def _repeats(case):
    sample = case.sample
    keys = [k for batch in sample.keys for k in batch]
    share = len(set(keys)) / max(len(keys), 1)
    case.measured["order.distinct"] = share
    limit = case.limits["order.distinct"]
    features = torch.cat(sample.features)
    one_image = features[:, 1].max() > 1e-6 and len(set(keys)) == 1
    constant = features.std(0).max() < 1e-6 and not one_image
    full = [s for s in sample.sizes if s]
    natural = _answers(case) or _drawn_anew(case, sample.keys, keys)
    if share < limit and len(full) > 1 and not constant and not natural:
        same = len({tuple(b) for b in map(tuple, sample.keys)}) == 1
        case.find(
            "data.order",
            "error",
            {
                "statistic": REPEATED,
                "value": share,
                "threshold": limit,
                "where": f"{len(set(keys))} distinct of {len(keys)}",
                "every batch the same": same,
            },
            "Not sampling with replacement, which leaves 63 % distinct.",
            "batch = x[i * batch_size:(i + 1) * batch_size]  # move on with each step",
            "len(set of samples served) equals len(data) in one epoch.",
        )
        return
    data = getattr(case.program.batches, "dataset", None)
    try:
        total = len(data)
    except TypeError:
        return
    seen = len(set(keys))
    limit = case.limits["order.visited"]
    if sample.complete and total >= 32 and seen < limit * total and share > limit:
        case.find(
            "data.order",
            "warning",
            {
                "statistic": "share of the data set visited in an epoch",
                "value": seen / total,
                "threshold": limit,
                "where": f"{seen} of {total} samples",
            },
            "Not the shuffle: one full pass over the batches was counted.",
            "iterate over the whole loader: drop_last=False, no early break",
            "The number of distinct samples in an epoch equals len(dataset).",
        )


def _answers(case):
    """Tell whether samples are short rows of zeros and ones, which repeat by nature."""
    x = case.x.flatten(1)
    return x.shape[1] <= 64 and bool(((x == 0) | (x == 1)).all())


def _drawn_anew(case, batches, keys):
    """Tell whether rows of zeros and ones repeat as drawings of few kinds do.

    Then they repeat within a batch as they do in any drawing of that size; a loop that
    does not move on, or goes over a few batches again, repeats whole batches.
    """
    x = case.x
    if len(set(keys)) < 32 or not bool(((x == 0) | (x == 1)).all()):
        return False
    maker = torch.Generator().manual_seed(0)
    order = torch.randperm(len(keys), generator=maker).tolist()
    within = mixed = start = 0
    for batch in batches:
        drawn = {keys[i] for i in order[start : start + len(batch)]}
        start += len(batch)
        within, mixed = within + len(set(batch)), mixed + len(drawn)
    return within < 1.05 * mixed


def batch_ratio(features):
    """Return (ratio, ratio when shuffled): batch-mean variance over its expectation.

    `features` holds one (n, F) tensor per batch. The feature that differs most between
    batches counts; shuffled batches give about 1, and the second number is the largest
    of 400 random orders.
    """
    if len(features) < 3:
        return 1.0, 1.0
    rows = torch.cat(features).double()
    rows = rows[:, rows.std(0) > 1e-6]
    if not rows.shape[1]:
        return 1.0, 1.0
    rows = (rows - rows.mean(0)) / rows.std(0)
    sizes = torch.tensor([len(f) for f in features])
    batch = torch.repeat_interleave(torch.arange(len(sizes)), sizes)

    def ratio(values):
        sums = torch.zeros(len(sizes), values.shape[1], dtype=torch.double)
        sums.index_add_(0, batch, values)
        total = (sums.square() / sizes[:, None]).sum(0)
        return (total / (len(sizes) - 1)).max().item()

    maker = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(rows), generator=maker) for _ in range(400)]
    return ratio(rows), max(ratio(rows[order]) for order in orders)


def label_purity(labels):
    """Return the z-score of how alike labels within a batch are; None without."""
    if len(labels) < 3:
        return None
    everything = torch.cat(labels)
    if len(everything.unique()) < 2 or len(everything.unique()) > 0.5 * len(everything):
        return None
    sizes = [len(b) for b in labels]

    def alike(values):
        total = 0.0
        for part in values.split(sizes):
            counts = part.unique(return_counts=True)[1].double()
            total += (counts.square().sum() / len(part)).item()
        return total / len(sizes)

    maker = torch.Generator().manual_seed(0)
    chance = torch.tensor([
        alike(everything[torch.randperm(len(everything), generator=maker)])
        for _ in range(20)
    ])  # fmt: skip
    return (alike(everything) - chance.mean().item()) / (chance.std().item() + 1e-6)
