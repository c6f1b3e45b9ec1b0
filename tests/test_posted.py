"""The posted program of chapter 12: its network, and Adam on empty batches."""

import pytest
import torch
import torch.nn.functional as F

from ae_lib import posted
from ae_lib.posted import PostedAutoencoder, Variant, coast, linear


@pytest.fixture
def x():
    return torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", posted.VARIANTS)
def test_every_variant_maps_images_to_images(name, x):
    model = PostedAutoencoder(**posted.VARIANTS[name].network)
    assert model(x).shape == x.shape
    assert model.encode(x).shape == (40, 32)


def test_posted_initialisation():
    torch.manual_seed(0)
    model = PostedAutoencoder()
    weight = model.conv2.weight
    assert weight.abs().max() <= 2
    # A normal of deviation 1, cut at 2, has deviation 0.880.
    assert weight.std().item() == pytest.approx(0.88, abs=0.05)
    bound = (6 / (1568 + 128)) ** 0.5
    assert bound * 0.99 < model.fc1.weight.abs().max() <= bound
    assert all((layer.bias == 0).all() for layer in model.children())


def test_tied_weights_are_the_encoder_s(x):
    model = PostedAutoencoder(tied=True)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert "fc3.weight" not in shapes and "fc4.weight" not in shapes
    before = model(x)
    with torch.no_grad():
        model.fc2.weight.add_(1)
    assert not torch.allclose(model.decode(model.encode(x[:1])), before[:1])


def test_codes_without_activation_are_linear(x):
    model = PostedAutoencoder(code=linear)
    assert model.encode(50 * x).abs().max() > 1 or model.encode(x).min() < 0


@pytest.mark.parametrize("empty", [1, 69])
def test_coasting_is_adam_on_empty_batches(x, empty):
    """Literally: batches without an image, through the network and backward."""
    moved = []
    for literal in (True, False):
        torch.manual_seed(0)
        model = PostedAutoencoder()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for _ in range(3):
            loss = F.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if not literal:
                coast(optimizer, empty)
                continue
            for _ in range(empty):
                nothing = x[:0]
                loss = ((model(nothing) - nothing) ** 2).mean()
                assert loss.isnan()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        moved.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.manual_seed(0)
    start = PostedAutoencoder()
    start = torch.cat([p.detach().flatten() for p in start.parameters()])
    travelled = (moved[0] - start).norm()
    assert travelled > 0
    assert (moved[0] - moved[1]).norm() < 0.02 * travelled


def test_without_the_fixed_loop_only_the_first_batch_is_seen(x):
    """Not shuffled, changes behind the first batch leave the run alone."""
    other = x.clone()
    other[10:] = 0.5
    variant = Variant(shuffle=False, steps=5)
    x_test, finals = x[:4], []
    for images in (x, other):
        model, record = posted.train(variant, images, x_test, batch_size=10)
        finals.append(record[-1]["mse"])
    assert finals[0] == finals[1]
    whole = Variant(shuffle=False, steps=8, whole=True)
    finals = [
        posted.train(whole, images, x_test, batch_size=10)[1][-1]["mse"]
        for images in (x, other)
    ]
    assert finals[0] != finals[1]


def test_record_is_measured_against_the_mean_image(x):
    model, record = posted.train(Variant(steps=3), x, x, batch_size=10)
    base = F.mse_loss(x.mean(0).expand_as(x), x).item()
    assert [line["step"] for line in record] == [1, 2, 3]
    assert record[-1]["r2"] == pytest.approx(1 - record[-1]["mse"] / base)
    assert record[-1]["mse"] == pytest.approx(F.mse_loss(model(x), x).item(), rel=1e-5)
    assert record[-1]["spread"] == pytest.approx(
        model.encode(x).std(dim=0).mean().item(), rel=1e-3
    )
