import torch


def one_by_one(encode, decode, x_a, x_b, n):
    """Decode each code on its own."""
    a, b = encode(x_a.unsqueeze(0)), encode(x_b.unsqueeze(0))
    images = [decode(torch.lerp(a, b, i / (n - 1))) for i in range(n)]
    return torch.cat(images)


def codes(encode, x_a, x_b):
    return encode(x_a[None]), encode(x_b[None])


def along(t, blend=False):
    """Return a walk whose steps are t(n), in the code or between reconstructions."""

    def walk(encode, decode, x_a, x_b, n):
        a, b = codes(encode, x_a, x_b)
        s = t(n)[:, None]
        if blend:
            s = s[..., None, None]
            return (1 - s) * decode(a) + s * decode(b)
        return decode((1 - s) * a + s * b)

    return walk


def even(n):
    return torch.linspace(0, 1, n)


def pixels(encode, decode, x_a, x_b, n):
    s = even(n)[:, None, None, None]
    return (1 - s) * x_a + s * x_b


def encoded_blends(encode, decode, x_a, x_b, n):
    return decode(encode(pixels(encode, decode, x_a, x_b, n)))


def no_batch(encode, decode, x_a, x_b, n):
    return encode(x_a)


def sorted_away(z, k):
    """Sort every row, and take oneself out by number."""
    apart = (z[:, None] - z[None]).norm(dim=2)
    rows = []
    for i, order in enumerate(apart.argsort(dim=1).tolist()):
        rows.append([j for j in order if j != i][:k])
    return torch.tensor(rows)


def nearest(z, k, far=False):
    return torch.cdist(z, z).topk(k, largest=far).indices


def flipped(z, k):
    return sorted_away(z, k).flip(1)


def by_product(z, k):
    return (z @ z.T).fill_diagonal_(-torch.inf).topk(k).indices


def by_angle(z, k):
    z = z / z.norm(dim=1, keepdim=True)
    return by_product(z, k)


RIGHT = {"06.1": [one_by_one, along(even)], "06.2": [sorted_away]}
WRONG = {
    "06.1": [
        (pixels, "blend the two images"),
        (along(even, blend=True), "blend the two reconstructions"),
        (encoded_blends, "walk between the two codes"),
        (along(lambda n: even(n).flip(0)), "from b to a"),
        (along(lambda n: even(n + 2)[1:-1]), "both ends are missing"),
        (along(lambda n: torch.arange(n) / n), "arange does not"),
        (along(lambda n: even(n + 1)), "6 images for n = 5"),
        (along(lambda n: even(n) ** 2), "at equal steps"),
        (no_batch, "encode wants images"),
    ],
    "06.2": [
        (lambda z, k: nearest(z, k), "leave it out"),
        (lambda z, k: nearest(z, k + 1)[:, 1:], "not by its place"),
        (lambda z, k: sorted_away(z, k + 1)[:, 1:], "left out"),
        (lambda z, k: nearest(z, k, far=True), "farthest"),
        (by_angle, "by angle"),
        (by_product, "no small distance"),
        (flipped, "the nearest first"),
        (lambda z, k: sorted_away(z, k + 1), "has shape 30×2"),
        (lambda z, k: torch.cdist(z, z).topk(k).values, "these are distances"),
        (lambda z, k: torch.zeros(len(z), k).long(), "row 0 names itself"),
    ],
}
