"""Chapter 19 writes a dictionary, a prior and a masked autoencoder out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib.blocks import Block, fold, unfold
from ae_lib.data import load
from ae_lib.experiments import masked
from tests.written import written

DEFINED = [
    *["patches", "picture_of", "nearest", "kmeans", "follow", "Words", "correction"],
    *["Tokeniser", "loss", "perplexity", "price", "blocks", "Prior", "cost_of"],
    *["write", "shuffle_writers", "draw", "holes", "error", "linear", "places"],
    *["attention", "Masked", "hidden_only"],
]


@pytest.fixture(scope="module")
def page():
    known = {"torch": torch, "nn": nn, "F": F, "Block": Block, "K": 16}
    return written("19", DEFINED, fold=fold, unfold=unfold, **known)


@pytest.fixture
def vectors():
    return torch.randn(500, 48, generator=torch.Generator().manual_seed(0))


def images(n, seed=0):
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_patches_are_put_back_where_they_were(page):
    x = images(3)
    torch.testing.assert_close(page["picture_of"](page["patches"](x)), x)
    torch.testing.assert_close(
        page["patches"](x)[1, 2, 5], (x[1, :, 8:12, 20:24] - 0.5).flatten()
    )


def test_the_nearest_word_is_nearest(page, vectors):
    words = vectors[:16]
    tokens = page["nearest"](vectors.view(5, 100, 48), words)
    assert torch.equal(tokens.flatten(), torch.cdist(vectors, words).argmin(1))
    assert tokens[0, :16].tolist() == list(range(16))


def test_kmeans_finds_clusters_and_never_gets_worse(page, vectors):
    centres = 10 * vectors[:16]
    z = (centres[:, None] + 0.1 * vectors[:320].view(16, 20, 48)).flatten(0, 1)
    errors = []
    for rounds in (1, 2, 4, 8):
        words = page["kmeans"](z, 16, rounds)
        errors.append((words[page["nearest"](z, words)] - z).square().mean())
    assert errors == sorted(errors, reverse=True)


def test_the_gradient_goes_straight_through(page, vectors):
    book = page["Words"](vectors[:16].clone()).eval()
    z = vectors[100:104].view(1, 2, 2, 48).clone().requires_grad_()
    z_q, word = book(z)
    torch.testing.assert_close(z_q, word)
    pull = torch.rand_like(z)
    (z_q * pull).sum().backward()
    torch.testing.assert_close(z.grad, pull)
    assert not word.requires_grad


def test_words_follow_their_vectors_and_dead_ones_begin_anew(page):
    words = torch.zeros(16, 48)
    words[1:] = 100.0  # far from everything: dead
    z = torch.ones(1, 8, 8, 48)
    left, moved = (page["Words"](words, restart=r).train() for r in (False, True))
    for _ in range(100):
        left(z), moved(z)
    torch.testing.assert_close(left.words[0], torch.ones(48), atol=0.01, rtol=0)
    torch.testing.assert_close(left.words[1:], words[1:], atol=1e-2, rtol=0)
    assert (moved.words - 1).abs().max() < 0.01
    before = left.words.clone()
    left.eval()(z)
    assert torch.equal(left.words, before)


def test_the_network_starts_as_its_words_and_learns(page):
    x = images(4)
    words = page["patches"](images(2, seed=1)).reshape(-1, 48)[:16]
    torch.manual_seed(0)
    net = page["Tokeniser"](words)
    start = page["picture_of"](words[page["nearest"](page["patches"](x), words)])
    torch.testing.assert_close(net.eval()(x)[0], start)
    value = page["loss"](net(x), x)
    assert value > F.mse_loss(net(x)[0], x)  # and the commitment
    value.backward()
    for part in (net.down, net.up):
        assert part[-1].weight.grad.abs().max() > 0


def test_perplexity_counts_the_words_in_use(page):
    assert page["perplexity"](torch.arange(16).repeat(3)) == pytest.approx(16)
    assert page["perplexity"](torch.zeros(5, 8, 8).long()) == pytest.approx(1)


def test_a_table_prices_what_it_has_seen(page):
    seen = torch.arange(16).repeat(4_000)
    assert page["price"](seen, seen, 16) == pytest.approx(4)
    only = torch.zeros(4_000).long()
    assert page["price"](only, only, 16) < 0.01 < 10 < page["price"](only, only + 3, 16)


def test_the_prior_sees_only_what_comes_before(page, vectors):
    torch.manual_seed(0)
    prior = page["Prior"](vectors[:16])
    tokens = torch.randint(16, (1, 8, 8))
    nn.init.normal_(prior.place)
    for r, c in ((0, 0), (3, 4), (7, 0), (5, 7)):
        other = tokens.clone()
        other[0, r, c] = (other[0, r, c] + 1) % 16
        changed = (prior(other) - prior(tokens)).abs().amax(3)[0] > 0  # (8, 8)
        assert not changed.flatten()[: 8 * r + c + 1].any()
        assert changed.flatten()[8 * r + c + 1 :].any() or (r, c) == (7, 7)
    assert page["cost_of"](prior, tokens).item() == pytest.approx(2.8, abs=1)


def test_what_is_written_follows_the_prior(page):
    """A prior that always says: one more than on the left."""

    def prior(tokens):
        left = F.pad(tokens, (1, 0))[:, :, :8]
        return 100.0 * F.one_hot((left + 1) % 16, 16)

    written_ = page["write"](prior, 3)
    assert written_[1, 4].tolist() == list(range(1, 9))


def test_words_by_themselves_keep_their_place(page):
    old = torch.arange(64).view(1, 8, 8) + 100 * torch.arange(5).view(5, 1, 1)
    drawn = page["shuffle_writers"](old, 40)
    assert torch.equal(drawn % 100, old[:1].expand(40, 8, 8))
    assert len((drawn[0] // 100).unique()) > 1


def test_blocks_are_put_back_by_pixel_shuffle(page):
    x = images(2)
    b = page["blocks"](x)
    assert b.shape == (2, 16, 192)
    back = F.pixel_shuffle(b.mT.reshape(-1, 192, 4, 4), 8) + 0.5
    torch.testing.assert_close(back, x)


def test_places_differ_and_near_ones_are_alike(page):
    place = page["places"](64)
    apart = torch.cdist(place, place)
    assert place.shape == (64, 64)
    assert (apart + 10 * torch.eye(64)).min() > 0.5
    assert apart[0, 1] < apart[0, 4] and apart[0, 8] < apart[0, 32]


def test_masks_keep_as_many_patches_as_they_should(page):
    stay = page["draw"](120, 0.75)
    assert stay.shape == (120, 16)
    assert torch.equal(stay[0], stay[49]) and not torch.equal(stay[49], stay[50])
    hidden = page["holes"](stay)
    assert hidden.shape == (120, 1, 32, 32)
    assert hidden.float().mean() == 0.75
    row, column = divmod(stay[0, 0].item(), 8)
    assert not hidden[0, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].any()


def test_errors_count_hidden_pixels_only(page):
    x, stay = images(3), page["draw"](3, 0.5)
    hidden = page["holes"](stay)
    assert page["error"](x + 0.1 * ~hidden, x, stay) == pytest.approx(0, abs=1e-9)
    assert page["error"](x + 0.1 * hidden, x, stay) == pytest.approx(0.01, rel=1e-4)
    guess = (x + 0.1 * hidden, hidden)
    assert page["hidden_only"](guess, x).item() == pytest.approx(0.01, rel=1e-4)


def test_the_best_linear_guess_is_exact_where_pixels_are_a_linear_map(page):
    """Images of eight numbers: any sixteen patches tell them."""
    random = torch.Generator().manual_seed(0)
    basis = torch.randn(8, 3 * 32 * 32, generator=random)
    x = (0.02 * torch.randn(60, 8, generator=random) @ basis).view(60, 3, 32, 32) + 0.4
    flat = (x - 0.4).flatten(1)
    names = page["linear"].__globals__
    names |= {"mean_image": torch.full((3, 32, 32), 0.4)}
    names |= {"covariance": (flat.T @ flat / 60).double()}
    stay = page["draw"](60, 0.75)
    guess = page["linear"](x, stay, 1e-6)
    assert page["error"](guess, x, stay) < 1e-6 < page["error"](0 * x + 0.4, x, stay)
    seen = ~page["holes"](stay).expand_as(x)
    torch.testing.assert_close(guess[seen], x[seen])


def test_the_masked_network_never_sees_what_is_hidden(page):
    torch.manual_seed(0)
    net = page["Masked"](torch.full((3, 32, 32), 0.5)).eval()
    nn.init.normal_(net.last.weight, std=0.1)
    x, stay = images(4), page["draw"](4, 0.75)
    hidden = page["holes"](stay)
    with torch.no_grad():
        guess = net.guess(x, stay)
        other = net.guess(torch.where(hidden, 1 - x, x), stay)
        third = net.guess(torch.where(hidden, x, 1 - x), stay)
        assert net.encode(x, stay).shape[:2] == (4, 16)
        x_hat, mask = net(x)
    torch.testing.assert_close(guess, other)
    assert (guess - third).abs().max() > 1e-3
    assert x_hat.shape == x.shape and mask.float().mean() == 0.75


def test_the_record_is_of_the_network_on_the_page(page):
    x, stay = images(4), page["draw"](4, 0.75)
    nets, guesses = [], []
    for build in (page["Masked"], masked.Masked):
        torch.manual_seed(0)
        net = build(torch.full((3, 32, 32), 0.5))
        nn.init.normal_(net.last.weight, std=0.1)
        torch.manual_seed(1)
        nets.append(net.eval())
        guesses.append(net(x))
    page_, record = (net.state_dict() for net in nets)
    assert list(page_) == list(record)
    for key, value in page_.items():
        assert torch.equal(value, record[key])
    for ours, theirs in zip(*guesses, strict=True):
        assert torch.equal(ours, theirs)
    losses = [page["hidden_only"](guesses[0], x), masked.hidden_only(guesses[0], x)]
    assert torch.equal(*losses)
    every = torch.arange(64).expand(4, 64)
    assert torch.equal(nets[1].pooled(x), nets[0].encode(x, every).mean(1))
    assert torch.equal(stay, masked.draw(4, 0.75))
    assert page["error"](0 * x, x, stay) == masked.error(0 * x, x, stay)


def test_the_record_is_beside_the_formula_on_the_page(page):
    learn, x = load("cifar10", limit=120), images(60)
    formula = masked.BestLinear(learn)
    names = page["linear"].__globals__
    mean = learn.unit().mean(0)
    off = (learn.unit() - mean).flatten(1)
    names |= {"mean_image": mean, "covariance": (off.T @ off / 120).double()}
    stay = page["draw"](60, 0.75)
    assert torch.equal(formula(x, stay, 0.01), page["linear"](x, stay, 0.01))
