import torch


def by_threshold(z, k):
    """Let nothing through that is below the k-th largest."""
    least = z.kthvalue(z.shape[1] - k + 1, dim=1, keepdim=True).values
    return z * (z >= least)


def one_by_one(z, k):
    rows = []
    for row in z:
        kept = sorted(range(len(row)), key=lambda i: -row[i].item())[:k]
        rows.append(torch.stack([v if i in kept else 0 * v for i, v in enumerate(row)]))
    return torch.stack(rows)


def along(z, k, dim=1, by=lambda z: z):
    best = by(z).topk(min(k, z.shape[dim]), dim=dim).indices
    return torch.zeros_like(z).scatter(dim, best, z.gather(dim, best))


def only_marked(z, k):
    return (along(z, k) != 0).to(z)


def shrunk(z, k):
    least = z.topk(k, dim=1).values[:, -1:]
    return (z - least).clamp(min=0)


def by_einsum(h, weight):
    jacobian = torch.einsum("bk,kd->bkd", 1 - h * h, weight)  # (B, K, D)
    return jacobian.pow(2).sum() / len(h)


def by_cosh(h, weight):
    """The derivative of tanh is 1 / cosh²."""
    slope = torch.cosh(torch.atanh(h)) ** -4
    return (slope * weight.norm(dim=1) ** 2).sum(1).mean()


def rows(h, weight, slope=None, power=2, length=2):
    slope = 1 - h**2 if slope is None else slope
    return slope**power * weight.norm(dim=1) ** length  # (B, K)


RIGHT = {"18.1": [by_threshold, one_by_one], "18.2": [by_einsum, by_cosh]}
WRONG = {
    "18.1": [
        (lambda z, k: along(z, k, dim=0), "among the images of the batch"),
        (lambda z, k: -along(-z, k), "those are the smallest"),
        (lambda z, k: along(z, k, by=torch.abs), "leave the sign"),
        (lambda z, k: along(z, k).relu(), "do not cut at zero"),
        (only_marked, "return the numbers"),
        (lambda z, k: along(z, k + 1) if k < 9 else z, "keeps 4 to 4 numbers"),
        (shrunk, "keeps 2 to 2 numbers"),
        (lambda z, k: 2 * along(z, k), "not as they were"),
        (lambda z, k: along(z.detach(), k), "no gradient comes through"),
        (lambda z, k: along(z, k) + 0 * z + (z - z.detach()), "of a kept number"),
        (lambda z, k: z.topk(k, dim=1).values, "expected 6×9"),
        (lambda z, k: None, "`return`"),
    ],
    "18.2": [
        (lambda h, w: rows(h, w, h * (1 - h)).sum(1).mean(), "is a sigmoid's"),
        (lambda h, w: rows(h, w, power=1).sum(1).mean(), "into the square"),
        (lambda h, w: w.square().sum(), "weight decay"),
        (lambda h, w: rows(h, w).sum(), "you sum both"),
        (lambda h, w: rows(h, w).mean(), "you average both"),
        (lambda h, w: rows(h, w).sum(1).sqrt().mean(), "that is the norm"),
        (lambda h, w: rows(h, w, length=1).sum(1).mean(), "enters as a square"),
        (lambda h, w: rows(h, w, 1 - h).sum(1).mean(), "not the squared norm"),
        (lambda h, w: rows(h, w).sum(1).mean().item(), "return a tensor"),
        (lambda h, w: rows(h, w).sum(1), "one number"),
        (lambda h, w: None, "`return`"),
    ],
}
