"""Remedies as lines of code for the program at hand, where its layers have a path."""


def spot(path):
    """Return how a program writes the module at a path: model.decoder[3].

    >>> spot("decoder.3.norm")
    'model.decoder[3].norm'
    """
    parts = path.split(".") if path else []
    return "model" + "".join(f"[{p}]" if p.isdigit() else f".{p}" for p in parts)


def place(case, op):
    """Return (path, module) of the module that ran an op, ("", None) for a function."""
    module = dict(case.program.model.named_modules()).get(op.where)
    if not op.where or module is None or next(module.children(), None) is not None:
        return "", None
    return op.where, module


def activation(case, op, new):
    """Return the line that puts `new` in the place of an activation module, or ""."""
    path, module = place(case, op)
    if not path or next(module.parameters(), None) is not None:
        return ""
    if sum(o.where == path for o in case.ops) > 1:
        return ""  # one module in several places
    return f"{spot(path)} = {new}"


def activations(case, ops, new):
    """Return one line for several activation modules, "" if one is a function."""
    lines = [activation(case, op, new) for op in ops]
    lines = list(dict.fromkeys(lines))
    return "; ".join(lines) if lines and all(lines) else ""


def followed(case, ops, new):
    """Return the line that puts `new` behind each of some layers, or ""."""
    paths = list(dict.fromkeys(place(case, op)[0] for op in ops))
    if not paths or not all(paths):
        return ""
    names = [spot(path) for path in paths]
    return "; ".join(f"{name} = nn.Sequential({name}, {new})" for name in names)


def resized(layers):
    """Return the line that enlarges and then convolves, in the place of some layers.

    `layers` are (path, nn.ConvTranspose2d). The new ones give stride times the size;
    "" where an old one did not, or where paths are missing. After Odena, Dumoulin and
    Olah 2016, Deconvolution and Checkerboard Artifacts.
    """
    lines = []
    for path, m in layers:
        k, s, p, extra = (
            v[0] for v in (m.kernel_size, m.stride, m.padding, m.output_padding)
        )
        square = all(
            len(set(v)) == 1
            for v in (m.kernel_size, m.stride, m.padding, m.output_padding, m.dilation)
        )
        if not path or not square or m.dilation[0] != 1 or m.groups != 1:
            return ""
        if k - 2 * p + extra != s:
            return ""
        lines.append(
            f"{spot(path)} = nn.Sequential(nn.Upsample(scale_factor={s}, "
            f"mode='bilinear'), nn.Conv2d({m.in_channels}, {m.out_channels}, 3, "
            "padding=1))"
        )
    return "; ".join(lines)


def ending(case, new, words):
    """Return the line that puts `new` in the place of the last activation, or words.

    Only where that is a module behind the last layer with weights.
    """
    bends = [op for op in case.ops if op.bends or "softmax" in op.kind]
    heavy = [op.index for op in case.ops if op.weighted]
    if not bends or (heavy and bends[-1].index < heavy[-1]):
        return words
    line = activation(case, bends[-1], new)
    return f"{line}  # {words}" if line else words


def elbo(case, variance):
    """Return the loss of a VAE whose decoder has this variance, as one line."""
    shown = "torch.sigmoid(x_hat)" if case.program.link == "logit" else "x_hat"
    same = case.out.x_hat.shape == case.target.shape
    x = "x" if same else "x.reshape(x_hat.shape)"
    error = f"({shown} - {x}).square().flatten(1).sum(1).mean()"
    return (
        f"loss = {error} / {2 * variance:.2g} "
        "- 0.5 * (1 + logvar - mu.square() - logvar.exp()).flatten(1).sum(1).mean()"
    )
