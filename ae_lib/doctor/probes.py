"""Are the codes better features than PCA's, or a random encoder's?"""

import torch

from . import arms, trace
from .case import join
from .linear import components
from .sample import main_tensor, tensors_in

COUNT = 512
ERRORS = 10  # of the better rival, below which no gain could be seen


def accuracy(features, labels):
    """Return the held-out accuracy of a ridge classifier on unscaled features."""
    values = features.double().flatten(1)
    values = torch.cat([values, torch.ones(len(values), 1, dtype=torch.double)], 1)
    classes, index = labels.unique(return_inverse=True)
    goal = torch.eye(len(classes), dtype=torch.double)[index]
    test = torch.arange(len(values)) % 3 == 0
    fit = values[~test]
    ridge = 1e-3 * fit.square().sum(0).mean() * torch.eye(fit.shape[1]).double()
    weights = torch.linalg.solve(fit.T @ fit + ridge, fit.T @ goal[~test])
    return ((values[test] @ weights).argmax(1) == index[test]).double().mean().item()


def nearest(features, labels, k=5):
    """Return the held-out accuracy of the vote of the nearest neighbours."""
    values = features.double().flatten(1)
    classes, index = labels.unique(return_inverse=True)
    test = torch.arange(len(values)) % 3 == 0
    near = torch.cdist(values[test], values[~test]).topk(k, largest=False).indices
    votes = torch.eye(len(classes))[index[~test]][near].sum(1)
    return (votes.argmax(1) == index[test]).double().mean().item()


def standardised(values):
    """Return features with mean 0 and deviation 1."""
    values = values.double().flatten(1)
    return (values - values.mean(0)) / (values.std(0) + 1e-9)


def check(case):
    """Report a code that is no better than PCA and a random encoder, or unscaled."""
    labels = case.labels
    useful = case.trained or case.r2_now > 0.05
    if labels is None or case.code[0] is None or not useful:
        case.skip("needs labels, a bottleneck and a trained model", "features.no-gain")
        return
    batch = join(case.sample.raw, COUNT)
    labels = torch.as_tensor(labels).flatten()
    own = [t for t in case.sample.labels]
    with case.program.trial():
        source, goal = case.program.pair(batch)
    n = len(main_tensor(source))
    if own and len(torch.cat(own)) >= n:
        labels = _labels_like(case, n)
    elif len(case.sample.raw) == 1 or sum(map(len, case.sample.features)) >= n:
        source, labels = _in_order(case, labels)
        n = len(labels)
    if labels is None or n < 60 or len(labels.unique()) < 2:
        case.skip("too few labelled samples", "features.no-gain")
        return
    index = case.code[0].index

    encode = getattr(case.program.model, "encode", None)

    def codes():
        with torch.no_grad():
            if encode is not None:
                z = encode(case.program.move(main_tensor(source)))
                z = main_tensor(z)
                if z is not None and z.ndim > 1 and len(z) == n:
                    return z.detach().float().cpu()
            _, ops = trace.follow(case.program, source, n)
        return next(o.out for o in ops if o.index == index).detach().float().cpu()

    try:
        with case.program.trial(False):
            z = codes().flatten(1)
        with case.program.trial(False):
            arms.fresh_start(case.program.model)
            random = codes().flatten(1)
    except Exception as problem:
        case.skip(f"the codes raised {type(problem).__name__}", "features.no-gain")
        return
    case.did("features.no-gain")
    x = main_tensor(source).float().cpu()
    mean, basis, _ = components(x, z.shape[1])
    pca = (x.flatten(1).double() - mean) @ basis
    rows = {
        "code": accuracy(standardised(z), labels),
        "code, unscaled": accuracy(z, labels),
        "PCA": accuracy(standardised(pca), labels),
        "random encoder": accuracy(standardised(random), labels),
    }
    case.measured["probe accuracy"] = rows
    spread = z.std(0)
    scale = (spread.max() / spread.median().clamp(min=1e-12)).item()
    least = min(rows["PCA"], rows["random encoder"])
    poor = rows["code"] <= least + case.limits["features.margin"]
    rivals = max(rows["PCA"], rows["random encoder"])
    poor = poor or rows["code"] < rivals - case.limits["features.below"]
    unscaled = scale > case.limits["features.scale"]
    lost = rows["code"] - rows["code, unscaled"]
    if unscaled and lost < 0.05:  # a ridge hardly minds, distances do
        lost = nearest(standardised(z), labels) - nearest(z, labels)
        rows |= {"code, unscaled": rows["code"] - lost}
    unscaled = unscaled and lost > 0.05
    poor = poor and (1 - rivals) * len(labels) / 3 >= ERRORS  # a third is tested
    if not poor and not unscaled:
        return
    case.find(
        "features.no-gain",
        "warning",
        {
            "statistic": "accuracy of a linear probe",
            "value": rows["code, unscaled" if unscaled else "code"],
            "threshold": rows["code" if unscaled else "PCA"],
            "where": f"code, {case.code[0]}",
            "random encoder": rows["random encoder"],
            "largest unit over the median one": scale,
        },
        "Not the classifier: the same probe does "
        + (
            "better on the standardised code."
            if unscaled
            else "as well on PCA or on an untrained encoder."
        ),
        "z = (z - z.mean(0)) / z.std(0)  # before the classifier"
        if unscaled
        else "train longer or differently before using the code as features; PCA with "
        f"{z.shape[1]} components is cheaper",
        "The probe on the code beats the probe on PCA.",
    )


def _labels_like(case, n):
    """Take the labels that stand in the batches, in the order `join` uses."""
    parts = [b for b in case.sample.raw]

    def label(batch):
        for t in tensors_in(batch)[1:]:
            if t.ndim <= 1 and not t.is_floating_point():
                return t.reshape(-1)
        return None

    joined = join(parts, COUNT)
    found = label(joined)
    return None if found is None else found[:n].cpu()


def _in_order(case, labels):
    """Pair samples with given labels in the order of the batches."""
    x = torch.cat(case.sample.inputs)
    n = min(len(x), len(labels), COUNT)
    return x[:n], labels[:n]
