"""The variational autoencoder: its loss against torch, its draws, its training."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ae_lib import data
from ae_lib.metrics import mse, reconstruct
from ae_lib.training import fit
from ae_lib.variational import VariationalAutoencoder, kl_per_unit, negative_elbo


def test_the_divergence_is_that_of_torch():
    mu, logvar = torch.randn(5, 3), torch.randn(5, 3)
    theirs = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_per_unit(mu, logvar), theirs)


def test_the_loss_is_the_negative_elbo_on_the_scale_of_the_mse():
    x, x_hat = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    mu, logvar, sigma = torch.randn(4, 3), torch.randn(4, 3), 0.3
    log_p = Normal(x_hat, sigma).log_prob(x).flatten(1).sum(dim=1)
    perfect = Normal(x, sigma).log_prob(x).flatten(1).sum(dim=1)
    kl = kl_per_unit(mu, logvar).sum(dim=1)
    elbo = (log_p - perfect - 2 * kl).mean()  # beta = 2
    loss = negative_elbo(sigma, beta=2)((x_hat, mu, logvar), x)
    torch.testing.assert_close(loss, -elbo * 2 * sigma**2 / 64)


def test_it_draws_in_training_only():
    torch.manual_seed(0)
    model, x = VariationalAutoencoder(4, (1, 8, 8)), torch.rand(3, 1, 8, 8)
    model.train()
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    torch.testing.assert_close(model(x)[0], model.decode(model.encode(x)))


def test_draws_have_the_deviation_that_the_encoder_names():
    torch.manual_seed(0)
    model = VariationalAutoencoder(2, (1, 8, 8)).train()
    drawn = []
    model.decode = lambda z: drawn.append(z) or z
    x = torch.rand(1, 1, 8, 8).expand(4_000, -1, -1, -1)
    _, mu, logvar = model(x)
    torch.testing.assert_close(
        (drawn[0] - mu).std(dim=0), (logvar[0] / 2).exp(), rtol=0.06, atol=0
    )


def test_fit_trains_it_and_a_high_price_empties_the_code():
    images = data.load("digits", limit=256)
    error, nats = {}, {}
    for sigma in (0.05, 20.0):
        torch.manual_seed(0)
        model = VariationalAutoencoder(8, images.shape)
        history = fit(
            model,
            images,
            validation=images[:64],
            epochs=6,
            batch_size=32,
            loss=negative_elbo(sigma),
            verbose=False,
        )
        assert len(history.val_loss) == 6
        shots = history.snapshots["train"]["reconstructions"][-1]
        assert shots.shape == (8, 1, 28, 28)
        error[sigma] = mse(images, reconstruct(model, images))
        with torch.no_grad():
            nats[sigma] = kl_per_unit(*model.posterior(images.unit())).sum(1).mean()
    assert error[0.05] < 0.6 * error[20.0]
    assert nats[20.0] < 1 < 10 < nats[0.05]


@pytest.mark.parametrize("bad", [{"sigma": 0}, {"sigma": -1}, {"beta": -0.1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="sigma must be above 0 and beta 0 or more"):
        negative_elbo(**bad)
