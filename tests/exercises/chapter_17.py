import math

import torch
from torch.distributions import Normal, kl_divergence


def by_library(mu, logvar, s):
    """Leave it to torch.distributions."""
    hat = Normal(torch.zeros_like(mu), torch.full_like(mu, s))
    return kl_divergence(Normal(mu, logvar.mul(0.5).exp()), hat).sum(-1)


def price(mu, logvar, s):
    ratio = logvar - 2 * math.log(s)
    return ((mu / s) ** 2 + ratio.exp() - 1 - ratio).sum(1) / 2


def towards(mu, logvar, s):
    hat = Normal(torch.zeros_like(mu), torch.full_like(mu, s))
    return kl_divergence(hat, Normal(mu, (logvar / 2).exp())).sum(1)


def per_unit(mu, logvar, s):
    return torch.stack([price(*ab, s) for ab in zip(mu[..., None], logvar[..., None],
                                                    strict=True)])  # fmt: skip


def without_exp(mu, logvar, s):
    return ((mu**2 + logvar) / s**2 - 1 - logvar + 2 * math.log(s)).sum(1) / 2


def without_log_s(mu, logvar, s):
    return ((mu**2 + logvar.exp()) / s**2 - 1 - logvar).sum(1) / 2


def by_rsample(mu, logvar, n, generator):
    """Let the generator seed what torch.distributions draws from."""
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Normal(mu, logvar.exp().sqrt()).rsample((n,))


def one_by_one(mu, logvar, n, generator):
    noise = [torch.randn(mu.shape, generator=generator) for _ in range(n)]
    return torch.stack([torch.addcmul(mu, (0.5 * logvar).exp(), e) for e in noise])


def draw(shape=None, deviation=None, noise=torch.randn, centre=None):
    """Return an answer with noise of this shape, stretched like this."""
    shape = shape or (lambda n, b, k: (n, b, k))
    deviation = deviation or (lambda logvar: (logvar / 2).exp())
    centre = centre or (lambda mu: mu)

    def draw_codes(mu, logvar, n, generator):
        eps = noise(shape(n, *mu.shape), generator=generator)
        return (centre(mu) + deviation(logvar) * eps).expand(n, *mu.shape)

    return draw_codes


def centred(shape, generator):
    return torch.rand(shape, generator=generator) - 0.5


def by_normal(mu, logvar, n, generator):
    mu, std = mu.expand(n, *mu.shape), (logvar / 2).exp().expand(n, *mu.shape)
    return torch.normal(mu, std, generator=generator)


def by_sample(mu, logvar, n, generator):
    return draw()(mu, logvar, n, generator).detach()


def new_generator(mu, logvar, n, generator):
    return draw()(mu, logvar, n, torch.Generator().manual_seed(0))


def own_random(mu, logvar, n, generator):
    return mu + (logvar / 2).exp() * torch.randn(n, *mu.shape)


RIGHT = {
    "17.1": [by_library, price],
    "17.2": [by_rsample, one_by_one, draw()],
}
WRONG = {
    "17.1": [
        (lambda m, v, s: price(m, v, 1.0), "for a hat of deviation 0.6, that is still"),
        (towards, "KL of the hat from the code"),
        (lambda m, v, s: price(m, 2 * v, s), "logarithm of the deviation"),
        (without_exp, "the variance is its exp"),
        (without_log_s, "log(s) is missing"),
        (lambda m, v, s: price(m, v, s) / 7, "Nats add up"),
        (lambda m, v, s: -price(m, v, s), "the other sign"),
        (lambda m, v, s: 2 * price(m, v, s), "forgotten the half"),
        (lambda m, v, s: price(m, v, s) / math.log(2), "bits"),
        (lambda m, v, s: price(m, v, s) + 3.5, "a half for each unit"),
        (lambda m, v, s: price(0 * m, v, s), "squared means"),
        (lambda m, v, s: price(m, v, s**0.5), "take s for the variance"),
        (lambda m, v, s: price(m, v, s) + 1, "this is not the KL"),
        (per_unit, "add up its units"),
        (lambda m, v, s: price(m, v, s).mean(), "one number for all"),
        (lambda m, v, s: price(m, v, s)[:, None], "has shape"),
        (lambda m, v, s: None, "`return`"),
    ],
    "17.2": [
        (by_normal, "no gradient reaches mu"),
        (by_sample, "z has no gradient"),
        (draw(centre=torch.Tensor.detach), "no gradient reaches mu"),
        (
            draw(deviation=lambda v: (v.detach() / 2).exp()),
            "no gradient reaches logvar",
        ),
        (draw(deviation=torch.exp), "exp(logvar) is the variance"),
        (draw(deviation=torch.ones_like), "logvar does not enter"),
        (draw(deviation=lambda v: v), "logvar itself is no deviation"),
        (draw(deviation=lambda v: (v / 4).exp()), "exp(logvar / 4)"),
        (draw(deviation=lambda v: (-v / 2).exp()), "exp(-logvar / 2)"),
        (draw(deviation=lambda v: 2 * (v / 2).exp()), "z scatters by"),
        (draw(noise=torch.rand), "as randn has it"),
        (draw(noise=centred), "spread evenly"),
        (draw(lambda n, b, k: (1, b, k)), "are the same code 8 times"),
        (draw(lambda n, b, k: (n, 1, k)), "all images of a batch"),
        (draw(lambda n, b, k: (n, b, 1)), "the units of a code"),
        (lambda m, v, n, g: m.expand(n, *m.shape), "nothing is drawn"),
        (own_random, "the same seed gives another z"),
        (new_generator, "the second call draws"),
        (lambda m, v, n, g: draw()(m, v, 1, g)[0], "n = 8 are asked"),
        (lambda m, v, n, g: draw()(m, v, n, g).transpose(0, 1), "(n, B, K), not"),
        (lambda m, v, n, g: draw()(m, v, n, g).tolist(), "should be a tensor"),
        (lambda m, v, n, g: None, "`return`"),
    ],
}
