import torch
import torch.nn.functional as F


def by_hand(model, spoil, x, generator):
    """Spoil first, and square by hand."""
    spoilt = spoil(x, generator)
    return (x - model(spoilt)).pow(2).flatten(1).mean(1).mean()


def one_by_one(model, spoil, x, generator):
    losses = [F.mse_loss(model(spoil(a, generator)), a) for a in x.split(1)]
    return torch.stack(losses).mean()


def loss_of(value):
    """Return an answer that gives value(answer, spoilt, clean)."""

    def denoising_loss(model, spoil, x, generator):
        seen = spoil(x, generator)
        return value(model(seen), seen, x)

    return denoising_loss


def plain(model, spoil, x, generator):
    return F.mse_loss(model(x), x)


def spoilt_in_vain(model, spoil, x, generator):
    spoil(x, generator)
    return F.mse_loss(model(x), x)


def target_spoilt_too(model, spoil, x, generator):
    return F.mse_loss(model(spoil(x, generator)), spoil(x, generator))


def no_model(model, spoil, x, generator):
    return F.mse_loss(spoil(x, generator), x)


def fixed_seed(model, spoil, x, generator):
    again = torch.Generator().manual_seed(0)
    return F.mse_loss(model(spoil(x, again)), x)


def other_generator(model, spoil, x, generator):
    return F.mse_loss(model(spoil(x, torch.default_generator)), x)


def in_place(model, spoil, x, generator):
    clean = x.clone()
    x.copy_(spoil(x, generator))
    return F.mse_loss(model(x), clean)


def clipped(model, spoil, x, generator):
    return F.mse_loss(model(spoil(x, generator).clamp(0.3, 0.6)), x)


@torch.no_grad()
def without_gradient(model, spoil, x, generator):
    return F.mse_loss(model(spoil(x, generator)), x)


def by_library(x, size):
    """Leave it to SciPy, whose "nearest" repeats the edge."""
    from scipy.ndimage import median_filter

    window = (1, 1, size, size)
    return torch.from_numpy(median_filter(x.numpy(), window, mode="nearest"))


def by_shifts(x, size):
    r = size // 2
    padded = F.pad(x, (r, r, r, r), mode="replicate")
    h, w = x.shape[2:]
    shifted = [
        padded[..., i : i + h, j : j + w] for i in range(size) for j in range(size)
    ]
    return torch.stack(shifted).sort(0).values[size**2 // 2]


def squares(reduce=None, mode="replicate", colours=False):
    """Return a filter that reduces each square like this."""
    reduce = reduce or (lambda s: s.median(-1).values)

    def median_filter(x, size):
        r = size // 2
        s = F.pad(x, (r, r, r, r), mode=mode)
        s = s.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
        if colours:
            s = s.permute(0, 2, 3, 1, 4).flatten(3)
            return reduce(s)[:, None].expand_as(x)
        return reduce(s)

    return median_filter


def unpadded(x, size):
    return x.unfold(2, size, 1).unfold(3, size, 1).flatten(4).median(-1).values


def border_kept(x, size):
    y, r = x.clone(), size // 2
    y[..., r:-r, r:-r] = unpadded(x, size)
    return y


def border_black(x, size):
    r = size // 2
    return F.pad(unpadded(x, size), (r, r, r, r))


def along_rows(x, size):
    r = size // 2
    return F.pad(x, (r, r, 0, 0), mode="replicate").unfold(3, size, 1).median(-1).values


def median_in_place(x, size):
    x.copy_(squares()(x, size))
    return x


RIGHT = {
    "15.1": [by_hand, one_by_one, loss_of(lambda y, seen, x: F.mse_loss(y, x))],
    "15.2": [by_library, by_shifts, squares()],
}
WRONG = {
    "15.1": [
        (loss_of(lambda y, seen, x: F.mse_loss(y, seen)), "target is the spoilt image"),
        (target_spoilt_too, "spoilt as well, by other noise"),
        (plain, "spoil was never called"),
        (spoilt_in_vain, "is given the clean images"),
        (no_model, "the model was never called"),
        (loss_of(lambda y, seen, x: F.mse_loss(seen, x)), "that is the damage"),
        (loss_of(lambda y, seen, x: (y - x).square().sum()), "a sum over pixels"),
        (
            loss_of(lambda y, seen, x: (y - x).square().flatten(1).sum(1).mean()),
            "you add up over the pixels",
        ),
        (loss_of(lambda y, seen, x: F.mse_loss(y, x).sqrt()), "the root"),
        (loss_of(lambda y, seen, x: F.l1_loss(y, x)), "mean absolute"),
        (loss_of(lambda y, seen, x: 2 * F.mse_loss(y, x)), "this is not the mean"),
        (loss_of(lambda y, seen, x: F.mse_loss(y, x).item()), "no gradient"),
        (without_gradient, "no gradient"),
        (loss_of(lambda y, seen, x: F.mse_loss(y, x).detach()), "no gradient"),
        (clipped, "not what spoil returned"),
        (fixed_seed, "learn it by heart"),
        (other_generator, "another generator than yours"),
        (in_place, "have changed"),
        (loss_of(lambda y, seen, x: (y - x) ** 2), "should be one number"),
        (loss_of(lambda y, seen, x: None), "`return`"),
    ],
    "15.2": [
        (squares(mode="constant"), "black takes part in the vote"),
        (squares(mode="reflect"), "you mirror the image"),
        (squares(mode="circular"), "begins again at the other side"),
        (border_kept, "left as it was"),
        (border_black, "the inside is right"),
        (unpadded, "a border of 1 is lost"),
        (squares(lambda s: s.mean(-1)), "the mean of each square"),
        (squares(colours=True), "three colours vote together"),
        (squares(lambda s: s.amax(-1)), "the largest value"),
        (squares(lambda s: s.amin(-1)), "the least value"),
        (along_rows, "along rows only"),
        (lambda x, size: x.clone(), "nothing has changed"),
        (lambda x, size: squares()(x, 3), "still take squares of 3×3"),
        (lambda x, size: squares()(x, size).sqrt(), "not the median of each square"),
        (median_in_place, "have changed"),
        (lambda x, size: squares()(x, size)[0], "has shape"),
        (lambda x, size: None, "`return`"),
    ],
}
