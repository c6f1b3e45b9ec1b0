"""The bottleneck: too small, gone around, or wide enough to copy everything."""

import math

import torch

from . import ahead, arms, scores, texture, trace
from .case import join
from .linear import pca_r2
from .sample import main_tensor


def check(case):
    """Weigh the code against PCA, then intervene on it."""
    if case.out is None or case.out.x_hat is None:
        case.skip(
            "the model raised", "code.too-small", "wiring.bypass", "code.identity"
        )
        return
    too_small(case)
    bypass(case)
    identity(case)
    texture.checkerboard(case)
    texture.blurry(case)


def too_small(case):
    """Ask whether PCA with as many components explains the error."""
    op, everything = case.code
    if op is None:
        case.skip("no bottleneck was found", "code.too-small")
        return
    if not everything:
        case.skip("the code is not the only path to the output", "code.too-small")
        return
    if scores.any_order(case):
        case.skip("the loss takes rows in any order", "code.too-small")
        return
    case.did("code.too-small")
    k = case.codes.shape[1]
    best = pca_r2(case.t, k)
    if best is None:
        return
    case.measured["pca"] = {"components": k, "r2": best}
    now = case.r2_now
    limit = case.limits["code.r2"]
    if best >= limit or now > limit + 0.15:
        return
    if case.trained and not now > 0.6 * best:
        return
    if not case.trained and case.program.optimizer is not None:
        later = ahead.look(case)  # few causes may take a curve that PCA cannot follow
        if later is not None and later.r2[-1] > limit + 0.15:
            return
    values = [j for j in (8, 16, 32, 64, 128) if j > k]
    better = next((j for j in values if (pca_r2(case.t, j) or 0) > 0.6), 4 * k)
    case.find(
        "code.too-small",
        "info" if now > case.limits["code.curved"] * max(best, 0.1) else "warning",
        {
            "statistic": f"R² of PCA with {k} components",
            "value": best,
            "threshold": limit,
            "where": f"code, {op}",
            "code": k,
            "R² now": now,
        },
        f"Not the training: the best linear code of {k} number{'s' * (k != 1)} leaves "
        f"{1 - best:.0%} of the variance.",
        f"latent_dim = {better}  # now {k}",
        "R² rises with the code, as PCA's does.",
    )


def narrow(case):
    """Ask of a poor fit that nothing else explains what its code still holds.

    Pooling or strides may leave a code of k numbers far less than k components hold.
    More steps of the program's own must not help, and a linear read-out must agree.
    """
    op, everything = case.code
    best = case.measured.get("pca", {}).get("r2")
    known = any(f.severity != "info" for f in case.findings)
    if known or not everything or best is None or not case.trained:
        return
    low = 0.6 * min(best, 0.8)
    if case.program.step is None and case.program.optimizer is None:
        return
    small = op.width <= 16 and 16 * op.width <= case.flat.shape[1]
    if not small or not case.r2_now < low or case.program.clock.left < 4:
        return
    held = readout(case, op)
    case.measured["read-out"] = held
    later = ahead.look(case)
    if held > low or (later and later.r2[:2][-1] > case.r2_now + 0.1):
        return
    case.find(
        "code.too-small",
        "warning",
        {
            "statistic": "R² of a linear read-out of the code, on held-out images",
            "value": held,
            "threshold": low,
            "where": f"code, {op}",
            "code": op.width,
            "R² of PCA with as many": best,
            "R² now": case.r2_now,
        },
        "Not the length of training: a hundred more steps add less than 0.1; the code "
        "itself holds little of the image, as pooled or strided features do.",
        f"latent_dim = {max(16, 4 * op.width)}  # now {op.width}; from all positions: "
        "nn.Flatten and nn.Linear in the place of pooling",
        "R² rises with the code, as PCA's does.",
    )


def readout(case, op):
    """Return the R² of a linear map from the code to the target, on held-out rows."""
    program, batch = case.program, join(case.sample.raw, 512)
    with program.trial(False), torch.no_grad():
        source, goal = program.pair(batch)
        goal = program.move(main_tensor(goal)).double().flatten(1)
        _, ops = trace.follow(program, source, len(goal))
        z = next(o.out for o in ops if o.index == op.index).double().flatten(1)
    z = torch.cat([z, torch.ones_like(z[:, :1])], 1)
    half = len(z) // 2
    weights = torch.linalg.pinv(z[:half]) @ goal[:half]
    error = (z[half:] @ weights - goal[half:]).square().mean()
    return 1 - (error / (goal[half:] - goal[:half].mean(0)).square().mean()).item()


def shuffled(case, op, change):
    """Return R² with the code changed, in evaluation mode."""
    with case.program.trial(False), torch.no_grad():
        out, _ = trace.follow(case.program, case.source, case.size, {op.index: change})
        return case.r2(case.program.image(out.x_hat).float().flatten(1), case.flat)


def bypass(case):
    """Exchange the codes: without its own code an image must not come back."""
    op, everything = case.code
    if op is None:
        case.skip("no bottleneck was found", "wiring.bypass")
        return
    if not case.trained or not case.r2_now > 0.2:
        if everything:
            case.did("wiring.bypass")
        else:
            _skips(case, op)
        return
    case.did("wiring.bypass")
    normal = shuffled(case, op, lambda z: z)
    wrong = shuffled(case, op, lambda z: z.roll(1, 0))
    same = shuffled(case, op, lambda z: z.mean(0, keepdim=True).expand_as(z) * 1)
    case.measured["exchanged codes"] = {"r2": normal, "other": wrong, "mean": same}
    wrong = max(wrong, same)
    if not normal > 0.2:
        return  # in evaluation mode the model is not yet what it is in training
    if wrong < _level_and_spread(case, case.flat) + 0.05:
        return  # two numbers a sample beside the code, as of a normalisation
    if wrong > case.limits["bypass.share"] * normal:
        _bypassed(case, op, wrong, normal, "error")
        return
    alone = normal if everything else _code_alone(case, op)
    case.measured["exchanged codes"]["code alone"] = alone
    if alone < case.limits["bypass.alone"] * normal:
        _bypassed(case, op, normal - alone, normal, "error")


def _level_and_spread(case, flat):
    """Return R² of one picture for all, moved to each sample's own mean and deviation.

    Models that normalise each sample and undo it at the end pass on so much.
    """
    level, spread = flat.mean(1, keepdim=True), flat.std(1, keepdim=True)
    picture = ((flat - level) / spread.clamp(min=1e-6)).mean(0)
    return case.r2(level + spread * picture, flat)


def _code_alone(case, op):
    """Return R² with the right codes while all other paths carry another image."""
    if not torch.is_tensor(case.source):
        return math.inf
    held = op.out.detach()
    with case.program.trial(False), torch.no_grad():
        other = case.source.roll(1, 0)
        change = {op.index: lambda z: held}
        out, _ = trace.follow(case.program, other, case.size, change)
        return case.r2(case.program.image(out.x_hat).float().flatten(1), case.flat)


def _bypassed(case, op, value, normal, severity):
    same = main_tensor(case.source)
    denoises = same.shape == case.target.shape and not torch.equal(
        same.to(case.target), case.target
    )
    case.find(
        "wiring.bypass",
        "info" if denoises else severity,
        {
            "statistic": "R² that does not come through the code",
            "value": value,
            "threshold": case.limits["bypass.share"] * normal,
            "where": f"around {op}",
            "R² with the right codes": normal,
        },
        "Not a good code: the image comes back without its own code, so it went "
        "around the bottleneck.",
        "remove the skip connections from encoder to decoder: x_hat = decoder(code)",
        "With permuted codes R² falls below 0.",
    )


def _skips(case, op):
    """Fit a few images and permute the codes of an untrained model."""
    program = case.program
    if not hasattr(case, "arm_steps") or program.clock.left < 3:
        case.skip("the model is untrained", "wiring.bypass")
        return
    case.did("wiring.bypass")
    with program.trial(True):
        step, batch = arms.adam_step(case, True), arms.few(case)
        for _ in range(case.arm_steps):
            step(batch)
        program.model.eval()
        source, _ = program.pair(batch)
        size, goal = arms.COUNT, case.flat[: arms.COUNT]
        values = []
        with torch.no_grad():
            for change in (lambda z: z, lambda z: z.roll(1, 0)):
                program.model.train()
                out, _ = trace.follow(program, source, size, {op.index: change})
                x_hat = program.image(out.x_hat).float().flatten(1)
                values.append(case.r2(x_hat, goal))
    normal, wrong = values
    least = max(
        case.limits["bypass.share"] * normal, _level_and_spread(case, goal) + 0.05
    )
    if normal > 0.3 and wrong > least:
        _bypassed(case, op, wrong, normal, "error")


def copied(case):
    """Return the share of a small white disturbance that the network passes on.

    It is the trace of the Jacobian over the number of values: 1 for a copy, at most
    k / D for a code of k numbers.
    """
    x = case.source.float()
    maker = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=maker).to(x)
    noise = 0.05 * x.std() * noise
    up, down = case.reconstruct(x + noise), case.reconstruct(x - noise)
    if up is None or down is None:
        return float("nan")
    flat = noise.flatten(1).to(up)
    return (0.5 * (up - down) * flat).sum().item() / flat.square().sum().item()


def _few_at_a_time(case):
    """Tell whether a layer wider than the input has few units at work, as sparse codes.

    Noise that no few of them can write still finds some that resemble it.
    """
    heavy = [o.index for o in case.ops if o.weighted]
    inner = [o for o in case.ops if heavy and heavy[0] < o.index < heavy[-1]]
    wide = [o for o in inner if o.width >= case.flat.shape[1]]
    idle = [(o.out == 0).double().mean().item() for o in wide]
    return max(idle, default=0.0) > case.limits["identity.idle"]


def identity(case):
    """Disturb the images: a network that passes on everything has learned to copy."""
    if not case.trained or not case.r2_now > 0.7 or not torch.is_tensor(case.source):
        case.skip("the model is untrained or inaccurate", "code.identity")
        return
    if case.source.shape != case.target.shape or not case.source.is_floating_point():
        return
    if not torch.equal(case.program.move(case.source), case.target):
        return  # a denoiser may keep what it is given, and mend the rest
    case.did("code.identity")
    share = copied(case)
    case.measured["copied"] = share
    op, _ = case.code
    limit = case.limits["identity.share" if op else "identity.wide"]
    if op is None and _few_at_a_time(case):
        limit = case.limits["identity.sparse"]
    if op and op.width < case.flat.shape[1]:  # so much any projection passes on
        limit = max(limit, op.width / case.flat.shape[1] + 0.1)
    if not limit < share < case.limits["identity.most"]:
        return  # what amplifies noise is no copy
    width = case.flat.shape[1]
    case.find(
        "code.identity",
        "error",
        {
            "statistic": "share of white noise that the network passes on",
            "value": share,
            "threshold": limit,
            "where": f"code, {op}" if op else "no layer is narrower than the input",
            "values in": width,
            "code": width if op is None else op.width,
        },
        "Not a good fit: noise has no structure to learn, and it comes back as well.",
        f"latent_dim = {max(8, width // 16)}  # well below {width}; or add noise or a "
        "sparsity penalty",
        "Images come back, the noise on them does not.",
    )
