import torch


def by_covariance(x, k):
    """Take eigenvectors instead of singular vectors."""
    mean = x.mean(0, keepdim=True)
    flat = (x - mean).reshape(len(x), -1)
    vectors = torch.linalg.eigh(flat.T @ flat)[1].flip(1)[:, :k]
    return (flat @ vectors @ vectors.T).reshape(x.shape) + mean


def svd(flat, rows):
    u, s, v = torch.linalg.svd(flat, full_matrices=False)
    return u[:, rows] @ torch.diag(s[rows]) @ v[rows]


def around(x, k, mean, add=True, rows=None):
    flat = (x - mean).flatten(1)
    y = svd(flat, rows or slice(k)).view_as(x)
    return y + mean if add else y


def without_s(x, k):
    mean = x.mean(0)
    u, _, v = torch.linalg.svd((x - mean).flatten(1), full_matrices=False)
    return (u[:, :k] @ v[:k]).view_as(x) + mean


def v_by_columns(x, k):
    mean = x.mean(0)
    u, s, v = torch.linalg.svd((x - mean).flatten(1))
    return (u[:, :k] @ torch.diag(s[:k]) @ v[:, :k].T).view_as(x) + mean


def another_mean(x, k):
    return around(x, k, x.mean(0), add=False) + x.mean()


def by_projectors(a, b):
    """Take the angle from the sine: the part of b's basis that lies outside of a."""
    q, r = torch.linalg.qr(a.double())[0], torch.linalg.qr(b.double())[0]
    outside = torch.linalg.svdvals(r - q @ (q.T @ r))[0].clamp(max=1)
    return float(torch.rad2deg(torch.asin(outside)))


def cosines(a, b, ortho=(True, True)):
    a, b = (
        torch.linalg.qr(m)[0] if o else m for m, o in zip((a, b), ortho, strict=True)
    )
    return torch.linalg.svdvals(a.T @ b)


def degrees(cosine):
    return torch.rad2deg(torch.acos(cosine.clamp(max=1)))


RIGHT = {"03.1": [by_covariance], "03.2": [by_projectors]}
WRONG = {
    "03.1": [
        (lambda x, k: around(x, k, torch.zeros(())), "mean image was not subtracted"),
        (lambda x, k: around(x, k, x.mean(0), add=False), "not added again"),
        (lambda x, k: around(x, k, x.mean()), "one mean grey"),
        (lambda x, k: around(x, k, x.mean((1, 2, 3), True)), "each image's own mean"),
        (lambda x, k: around(x, k, x.mean(0), rows=slice(-k, None)), "weakest"),
        (lambda x, k: around(x, k, x.mean(0), rows=slice(k - 1)), "too few"),
        (lambda x, k: around(x, k, x.mean(0), rows=slice(k + 1)), "too many"),
        (v_by_columns, "returns V transposed already"),
        (another_mean, "not the mean image that you subtracted"),
        (without_s, "singular values are missing"),
        (lambda x, k: around(x, k, x.mean(0)).flatten(1), "the result is 40×48"),
        (lambda x, k: x, "mean squared error is 0, and PCA's"),
    ],
    "03.2": [
        (lambda a, b: degrees(cosines(a, b))[-1].deg2rad(), "radians"),
        (lambda a, b: degrees(cosines(a, b))[0], "smallest of the angles"),
        (lambda a, b: cosines(a, b)[-1], "that is the cosine"),
        (lambda a, b: degrees(cosines(a, b)).mean(), "mean of the angles"),
        (lambda a, b: degrees(cosines(a, b, (True, False)))[-1], "only one of the"),
        (lambda a, b: degrees(cosines(a, b, (False, False)))[-1], "not orthonormal"),
        (
            lambda a, b: torch.rad2deg(torch.acos(cosines(a, b)[-1])),
            "clamp",
        ),
        (lambda a, b: degrees(cosines(a, b)), "should be one number"),
    ],
}
