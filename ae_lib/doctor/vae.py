"""Variational autoencoders: the weight of the KL term, idle units, log-variance."""

import math

import torch

from . import lines, logvars, penalties
from . import sample as samples

VAE = ("vae.collapse", "vae.logvar", "loss.scale")


def check(case):
    """Weigh the further terms of the loss, if it has any."""
    if case.out is None or case.out.x_hat is None or case.loss_trouble is not None:
        case.skip("the model or the loss raised", *VAE)
        return
    if case.is_vae:
        logvars.logvar(case)
        weigh_vae(case)
        active(case)
    elif case.program.loss is not None:
        penalties.penalty(case)


def per_sample(tensor):
    """Sum over everything but the batch."""
    return tensor.flatten(1).sum(1)


def kl(mu, lv):
    """Return the KL divergence to a standard normal, one value per sample (nats)."""
    return 0.5 * per_sample(mu.square() + lv.exp() - 1 - lv)


class Probe:
    """The user's loss as a function of x_hat, mu and logvar."""

    def __init__(self, case, source, target):
        self.case, self.program, self.target = case, case.program, target
        self.out = self.program.forward(source)
        goal = self.program.move(samples.main_tensor(target))
        self.goal = goal.reshape(self.out.x_hat.shape).to(self.out.x_hat)
        if self.program.link == "logit":
            self.perfect = torch.logit(self.goal.clamp(1e-4, 1 - 1e-4))
        elif getattr(case, "bounds", ("", 0, 0))[0] == "Sigmoid":
            self.perfect = self.goal.clamp(1e-4, 1 - 1e-4)
        else:
            self.perfect = self.goal
        mean = self.goal.mean(0, keepdim=True).expand_as(self.goal).contiguous()
        if self.program.link == "logit":
            mean = torch.logit(mean.clamp(1e-4, 1 - 1e-4))
        self.mean = mean

    def __call__(self, x_hat=None, mu=None, lv=None):
        parts = {"x_hat": self.perfect if x_hat is None else x_hat}
        if mu is not None:
            parts |= {"mu": mu, "logvar": lv}
        raw = self.program.replaced(self.out.raw, **parts)
        return float(self.program.loss_of(raw, self.target))


def weigh_vae(case):
    """Compare the weight of the KL term with what the data can afford.

    For a loss a·SSE + b·KL per sample the decoder's variance is b/(2a); a unit can be
    active only where an eigenvalue of the data covariance exceeds it (Lucas 2019).
    """
    program = case.program
    if program.loss is None:
        case.skip("the loss was not given, so its terms cannot be weighed", *VAE)
        return
    try:
        with program.trial(True), torch.no_grad():
            probe = Probe(case, case.source, case.pair[1])
            n = len(probe.goal)
            zero = torch.zeros_like(probe.out.mu)
            maker = torch.Generator().manual_seed(0)
            mu = torch.randn(zero.shape, generator=maker).to(zero)
            base = probe(mu=zero, lv=zero)
            sse = per_sample((probe.goal - probe.goal.mean(0)).square()).mean().item()
            a = (probe(x_hat=probe.mean, mu=zero, lv=zero) - base) / max(sse, 1e-12)
            b_mu = (probe(mu=mu, lv=zero) - base) / kl(mu, zero).mean().item()
            lv = zero - 1.5
            b_lv = (probe(mu=zero, lv=lv) - base) / kl(zero, lv).mean().item()
            wide = zero + 3.0  # e³ = 20 times the variance of the prior
            b_up = (probe(mu=zero, lv=wide) - base) / kl(zero, wide).mean().item()
            half = _half(case, n)
    except Exception as problem:
        case.skip(f"weighing the terms raised {type(problem).__name__}", *VAE[::2])
        return
    case.did("loss.scale", "vae.collapse")
    case.measured["loss weights"] = {"a": a, "b": b_mu, "b from logvar": b_lv}
    width, units = probe.goal[0].numel(), probe.out.mu[0].numel()
    if abs(b_mu) > 1e-12 and _without_gradient(case):
        return
    weights = (b_mu, b_lv, b_up)
    if min(weights) < -1e-9:
        _sign(case, weights)
        return
    if b_mu > 0 and (b_lv < 0.05 * b_mu or b_lv > 20 * b_mu):
        _sign(case, weights)
        return
    if a <= 0 or b_mu <= 0:
        return
    noise = b_mu / (2 * a) * _at_full_batch(case, half, n)
    values = eigenvalues(case)
    able = int((values > noise).sum())
    possible = min(units, len(values))
    reduced = _mean_like(a, width)
    growth = half and abs(half[0] / max(half[1], 1e-12))
    mixed = growth is not None and growth and not 0.67 < growth < 1.5
    share = case.limits["vae.mixed" if mixed else "vae.share"]
    needed = max(1, math.ceil(share * min(possible, 20)))
    floor = values[min(units, len(values)) - 1].item()
    drowned = noise < 1e-2 * floor and (mixed or noise < 1e-5 * values.max().item())
    evidence = {
        "statistic": "decoder variance b/(2a), against the data's largest eigenvalue",
        "value": noise,
        "threshold": values.max().item(),
        "where": "loss: reconstruction and KL terms",
        "weight of squared error, a": a,
        "weight of KL, b": b_mu,
        "units that can be active": able,
        "of": units,
    }
    if able >= needed and not drowned:
        return
    cure = lines.elbo(case, max(0.5 * floor, 1e-3 * values[0].item()))
    if drowned:
        case.find(
            "loss.scale",
            "warning",
            evidence,
            "Not a collapse: the KL term is so light that the codes are free to leave "
            "the prior.",
            cure,
            "Both terms are sums over one sample, averaged over the batch.",
        )
        return
    if reduced or mixed:
        case.find(
            "loss.scale",
            "error",
            evidence,
            "Not a weak decoder: the squared error is averaged over "
            f"{width} values and the KL is not, so the KL weighs {b_mu / a:.3g} times "
            "more per unit."
            if not mixed
            else "Not a weak decoder: one term grows with the batch, the other does "
            "not.",
            cure,
            f"b/(2a) falls below {values[: max(needed, 2)].min().item():.3g}, and at "
            f"least {needed} units stay active.",
        )
    case.find(
        "vae.collapse",
        "error",
        evidence,
        "Not the optimizer: with these weights the best linear VAE switches off all "
        "but "
        f"{able} units, however long it trains.",
        f"{cure}  # or multiply the KL term by {0.1 * values[0].item() / noise:.2g}",
        "The variance of mu across inputs exceeds 0.01 in several units.",
    )


def _without_gradient(case):
    """Report a KL term whose value counts in the loss and whose gradient does not."""
    program, found = case.program, {}
    with program.trial(True):
        probe = Probe(case, case.source, case.pair[1])
        mu = torch.full_like(probe.out.mu, 0.5).requires_grad_()
        lv = torch.full_like(probe.out.mu, -1.0).requires_grad_()
        spots = {"x_hat": probe.perfect.detach(), "mu": mu, "logvar": lv}
        value = program.loss_of(program.replaced(probe.out.raw, **spots), case.pair[1])
        for name, part in (("mu", mu), ("logvar", lv)):
            grad = None
            if value.requires_grad:
                (grad,) = torch.autograd.grad(
                    value, part, allow_unused=True, retain_graph=True
                )
            found[name] = 0.0 if grad is None else grad.abs().sum().item()
    lost = [name for name, size in found.items() if not size]
    if not lost:
        return False
    case.find(
        "wiring.no-gradient",
        "error",
        {
            "statistic": "gradient of the loss's KL term",
            "value": found,
            "threshold": "above 0",
            "where": f"KL term, {' and '.join(lost)}",
        },
        "Not a small weight: the term changes the loss, but autograd sees a constant, "
        "as after .item(), .detach() or .data.",
        "loss = reconstruction + beta * kl  # the tensor itself, not kl.item()",
        "The gradient at mu and logvar differs from 0.",
    )
    return True


def _at_full_batch(case, half, n):
    """Return what b/a grows by from `n` samples to the batches that are served.

    `half` are the growths of a and b when the batch is doubled: 1 for a mean, 2 for a
    sum. Where both grow alike, nothing changes.
    """
    if not half or min(half) <= 0:
        return 1.0
    size = sorted(case.sample.sizes)[len(case.sample.sizes) // 2]
    power = round(math.log2(half[1])) - round(math.log2(half[0]))
    return (max(size, 1) / n) ** power


def _mean_like(a, width):
    """Tell whether the squared error is averaged over the values of a sample."""
    return 0.4 < a * width < 1.3


def _half(case, n):
    """Return how a and b change when the batch is replicated: (growth a, growth b)."""
    program = case.program
    source, target = program.pair(samples.repeat(case.batch, 2))
    probe = Probe(case, source, target)
    once = Probe(case, case.source, case.pair[1])
    rows = []
    for p in (once, probe):
        zero = torch.zeros_like(p.out.mu)
        base = p(mu=zero, lv=zero)
        rows.append(
            (p(x_hat=p.mean, mu=zero, lv=zero) - base, p(mu=zero + 1, lv=zero) - base)
        )
    return rows[1][0] / rows[0][0], rows[1][1] / rows[0][1]


def eigenvalues(case, k=64):
    """Return the leading eigenvalues of the data covariance, largest first."""
    flat = case.t.flatten(1).double()
    rows = flat - flat.mean(0)
    small = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    return (torch.linalg.eigvalsh(small) / len(rows)).flip(0).clamp(min=0)[:k]


def _sign(case, weights):
    """Report a divergence that is not lowest at the prior; weights as in `weigh_vae`.

    Seen through mu, through a smaller variance and through a larger one.
    """
    case.find(
        "loss.domain",
        "error",
        {
            "statistic": "weight of the KL divergence, seen through mu and logvar",
            "value": list(weights),
            "threshold": "equal and above 0",
            "where": "KL term of the loss",
        },
        "Not a matter of weight: moving the code away from the prior "
        + ("lowers the loss." if min(weights) < 0 else "is charged unevenly."),
        "kl = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(1).mean()",
        "The KL term is 0 at mu = 0, logvar = 0 and positive everywhere else.",
    )


def active(case):
    """Count the units whose mean varies, in a trained model."""
    if not case.trained or case.out.mu is None:
        return
    case.did("vae.collapse")
    spread = case.out.mu.detach().double().flatten(1).var(0)
    limit = case.limits["vae.active"]
    count = int((spread > limit).sum())
    case.measured["active units"] = [count, len(spread)]
    if count >= max(1, 0.05 * len(spread)) or case.has("vae.collapse"):
        return
    if case.r2_now > 0.3:
        return
    case.find(
        "vae.collapse",
        "error",
        {
            "statistic": "units whose mean varies across inputs",
            "value": count,
            "threshold": max(1, math.ceil(0.05 * len(spread))),
            "where": "mu",
            "largest variance": spread.max().item(),
            "R²": case.r2_now,
        },
        "Not a few idle units, which a good VAE may have: none carries the input.",
        "loss = reconstruction + beta * kl  # with beta ten times smaller, or warmed "
        "up",
        "Several units vary by more than 0.01 across inputs.",
    )
