import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA

from ae_lib import baselines
from ae_lib.baselines import PCA, MeanImage
from ae_lib.metrics import mse

SHAPE = (3, 6, 6)


def correlated(n, seed=0):
    """Draw images in [0, 1] whose 108 values have well-separated variances."""
    generator = torch.Generator().manual_seed(seed)
    d = 108
    axes = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
    x = torch.randn(n, d, generator=generator) * 0.9 ** torch.arange(d)
    return (0.5 + 0.05 * x @ axes.T).clamp(0, 1).view(n, *SHAPE)


# 400 images take the covariance route, 60 the route by inner products.
@pytest.mark.parametrize("n", [400, 60])
def test_pca_agrees_with_scikit_learn(n):
    x = correlated(n)
    flat = x.flatten(1).numpy()
    ours, theirs = PCA.fit(x, 12), SklearnPCA(12, svd_solver="full").fit(flat)
    variances = theirs.explained_variance_ * (n - 1) / n
    assert np.allclose(ours.variances, variances, rtol=1e-4)
    cosines = (ours.components.numpy() * theirs.components_).sum(axis=1)
    assert np.allclose(np.abs(cosines), 1, atol=1e-4)
    there_and_back = theirs.inverse_transform(theirs.transform(flat))
    assert np.allclose(ours(x).flatten(1), there_and_back, atol=1e-5)


@pytest.mark.parametrize("n", [400, 60])
def test_components_are_orthonormal_and_codes_uncorrelated(n):
    x = correlated(n)
    pca = PCA.fit(x, 20)
    eye = torch.eye(20)
    assert torch.allclose(pca.components @ pca.components.T, eye, atol=1e-5)
    z = pca.encode(x)
    assert z.shape == (n, 20)
    assert torch.allclose(z.T @ z / n, pca.variances.diag(), atol=1e-6)


def test_the_training_error_is_the_variance_left_out():
    x = correlated(400)
    every = PCA.fit(x, 108)
    left_out = every.variances[15:].sum().item() / 108
    assert mse(x, every.truncate(15)(x)) == pytest.approx(left_out, rel=1e-3)
    assert mse(x, every(x)) < 1e-10


def test_truncate_gives_what_a_shorter_fit_gives():
    x = correlated(400)
    cut, fit = PCA.fit(x, 20).truncate(5), PCA.fit(x, 5)
    assert torch.allclose(cut.components, fit.components, atol=1e-6)
    with pytest.raises(ValueError, match="from 1 to 20"):
        PCA.fit(x, 20).truncate(21)


def test_uint8_images_in_chunks_give_what_float_gives(monkeypatch):
    pixels = (correlated(400) * 255).round().to(torch.uint8)
    whole = PCA.fit(pixels / 255, 6)
    monkeypatch.setattr(baselines, "CHUNK", 37)
    parts = PCA.fit(pixels, 6)
    assert torch.allclose(whole.components, parts.components, atol=1e-4)
    assert torch.allclose(whole.mean, pixels.float().mean(dim=0) / 255, atol=1e-6)


def test_more_components_than_directions_stay_orthonormal():
    x = correlated(10).repeat(3, 1, 1, 1)  # 30 images, 9 directions
    pca = PCA.fit(x, 20)
    eye = torch.eye(20)
    assert torch.allclose(pca.components @ pca.components.T, eye, atol=1e-5)
    assert mse(x, pca(x)) < 1e-10


def test_mirrored_is_a_fit_to_both():
    images = torch.rand(40, 3, 8, 8)
    both = torch.cat([images, images.flip(3)])
    mirrored, whole = PCA.fit(images, 5, mirrored=True), PCA.fit(both, 5)
    torch.testing.assert_close(mirrored.components, whole.components)
    assert not torch.allclose(mirrored.mean, PCA.fit(images, 5).mean)


def test_two_fits_are_equal():
    x = correlated(120)
    assert torch.equal(PCA.fit(x, 5).components, PCA.fit(x, 5).components)
    largest = PCA.fit(x, 5).components.abs().argmax(dim=1, keepdim=True)
    assert (PCA.fit(x, 5).components.gather(1, largest) > 0).all()


@pytest.mark.parametrize("latent_dim", [0, 60])
def test_impossible_lengths_are_refused(latent_dim):
    with pytest.raises(ValueError, match="from 1 to 59"):
        PCA.fit(correlated(60), latent_dim)


def test_only_float_images_of_the_fitted_size_are_encoded():
    pca = PCA.fit(correlated(60), 3)
    for wrong in (torch.zeros(2, *SHAPE, dtype=torch.uint8), torch.zeros(2, 3, 8, 8)):
        with pytest.raises(ValueError, match="expected float images"):
            pca.encode(wrong)


def test_pca_beats_the_mean_image_which_has_an_empty_code():
    x = correlated(200)
    mean = MeanImage.fit(x)
    assert mean.encode(x).shape == (200, 0)
    assert mean(x).shape == x.shape
    assert torch.equal(mean(x)[0], mean(x)[1])
    variance = x.flatten(1).var(dim=0, correction=0).mean().item()
    assert mse(x, mean(x)) == pytest.approx(variance, rel=1e-4)
    assert mse(x, PCA.fit(x, 1)(x)) < mse(x, mean(x))


def test_values_outside_the_range_are_refused():
    with pytest.raises(ValueError, match="\\[0, 1\\]"):
        PCA.fit(correlated(60) * 255, 3)
    with pytest.raises(ValueError, match="at least two images"):
        PCA.fit(correlated(2)[:1], 1)
