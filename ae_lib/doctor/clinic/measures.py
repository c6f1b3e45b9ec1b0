"""Train a program of the clinic and measure how well it does.

A case is a dict with the arguments of `doctor.examine` and two optional keys of its
own: `judge`, tensors or (input, clean target) pairs to measure on, and `view`, which
turns an output into a picture (a sigmoid for logits). Every measure is better when
it is higher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def x_hat(output) -> Tensor:
    """Take the reconstruction out of a model's output."""
    if isinstance(output, Tensor | tuple):
        return output[0] if isinstance(output, tuple) else output
    named = output if isinstance(output, dict) else vars(output)
    names = ("x_hat", "recon", "reconstruction")
    return next(named[name] for name in names if name in named)


def pair(case: dict, batch) -> tuple[Tensor, Tensor]:
    """Split a batch into input and target by the rule of `doctor.examine`."""
    if case.get("pair"):
        return case["pair"](batch)
    if isinstance(batch, Tensor):
        return batch, batch
    first, second = batch
    return (first, second) if first.shape == second.shape else (first, first)


def train(case: dict, steps: int) -> list[float]:
    """Run the program's training step `steps` times; return the losses.

    Without a `step` of its own the program gets the usual one; without an optimizer,
    Adam with a learning rate of 1e-3.
    """
    model, losses = case["model"], []
    optimizer = case.get("optimizer")
    if optimizer is None and not case.get("step") and steps:
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def usual(model, batch) -> float:
        x, target = pair(case, batch)
        output = model(x)
        loss_of = case.get("loss")
        loss = loss_of(output, target) if loss_of else F.mse_loss(x_hat(output), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    step = case.get("step") or usual
    while len(losses) < steps:
        before = len(losses)
        for batch in case["batches"]:
            model.train()
            losses.append(step(model, batch))
            if len(losses) == steps:
                break
        if len(losses) == before:
            raise ValueError("batches is empty, expected at least one batch")
    return losses


@torch.no_grad()
def outputs(case: dict) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs, targets and reconstructions of the judged batches (eval mode)."""
    model, view = case["model"], case.get("view", lambda picture: picture)
    judged = case.get("judge")
    judged = case.get("eval_batches") if judged is None else judged
    judged = case["batches"] if judged is None else judged
    rule = {} if "judge" in case else case
    was, rows = model.training, []
    model.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for batch in judged:
            x, target = pair(rule, batch)
            if len(x):
                picture = view(x_hat(model(x))).float()
                rows.append((x, target.float(), picture))
    model.train(was)
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def r2(case: dict) -> float:
    """Return 1 - MSE / MSE(mean image) on the judged batches."""
    _, target, picture = outputs(case)
    error = (picture.reshape(target.shape) - target).square().mean()
    return 1 - (error / (target - target.mean(0)).square().mean()).item()


def _mix(module, args, output: Tensor) -> Tensor:
    return output.roll(1, 0)


def code_matters(case: dict) -> float:
    """Return how much of the mean-image error comes back when codes change places.

    Needs `model.bottleneck`, the module whose output is the code.
    """
    plain = r2(case)
    handle = case["model"].bottleneck.register_forward_hook(_mix)
    mixed = r2(case)
    handle.remove()
    return plain - mixed


@torch.no_grad()
def refuses_noise(case: dict) -> float:
    """Return 1 - R² on noise images with the mean and spread of the data."""
    x, _, _ = outputs(case)
    made = torch.Generator().manual_seed(0)
    noise = torch.randn(x.shape, generator=made) * x.std() + x.mean()
    noise = noise.clamp(x.min(), x.max())
    return 1 - r2({"model": case["model"], "batches": [noise]})


def codes(case: dict) -> Tensor:
    """Return `model.encode` of the judged inputs, in eval mode."""
    x, _, _ = outputs(case)
    was = case["model"].training
    case["model"].eval()
    with torch.no_grad():
        z = case["model"].encode(x)
    case["model"].train(was)
    return z


def quiet_units(case: dict) -> float:
    """Return the share of code entries below a tenth of the code's root mean square."""
    z = codes(case)
    return (z.abs() < 0.1 * z.square().mean().sqrt()).float().mean().item()


def used_units(case: dict) -> float:
    """Return the share of code units whose mean varies by more than 0.1."""
    z = codes(case)
    return (z.std(0) > 0.1).float().mean().item()


def neighbours(case: dict) -> float:
    """Return the accuracy of a 5-nearest-neighbour vote on the code.

    Needs `labels` in the order of the batches; every other sample is a vote.
    """
    z, y = codes(case).flatten(1), torch.as_tensor(case["labels"])
    near = torch.cdist(z[1::2], z[::2]).topk(5, largest=False).indices
    vote = y[::2][near].mode(1).values
    return (vote == y[1::2]).float().mean().item()


def jacobian(model, x: Tensor) -> Tensor:
    """Return the squared Frobenius norm of d encode / d x for every sample."""
    from torch.func import jacrev, vmap

    rows = vmap(jacrev(lambda one: model.encode(one[None])[0]))(x)
    return rows.square().flatten(1).sum(1).detach()


def true_penalty(case: dict) -> float:
    """Return the correlation over samples of the penalty with the encoder's Jacobian.

    With the reconstruction as target nothing but the penalty is left of the loss.
    """
    x, _, _ = outputs(case)
    model, rows = case["model"], x[:128].split(1)
    outs = [model(row) for row in rows]
    found = torch.tensor([case["loss"](out, x_hat(out).detach()) for out in outs])
    return torch.corrcoef(torch.stack([found, jacobian(model, x[:128])]))[0, 1].item()


def no_grid(case: dict) -> float:
    """Return minus log10 of the output's finest stripes relative to the target's.

    Finest stripes: the power at the highest frequency of rows and columns, as a share
    of all power. Zero for an output as smooth as its target.
    """
    _, target, picture = outputs(case)
    return -(_stripes(picture) / _stripes(target)).log10().item()


def _stripes(images: Tensor) -> Tensor:
    images = images - images.mean((-1, -2), keepdim=True)
    power = torch.fft.fft2(images).abs().square()
    row, column = images.shape[-2] // 2, images.shape[-1] // 2
    return (power[..., row, :].mean() + power[..., :, column].mean()) / power.mean()


def detail(case: dict) -> float:
    """Return R² of the fine detail: each image minus its 3 x 3 average."""
    _, target, picture = outputs(case)

    def fine(images: Tensor) -> Tensor:
        return images - F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)

    error = (fine(picture) - fine(target)).square().mean()
    return 1 - (error / fine(target).var()).item()
