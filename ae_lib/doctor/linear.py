"""Linear reference points: principal components, linear denoisers and fits."""

import torch


def components(t, k=64):
    """Return (mean, basis (D, k), eigenvalues) of the targets."""
    flat = t.flatten(1).double()
    mean = flat.mean(0)
    rows = flat - mean
    k = min(k, len(rows) - 1, rows.shape[1])
    if rows.shape[1] <= len(rows):
        values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
        return mean, vectors[:, -k:], values[-k:].clamp(min=0)
    values, vectors = torch.linalg.eigh(rows @ rows.T / len(rows))
    values = values[-k:].clamp(min=1e-12)
    return mean, rows.T @ vectors[:, -k:] / (values * len(rows)).sqrt(), values


def linear_r2(x, t):
    """Return the R² of a linear denoiser that works component by component.

    Both are (N, ...) of one shape. Each component's share is its squared
    correlation, less the 1/N that chance gives.
    """
    mean, basis, values = components(t)
    a = (t.flatten(1).double() - mean) @ basis
    b = x.flatten(1).double() @ basis
    a, b = a - a.mean(0), b - b.mean(0)
    power = a.square().sum(0) * b.square().sum(0)
    rho = (a * b).sum(0).square() / power.clamp(min=1e-20)
    rho = ((rho * len(x) - 1) / (len(x) - 1)).clamp(min=0)
    return ((rho * values).sum() / values.sum().clamp(min=1e-20)).item()


def held_out(t, k):
    """Return (rows, their reconstruction by PCA with k components), (N, D) each.

    Every fourth row is held out of the fit; None with too few rows for k.
    """
    flat = t.flatten(1).double()
    rest = flat[::4]
    fit = torch.cat([flat[i::4] for i in (1, 2, 3)])
    if k >= len(fit) // 2:
        return None
    mean, basis, _ = components(fit, k)
    return rest, mean + (rest - mean) @ basis @ basis.T


def pca_r2(t, k):
    """Return the R² of PCA with k components on held-out rows, or None."""
    pair = held_out(t, k)
    if pair is None:
        return None
    rest, rebuilt = pair
    base = (rest - rest.mean(0)).square().mean().item()
    return 1 - (rest - rebuilt).square().mean().item() / base if base > 1e-12 else None


def likeness(x, t):
    """Return the correlation of two tensors of samples, each less its mean sample."""
    x = (x - x.mean(0)).flatten().double()
    t = (t - t.mean(0)).flatten().double()
    return (x @ t / (x.norm() * t.norm() + 1e-20)).item()
