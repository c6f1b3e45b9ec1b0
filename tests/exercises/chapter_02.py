import random

import numpy as np
import torch

from ae_lib import data


class Once:
    """Draw all noise once, at the beginning."""

    def __init__(self, images, sigma=0.1):
        generator = torch.Generator().manual_seed(5)
        self.x = images.unit()
        self.noise = torch.randn(self.x.shape, generator=generator) * sigma

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return torch.clip(self.x[i] + self.noise[i], 0, 1), self.x[i]


class ByNumPy:
    def __init__(self, images, sigma=0.1):
        self.images, self.sigma = images, sigma

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        x = self.images.pixels[i].float() / 255
        noise = np.random.default_rng(i).normal(0, self.sigma, x.shape)
        return (x + torch.from_numpy(noise).float()).clamp(0, 1), x


def noisy(item):
    """Make a data set whose item is item(x, i, sigma)."""

    class Noisy(ByNumPy):
        def __getitem__(self, i):
            return item(data.to_unit(self.images.pixels[i]), i, self.sigma)

    return Noisy


def seeded(x, i, sigma):
    return sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(i))


def by_global_seed(x, i, sigma):
    torch.manual_seed(i)
    return (x + sigma * torch.randn(x.shape)).clamp(0, 1), x


def in_both(x, i, sigma):
    y = (x + seeded(x, i, sigma)).clamp(0, 1)
    return y, y


def of_bytes(x, i, sigma):
    return 255 * (x + seeded(x, i, sigma)).clamp(0, 1), 255 * x


def one_shift(x, i, sigma):
    return (x + seeded(x[:1, :1, :1], i, sigma)).clamp(0, 1), x


def rows(n, seed):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def by_python(n, held, seed):
    mixed = random.Random(seed).sample(range(n), n)
    return sorted(mixed[held:]), sorted(mixed[:held])


def drawn_twice(n, held, seed):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(n, (n - held,), generator=generator),
        torch.randint(n, (held,), generator=generator),
    )


def with_replacement(n, held, seed):
    held_back = torch.randint(n, (held,), generator=torch.Generator().manual_seed(seed))
    return torch.tensor([i for i in range(n) if i not in held_back]), held_back


RIGHT = {"02.1": [Once, ByNumPy], "02.2": [by_python]}
WRONG = {
    "02.1": [
        (noisy(lambda x, i, s: (x, x)), "there is no noise"),
        (noisy(lambda x, i, s: (x, (x + seeded(x, i, s)).clamp(0, 1))), "swapped"),
        (noisy(in_both), "It is the target"),
        (
            noisy(lambda x, i, s: ((x + s * torch.randn(x.shape)).clamp(0, 1), x)),
            "two noises",
        ),
        (
            noisy(lambda x, i, s: ((x + seeded(x, 0, s)).clamp(0, 1), x)),
            "all images carry the same noise",
        ),
        (noisy(by_global_seed), "moves the random numbers of the whole program"),
        (noisy(lambda x, i, s: (x + seeded(x, i, s), x)), "clip"),
        (noisy(of_bytes), "goes up to 255"),
        (noisy(one_shift), "the whole image is shifted"),
        (
            noisy(lambda x, i, s: ((x + seeded(x, i, s * s)).clamp(0, 1), x)),
            "root mean square of 0.0098",
        ),
        (
            noisy(lambda x, i, s: ((x + seeded(x, i, 0.1)).clamp(0, 1), x)),
            "`sigma` is ignored",
        ),
        (noisy(lambda x, i, s: (x + seeded(x, i, s)).clamp(0, 1)), "2 things"),
    ],
    "02.2": [
        (drawn_twice, "in both lists"),
        (with_replacement, "come twice"),
        (lambda n, h, s: (rows(n, s)[:h], rows(n, s)[h:]), "the two are swapped"),
        (lambda n, h, s: (torch.arange(n - h), torch.arange(n - h, n)), "side by side"),
        (lambda n, h, s: (rows(n, s)[h + 1 :], rows(n, s)[:h]), "1 of 103"),
        (lambda n, h, s: (torch.randperm(n)[h:], torch.randperm(n)[:h]), "in both"),
        (lambda n, h, s: (rows(n, 0)[h:], rows(n, 0)[:h]), "`seed` is ignored"),
        (
            lambda n, h, s: (lambda order: (order[h:], order[:h]))(torch.randperm(n)),
            "the same seed gives two different splits",
        ),
        (lambda n, h, s: (rows(n, s)[h:], rows(n, s)[: h - 1]), "to be held back"),
        (lambda n, h, s: rows(n, s), "should be 2 things"),
    ],
}
