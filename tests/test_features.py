"""Feature extractors and the linear probe: shapes, honesty, and agreement."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn
from torchvision.models import VGG16_Weights

from ae_lib import features
from ae_lib.data import load
from ae_lib.features import (
    SmallVGG,
    extract,
    few,
    linear_probe,
    local_vgg16,
    train_classifier,
)


@pytest.fixture(scope="module")
def shapes():
    """Images that need neither data nor network: stars and rings, drawn here."""
    images = load("shapes", limit=2_000)
    return images[(images.labels == 3) | (images.labels == 5)]


# ------------------------------------------------------------------------ the networks


def test_small_vgg_reduces_as_vgg16_does():
    x = torch.rand(2, 3, 32, 32)
    model = SmallVGG()
    assert model.features(x).shape == (2, 512)
    assert model(x).shape == (2, 10)
    assert x[0].numel() / 512 == 3 * 224 * 224 / 25_088


def test_small_vgg_says_what_it_takes():
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\), got \(2, 3, 28, 28\)"):
        SmallVGG().features(torch.rand(2, 3, 28, 28))


def test_training_lowers_the_loss_and_learns(shapes):
    torch.manual_seed(0)
    model = SmallVGG()
    losses = train_classifier(model, shapes, epochs=12)
    answers = extract(model, shapes).argmax(dim=1)
    assert len(losses) == 12 and losses[-1] < 0.5 * losses[0]
    assert (answers == shapes.labels).float().mean() > 0.9
    assert not model.training
    assert next(model.parameters()).device.type == "cpu"


def test_training_repeats_with_its_seed(shapes):
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        runs.append(train_classifier(SmallVGG(), shapes[:256], epochs=1, seed=seed))
    assert runs[0] == runs[1] != runs[2]


def test_extract_gives_a_row_for_each_image(shapes):
    rows = extract(nn.Flatten(), shapes)
    torch.testing.assert_close(rows, shapes.unit().flatten(1))
    assert not extract(SmallVGG().eval().features, shapes[:3]).requires_grad


# ------------------------------------------------------------------------------- VGG-16


def test_pretrained_weights_are_found_and_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("AE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def refuse(*arguments, **options):
        raise AssertionError("tried to download")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    assert local_vgg16() is None

    # A small network in its place: the real file has 528 MB.
    monkeypatch.setattr("torchvision.models.vgg16", lambda weights: nn.Linear(2, 1))
    stored = nn.Linear(2, 1)
    (tmp_path / "data").mkdir()
    name = VGG16_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    torch.save(stored.state_dict(), tmp_path / "data" / name)
    loaded = local_vgg16()
    assert torch.equal(loaded.weight, stored.weight) and not loaded.training


# ------------------------------------------------------------------- drawing few labels


def test_a_small_draw_is_part_of_a_larger_one():
    labels = torch.arange(600) % 10
    small, large = few(labels, 5, 1), few(labels, 20, 1)
    assert (labels[small].bincount() == 5).all()
    assert (labels[large].bincount() == 20).all()
    assert len(large.unique()) == 200
    assert set(small.tolist()) < set(large.tolist())
    assert set(few(labels, 5, 2).tolist()) != set(small.tolist())


def test_a_draw_of_more_than_there_are_is_refused():
    with pytest.raises(ValueError, match="8 of each class asked for, one has 7"):
        few(torch.tensor([3] * 9 + [5] * 7), 8, 0)


# ---------------------------------------------------------------------------- the probe


def blobs(n, seed, gap=1.0):
    """Draw points of three classes around three corners, in 8 dimensions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (n,), generator=generator)
    points = torch.randn(n, 8, generator=generator)
    points[:, :3] += gap * nn.functional.one_hot(labels, 3)
    return points, labels


def test_probe_separates_what_is_separate_and_guesses_what_is_not():
    assert linear_probe(*blobs(300, 0, gap=20), *blobs(300, 1, gap=20)) == 1
    assert linear_probe(*blobs(3_000, 0, gap=0), *blobs(3_000, 1, gap=0)) < 0.4


def test_probe_is_about_as_good_as_logistic_regression():
    (x, y), (x_test, y_test) = blobs(2_000, 0), blobs(2_000, 1)
    scaler = StandardScaler().fit(x)
    rival = LogisticRegression().fit(scaler.transform(x), y)
    accuracy = rival.score(scaler.transform(x_test), y_test)
    assert 0.5 < accuracy < 0.9
    assert linear_probe(x, y, x_test, y_test) == pytest.approx(accuracy, abs=0.02)


def test_probe_does_not_care_for_units():
    (x, y), (x_test, y_test) = blobs(500, 0), blobs(500, 1)
    scale, shift = torch.tensor([1e-3, 1, 1e3, 7, 1, 1, 50, 2]), 5.0
    moved = linear_probe(x * scale + shift, y, x_test * scale + shift, y_test)
    assert moved == pytest.approx(linear_probe(x, y, x_test, y_test), abs=0.005)


def test_probe_passes_over_features_that_never_change():
    (x, y), (x_test, y_test) = blobs(500, 0), blobs(500, 1)
    constant, noise = torch.full((500, 1), 0.1), torch.randn(500, 1)
    with_it = linear_probe(
        torch.cat([x, constant], 1), y, torch.cat([x_test, noise], 1), y_test
    )
    assert with_it == linear_probe(x, y, x_test, y_test)


def test_probe_survives_more_features_than_images():
    (x, y), (x_test, y_test) = blobs(60, 0, gap=6), blobs(200, 1, gap=6)
    wide, wide_test = x.repeat(1, 20), x_test.repeat(1, 20)  # (60, 160)
    assert linear_probe(wide, y, wide_test, y_test) > 0.9


def test_probe_needs_no_class_in_the_middle():
    """Half of the classes of a data set keep the numbers they have."""
    (x, y), (x_test, y_test) = blobs(500, 0), blobs(500, 1)
    expected = linear_probe(x, y, x_test, y_test)
    assert linear_probe(x, 2 * y + 1, x_test, 2 * y_test + 1) == expected


def test_probe_refuses_nan():
    (x, y), (x_test, y_test) = blobs(50, 0), blobs(50, 1)
    x[3, 2] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        linear_probe(x, y, x_test, y_test)


def test_test_labels_decide_nothing(monkeypatch):
    """The penalty is chosen on the training set alone: the best may be missed."""
    (x, y), (x_test, y_test) = blobs(100, 0), blobs(100, 1)
    each = []
    for penalty in features.PENALTIES:
        monkeypatch.setattr(features, "PENALTIES", (penalty,))
        each.append(
            (linear_probe(x, y, x_test, y_test), linear_probe(x, y, x_test, 0 * y_test))
        )
    monkeypatch.undo()
    together = (
        linear_probe(x, y, x_test, y_test),
        linear_probe(x, y, x_test, 0 * y_test),
    )
    assert together in each


def primal(x, y, x_test, y_test, penalty):
    """Do what the probe does, by the equations for all D weights, however many."""
    x_test, x = (x_test - x.mean(0)) / x.std(0), (x - x.mean(0)) / x.std(0)
    target = nn.functional.one_hot(y).double()
    share = target.mean(0)
    matrix = x.T @ x + penalty * len(x) * torch.eye(x.shape[1])
    w = torch.linalg.solve(matrix, x.T @ (target - share))  # (D, classes)
    return ((x_test @ w + share).argmax(1) == y_test).double().mean().item()


@pytest.mark.parametrize("n", [60, 179, 180, 250])
@pytest.mark.parametrize("penalty", features.PENALTIES)
def test_probe_answers_in_row_space_as_in_feature_space(monkeypatch, n, penalty):
    """With fewer images than features it solves for one weight per image instead."""
    monkeypatch.setattr(features, "PENALTIES", (penalty,))
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(8, 180, generator=generator).double()
    (x, y), (x_test, y_test) = blobs(n, 0), blobs(2_000, 1)
    wide, wide_test = (
        part.double() @ mix + torch.randn(len(part), 180, generator=generator)
        for part in (x, x_test)
    )  # (N, 180): what the rows do not span counts for nothing
    expected = primal(wide, y, wide_test, y_test, penalty)
    assert linear_probe(wide, y, wide_test, y_test) == expected
    assert 0.35 < expected < 0.9  # a third is a blind guess


def test_probe_chooses_in_row_space_as_in_feature_space():
    """Columns that never change weigh nothing, but make features wider than rows."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(360, 40, generator=random)
    labels = (x[:, 0] + torch.randn(360, generator=random)).sign().clamp(0).long()
    wide = torch.cat([x, torch.ones(360, 100)], dim=1)  # (360, 140), 60 rows to learn
    narrow = linear_probe(x[:60], labels[:60], x[60:], labels[60:])
    assert linear_probe(wide[:60], labels[:60], wide[60:], labels[60:]) == narrow
    assert 0.5 < narrow < 0.95
