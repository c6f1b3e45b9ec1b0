"""The contest of chapter 17 with all digits: who writes best after long training?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ae_lib import results
from ae_lib.data import load, to_unit
from ae_lib.features import SmallVGG, extract, train_classifier
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.training import fit
from ae_lib.variational import VariationalAutoencoder, kl_per_unit, negative_elbo

K, SIGMAS = 16, (0.1, 0.3, 1.0)
EPOCHS, BATCH = 5, 64
SAMPLES, PARTS, READER_EPOCHS = 5_000, 30, 2
AXES = 32  # of the features, as on the page
ACTIVE = 0.1  # nats


class Reader(nn.Module):
    """Name digits of 28×28 by SmallVGG: the judge's eye."""

    def __init__(self):
        super().__init__()
        self.network = SmallVGG()

    def features(self, x: Tensor) -> Tensor:
        x = pad(x, (2, 2, 2, 2)).expand(-1, 3, -1, -1)  # (B, 3, 32, 32)
        return self.network.features(x)  # (B, 512)

    def forward(self, x: Tensor) -> Tensor:
        return self.network.head(self.features(x))  # (B, 10)


def frechet(a: Tensor, b: Tensor) -> float:
    """Return the squared Fréchet distance of two sets of features (N, D), (M, D)."""
    A, B = torch.cov(a.T), torch.cov(b.T)
    root = torch.linalg.eigvals(A @ B).real.clamp(min=0).sqrt().sum()
    apart = (a.mean(dim=0) - b.mean(dim=0)).square().sum()
    return (apart + A.trace() + B.trace() - 2 * root).item()


def within(samples: Tensor, among: Tensor, k: int = 3) -> float:
    """Return the share of samples within reach of one of the others.

    The reach of a row of `among` is the distance to its k-th neighbour there
    (Kynkäänniemi et al. 2019).
    """
    reach = torch.cdist(among, among).kthvalue(k + 1, dim=1).values
    near = torch.cdist(samples, among) <= reach
    return near.any(dim=1).double().mean().item()


def mixture(codes: Tensor, n: int, seed: int) -> Tensor:
    """Draw n codes from a mixture of normal distributions fitted to codes (N, K)."""
    from sklearn.mixture import GaussianMixture

    fitted = GaussianMixture(PARTS, random_state=seed, reg_covar=1e-3)
    z, _ = fitted.fit(codes.double().numpy()).sample(n)
    return torch.from_numpy(z).float()


def generation_mnist(seeds: tuple[int, ...]) -> None:
    """Train plain and variational networks on all digits and judge what they write.

    The judge is one classifier for all of them; it compares samples with as many test
    digits. Each network draws from N(0, 1) and from a mixture on its own codes.
    """
    train, test = load("mnist"), load("mnist", "test")
    torch.manual_seed(0)
    reader = Reader()
    train_classifier(reader, train, epochs=READER_EPOCHS)
    right = extract(reader, test).argmax(dim=1) == test.labels
    seen = extract(reader.features, train)
    centre = seen.mean(dim=0)
    axes = torch.linalg.eigh(torch.cov(seen.T)).eigenvectors[:, -AXES:]  # (512, 32)

    @torch.no_grad()
    def features(x: Tensor) -> Tensor:
        f = torch.cat([reader.features(part) for part in x.split(500)])
        return ((f - centre) @ axes).double()

    real = features(test[:SAMPLES].unit())

    def judged(x: Tensor) -> dict[str, float]:
        f = features(x)
        scores = {"distance": frechet(real, f), "precision": within(f, real)}
        return scores | {"recall": within(real, f)}

    floor = judged(train[:SAMPLES].unit())
    print(f"judge {right.double().mean():.4f}, training digits {floor}", flush=True)
    runs: list[dict[str, Any]] = []
    for seed in seeds:
        for sigma in (None, *SIGMAS):
            torch.manual_seed(seed)
            kind: Any = ConvAutoencoder if sigma is None else VariationalAutoencoder
            model = kind(K, train.shape)
            options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH}
            if sigma is not None:
                options |= {"loss": negative_elbo(sigma)}
            history = fit(model, train, seed=seed, verbose=False, watch=0, **options)
            model.eval()
            run = {"sigma": sigma, "seed": seed, "seconds": sum(history.seconds)}
            run |= _described(model, test, judged) | _drawn(model, train, judged, seed)
            runs.append(run)
            print(run, flush=True)
    data = {"runs": runs, "floor": floor, "epochs": EPOCHS, "samples": SAMPLES}
    data |= {"judge": right.double().mean().item(), "train_images": len(train)}
    results.save("generation_mnist", data, source=test.source, seeds=seeds)


@torch.no_grad()
def _described(model: Any, test: Any, judged: Callable) -> dict[str, Any]:
    """Measure reconstructions, and of a variational network its code."""
    x_hat = reconstruct(model, test)
    found = {"mse": mse(test, x_hat), "reconstructions": judged(x_hat[:SAMPLES])}
    if isinstance(model, VariationalAutoencoder):
        pairs = [model.posterior(to_unit(part)) for part in test.pixels.split(500)]
        kl = torch.cat([kl_per_unit(*pair) for pair in pairs]).mean(dim=0)
        found |= {"nats": kl.sum().item(), "active": int((kl > ACTIVE).sum())}
    return found


@torch.no_grad()
def _drawn(model: Any, train: Any, judged: Callable, seed: int) -> dict[str, Any]:
    """Judge samples from N(0, 1) and from a mixture on the codes of training digits."""
    random = torch.Generator().manual_seed(seed)
    hats = {
        "N(0, 1)": torch.randn(SAMPLES, K, generator=random),
        "mixture": mixture(extract(model.encode, train), SAMPLES, seed),
    }
    samples = {}
    for name, z in hats.items():
        x = torch.cat([model.decode(part) for part in z.split(500)]).clamp(0, 1)
        samples[name] = judged(x)
    return samples
