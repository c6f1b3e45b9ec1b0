import torch
import torch.nn.functional as F


def by_index(model, optimizer, x, batch_size):
    """Collect the error of each image, and average once."""
    model.train()
    errors = []
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        each = (model(batch) - batch).pow(2).flatten(1).mean(1)
        optimizer.zero_grad(set_to_none=False)
        each.mean().backward()
        optimizer.step()
        errors += each.tolist()
    return sum(errors) / len(errors)


def loop(total, clear=True, step=True, train=True, drop=False, item=True):
    """Return a loop with these parts, whose answer is total(losses, sizes)."""

    def train_epoch(model, optimizer, x, batch_size):
        if train:
            model.train()
        losses, sizes = [], []
        for batch in x.split(batch_size):
            if drop and len(batch) < batch_size:
                break
            loss = F.mse_loss(model(batch), batch)
            if clear:
                optimizer.zero_grad()
            loss.backward()
            if step:
                optimizer.step()
            losses.append(loss.item() if item else loss)
            sizes.append(len(batch))
        return total(losses, sizes)

    return train_epoch


def weighted(losses, sizes):
    return sum(a * n for a, n in zip(losses, sizes, strict=True)) / sum(sizes)


def whole(model, optimizer, x, batch_size):
    return loop(weighted)(model, optimizer, x, len(x))


def cleared_too_late(model, optimizer, x, batch_size):
    model.train()
    for batch in x.split(batch_size):
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
    return loss.item()


@torch.inference_mode()
def at_once(model, x, batch_size):
    """Collect the reconstructions, and put the modes back by a dict."""
    modes = {name: part.training for name, part in model.named_modules()}
    model.eval()
    x_hat = torch.cat([model(part) for part in x.split(batch_size)])
    for name, part in model.named_modules():
        part.training = modes[name]
    return F.mse_loss(x_hat, x).item()


def look(total=weighted, mode="eval", after="restore", grad=False, drop=False):
    """Return a validation with these parts."""

    def validate(model, x, batch_size):
        modes = [(part, part.training) for part in model.modules()]
        if mode == "eval":
            model.eval()
        losses, sizes = [], []
        with torch.set_grad_enabled(grad):
            for batch in x.split(batch_size):
                if not (drop and len(batch) < batch_size):
                    losses.append(F.mse_loss(model(batch), batch).item())
                    sizes.append(len(batch))
        if after == "train":
            model.train()
        elif after == "restore":
            for part, training in modes:
                part.training = training
        return total(losses, sizes)

    return validate


def restores_the_top_only(model, x, batch_size):
    training = model.training
    value = look(after="nothing")(model, x, batch_size)
    model.train(training)
    return value


RIGHT = {"05.1": [by_index, loop(weighted)], "05.2": [at_once, look()]}
WRONG = {
    "05.1": [
        (loop(lambda losses, sizes: sum(losses) / len(losses)), "count alike"),
        (
            loop(lambda losses, sizes: sum(losses) / sum(sizes)),
            "averaged over the batch ",
        ),
        (loop(lambda losses, sizes: sum(losses) / sum(sizes)), "twice"),
        (loop(lambda losses, sizes: sum(losses)), "added up; you want"),
        (loop(lambda losses, sizes: sum(losses) / 2), "not counted"),
        (loop(lambda losses, sizes: losses[-1]), "last batch alone"),
        (loop(lambda losses, sizes: weighted(losses, sizes) * 10), "not divided"),
        (loop(weighted, clear=False), "zero_grad() is missing"),
        (loop(weighted, step=False), "no weight has moved"),
        (cleared_too_late, "no weight has moved"),
        (loop(weighted, train=False), "model.train() first"),
        (loop(weighted, drop=True), "8 of 10 images"),
        (loop(weighted, item=False), ".item()"),
        (whole, "a batch of 10 images"),
        (loop(lambda losses, sizes: None), "`return`"),
        (loop(lambda losses, sizes: 1.0), "the loss is off: expected"),
    ],
    "05.2": [
        (look(mode="as it is"), "measures in training mode"),
        (look(after="nothing"), "left in evaluation mode"),
        (look(after="train"), "a frozen part"),
        (restores_the_top_only, "a frozen part"),
        (look(grad=True), "torch.no_grad()"),
        (look(lambda losses, sizes: sum(losses) / len(losses)), "count alike"),
        (look(lambda losses, sizes: sum(losses) / sum(sizes)), "twice"),
        (look(drop=True), "8 of 10 images"),
        (look(lambda losses, sizes: None), "`return`"),
    ],
}
