"""Rules that were mended: what each finds, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import doctor
from ae_lib.doctor.clinic import programs
from ae_lib.doctor.clinic.material import digits, loader, waves
from tests.doctor.programs import Dense, adam, batches, fit, pictures

X = pictures(192, side=16)
LONG = {"budget_seconds": 8}


def conv(channels=1, width=8, *, first=()):
    """Return a small convolutional autoencoder for sides that 4 divides."""
    torch.manual_seed(0)
    return nn.Sequential(
        *first,
        nn.Conv2d(channels, width, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(width, 6, 4, 2, 1),
        nn.ConvTranspose2d(6, width, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1),
    )  # fmt: skip


def faults(model, data=X, seconds=0, **more):
    data = batches(data) if torch.is_tensor(data) else data
    return doctor.examine(model, data, budget_seconds=seconds, **more).faults


def test_rows_of_another_length_are_found_with_their_length():
    stored = F.pad(X, (0, 3)).flatten(1)[:, : 16 * 16].reshape(-1, 1, 16, 16)
    report = doctor.examine(conv(), batches(stored), budget_seconds=0)
    assert report.faults[0] == "data.layout"
    assert "a row has 19 values, not 16" in report.findings[0].remedy
    assert "data.layout" not in faults(conv())


def test_strips_of_many_pictures_are_no_picture():
    strips = torch.cat(list(X), 2).reshape(X.shape)
    assert faults(conv(), strips[torch.randperm(192)])[0] == "data.layout"


def test_series_side_by_side_are_none_of_a_dense_networks_business():
    walks = torch.randn(192, 1, 16, 16).cumsum(3) / 4
    assert "data.layout" not in faults(Dense(256, last=nn.Identity), walks)


def test_pixels_that_a_model_moves_into_channels_are_no_scrambled_picture():
    model = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(16, 8, 1), nn.ReLU())
    model.extend([nn.Conv2d(8, 16, 1), nn.PixelShuffle(4)])
    assert "data.layout" not in faults(model)


def test_holes_in_the_input_are_no_layout_and_a_scrambled_input_is():
    comb = (torch.arange(16) % 2).float()
    assert "data.layout" not in faults(conv(), pair=lambda x: (x * comb, x))
    rgb = pictures(192, channels=3, side=16)

    def scrambled(x):
        return x.permute(0, 2, 3, 1).reshape(x.shape), x

    assert faults(conv(3), rgb, pair=scrambled)[0] == "data.layout"


def edges(x):
    return x[..., 1:] - x[..., :-1]


@pytest.mark.parametrize("sums", [True, False])
def test_a_term_of_edges_is_reduced_like_the_error(sums):
    def loss(x_hat, x):
        term = (edges(x_hat) - edges(x)).square()
        return F.mse_loss(x_hat, x) + (term.sum() if sums else term.mean())

    assert ("loss.scale" in faults(conv(), loss=loss)) == sums


class Normed(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.net, self.last = conv(), last

    def forward(self, x):
        return self.last(self.net(x).flatten(1)).reshape(x.shape)


@pytest.mark.parametrize(
    "last, fixed",
    [
        (F.normalize, True),
        (nn.LayerNorm(256, elementwise_affine=False), True),
        (nn.BatchNorm1d(256), False),
        (nn.Identity(), False),
    ],
)
def test_an_output_of_fixed_length_cannot_reach_the_targets(last, fixed):
    assert ("output.range" in faults(Normed(last))) == fixed


@pytest.mark.parametrize("second", [True, False])
def test_an_optimizer_that_never_steps_is_named_by_its_layers(second):
    model = Dense(256)
    one, two = adam(model.encoder), adam(model.decoder)

    def step(model, batch):
        one.zero_grad()
        two.zero_grad()
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        one.step()
        if second:
            two.step()
        return loss.item()

    report = doctor.examine(model, batches(X), optimizer=one, step=step, **LONG)
    assert ("wiring.unoptimised" in report.faults) != second
    if not second:
        assert report.faults[0] == "wiring.unoptimised"
        assert "decoder.0.weight" in report.findings[0].evidence["where"]


@pytest.mark.parametrize("clears", [True, False])
def test_gradients_of_four_batches_are_collected_and_cleared(clears):
    model, count = Dense(256), [0]
    optimizer = adam(model, 5e-3)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        (loss / 4).backward()
        count[0] += 1
        if count[0] % 4 == 0:
            optimizer.step()
            if clears:
                optimizer.zero_grad()
        return loss.item()

    report = doctor.examine(model, batches(X), optimizer=optimizer, step=step, **LONG)
    assert report.faults == ([] if clears else ["wiring.zero-grad"])


def test_counts_keep_their_scale_and_grey_levels_do_not():
    few = torch.poisson(0.5 * pictures(192, side=16).flatten(1))
    few[0, 0] = 9.0
    assert "data.scale" not in faults(Dense(256, last=nn.Softplus), few)
    levels = (16 * X).round()
    report = doctor.examine(Dense(256), batches(levels), budget_seconds=0)
    assert report.faults[0] == "data.scale"
    assert report.findings[0].remedy == "x = x / 16"


def test_a_small_difference_on_a_large_constant_is_a_scale():
    twice = (X - 127.5) / 127.5
    assert faults(Dense(256, last=nn.Tanh), twice)[0] == "data.scale"


def test_few_targets_for_many_inputs_are_targets_and_not_repetition():
    labels = torch.arange(192) % 10
    painted = (labels / 9).view(-1, 1, 1, 1).expand_as(X).contiguous()
    found = faults(Dense(256), list(zip(batches(X), batches(painted), strict=True)))
    assert "data.target" in found and "data.order" not in found
    same = X[:12].repeat(16, 1, 1, 1)
    noisy = same + 0.1 * torch.randn(same.shape)
    found = faults(Dense(256), list(zip(batches(noisy), batches(same), strict=True)))
    assert "data.order" in found


def test_frozen_layers_that_hold_up_the_rest_are_a_fault():
    model = Dense(256)
    with torch.no_grad():  # no start that a layer draws by itself
        for layer in (model.encoder[1], model.decoder[2]):
            layer.weight.mul_(0.2)
    model.encoder.requires_grad_(False)
    model.decoder[2].requires_grad_(False)
    rest = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(rest, 2e-3)
    report = doctor.examine(model, batches(X), optimizer=optimizer, **LONG)
    assert report.faults[0] == "wiring.unoptimised"
    frozen = fit(Dense(256), X)
    frozen.encoder.requires_grad_(False)
    report = doctor.examine(frozen, batches(X), optimizer=adam(frozen.decoder), **LONG)
    assert "wiring.unoptimised" not in report.faults


def test_a_code_masked_to_one_unit_is_dead_though_sixteen_images_fit():
    model = Dense(256)
    mask = torch.zeros(8)
    mask[0] = 1
    model.encoder.append(Masked(mask))
    report = doctor.examine(model, batches(X), optimizer=adam(model), **LONG)
    assert report.faults[0] == "signal.dead-units"


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, z):
        return z * self.mask


def test_scores_of_classes_are_no_wrong_images():
    maker = torch.Generator().manual_seed(0)
    causes = torch.randn(192, 3, generator=maker)
    letters = (causes @ torch.randn(3, 40, generator=maker)).reshape(192, 8, 5)
    x = F.one_hot(letters.argmax(2), 5).float()

    def loss(scores, x):
        return F.cross_entropy(scores.flatten(0, 1), x.argmax(2).flatten())

    plain = Dense(40, last=nn.Identity)
    assert "loss.domain" not in faults(plain, x, loss=loss)
    assert "loss.domain" in faults(Dense(40, last=nn.Softmax), x, loss=loss)


class Twice(Dense):
    """Return a half-sized picture as well, drawn from the same code."""

    def __init__(self):
        super().__init__(256)
        self.small = nn.Linear(8, 64)

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z).reshape(x.shape), self.small(z).reshape(-1, 1, 8, 8)


def test_the_error_of_a_second_picture_is_no_penalty_on_the_code():
    def loss(output, x):
        x_hat, small = output
        return F.mse_loss(x_hat, x) + F.mse_loss(small, F.avg_pool2d(x, 2))

    assert not [c for c in faults(Twice(), loss=loss) if c.startswith("sparse")]


@pytest.mark.parametrize("clears", [True, False])
def test_gradients_are_cleared_in_a_descent_by_hand(clears):
    model = Dense(256)

    def step(model, batch):
        loss = F.mse_loss(model(batch), batch)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.5 * p.grad
                if clears:
                    p.grad = None
        return loss.item()

    found = faults(model, seconds=4, step=step)
    assert ("wiring.zero-grad" in found) != clears


def test_a_network_that_takes_any_size_is_judged_on_larger_pictures():
    large = pictures(64, side=24)
    assert "data.shift" not in faults(conv(), eval_batches=[large])
    assert "data.shift" in faults(Dense(256), eval_batches=[large])


def test_a_denoiser_may_hand_on_what_it_is_given():
    torch.manual_seed(0)
    sharper = nn.Conv2d(1, 1, 3, padding=1)
    blurred = F.avg_pool2d(F.pad(X, (1, 1, 1, 1), mode="replicate"), 3, 1)
    with torch.no_grad():
        sharper.weight.zero_()[0, 0, 1, 1] = 1.0
        sharper.bias.zero_()
    pairs = list(zip(batches(blurred), batches(X), strict=True))
    assert "code.identity" not in faults(sharper, pairs, seconds=4)
    assert "code.identity" in faults(sharper, seconds=4)


class Late(Dense):
    def forward(self, x):
        x_hat = super().forward(x)
        return x_hat if self.training else torch.sigmoid(4 * x_hat)


def test_what_evaluation_adds_is_told_before_the_training():
    model = Late(256, last=nn.Identity)
    assert "wiring.mode" in faults(model, seconds=20, optimizer=adam(model))


def test_a_loss_that_asks_for_the_path_to_the_input_is_not_called_wrong():
    def loss(x_hat, x):
        (slope,) = torch.autograd.grad(x_hat.sum(), SEEN, create_graph=True)
        return F.mse_loss(x_hat, x) + 1e-4 * slope.square().mean()

    class Kept(Dense):
        def forward(self, x):
            global SEEN
            SEEN = x = x.clone().requires_grad_()
            return super().forward(x)

    assert "loss.domain" not in faults(Kept(256), loss=loss)


SEEN = None


class Recurrent(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.encoder = nn.LSTM(16, 6, batch_first=True)
        self.decoder = nn.LSTM(6, 16, batch_first=True)
        self.last = last

    def forward(self, x):
        return self.last(self.decoder(self.encoder(x)[0])[0])


@pytest.mark.parametrize("last", [nn.Identity(), nn.Linear(16, 16)])
def test_a_hidden_state_cannot_leave_its_range(last):
    x = torch.randn(192, 8, 16).cumsum(1)
    bound = isinstance(last, nn.Identity)
    assert ("output.range" in faults(Recurrent(last), x)) == bound


def stack(act):
    """784 -> 256 -> 32 -> 256 -> 784 numbers, with Adam at its usual rate."""
    torch.manual_seed(0)
    x, _ = digits(512, size=28)
    widths = (784, 256, 32, 256)
    layers = [nn.Flatten()]
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(a, b), act()]
    layers += [nn.Linear(256, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))]
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return {"model": model, "batches": loader(x), "optimizer": optimizer}


def test_sigmoids_that_would_learn_sooner_as_relus_are_a_slow_start():
    report = doctor.examine(**stack(nn.Sigmoid), budget_seconds=60)
    assert report.faults == ["signal.common-mode"]
    evidence = report.findings[0].evidence
    later, sooner = (v for k, v in evidence.items() if k.startswith("R²"))
    assert sooner > later + 0.3
    assert report.findings[0].severity == "warning"
    assert doctor.examine(**stack(nn.ReLU)).ok


class TwoWays(nn.Module):
    """A code that the decoder reads twice, once as a view of it."""

    def __init__(self, around=False):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.around = nn.Linear(64, 6), around
        self.one, self.two = nn.Linear(6, 64), nn.Linear(6, 64)

    def forward(self, x):
        z = self.down(x)
        x_hat = self.one(z[:, None]).flatten(1) + self.two(torch.tanh(z))
        return x_hat + x if self.around else x_hat


def test_a_code_that_is_read_twice_is_not_gone_around():
    x = waves(256)
    for around in (False, True):
        model = TwoWays(around)
        fit(model, x, 150)
        assert ("wiring.bypass" in faults(model, x)) is around


def test_what_amplifies_noise_is_no_copy():
    x = waves(512)
    axes = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    white = axes.Vh[:16].T / axes.S[:16].clamp(min=1e-4) * 512**0.5
    model = nn.Sequential(nn.Linear(64, 16), nn.Linear(16, 64))
    with torch.no_grad():
        model[0].weight.copy_(white.T)
        model[0].bias.copy_(-x.mean(0) @ white)
        model[1].weight.copy_(torch.linalg.pinv(white).T)
        model[1].bias.copy_(x.mean(0))
    assert "code.identity" not in faults(model, x)
    copy = nn.Linear(64, 64)
    with torch.no_grad():
        copy.weight.copy_(torch.eye(64))
        copy.bias.zero_()
    assert "code.identity" in faults(copy, x)


def test_a_validation_loss_that_jumps_has_not_risen():
    model = Dense(256)
    fit(model, X, 100)
    falling = [1 / (epoch + 1) for epoch in range(24)]
    rising = [0.2 + 0.02 * abs(epoch - 10) for epoch in range(24)]
    jumps = [0.2 + 0.05 * (-1) ** epoch for epoch in range(24)]
    for val, wrong in ((rising, True), (jumps[:-1], False)):
        history = {"train_loss": falling[: len(val)], "val_loss": val}
        assert ("fit.overfit" in faults(model, history=history)) is wrong


def test_one_mask_for_a_whole_batch_is_no_order():
    def with_a_hole(x):
        mask = torch.ones_like(x)
        at = int(torch.randint(0, 8, ()))
        mask[:, :, at : at + 8] = 0
        return torch.cat([x * mask, mask], 1), x

    model = conv()
    model[0] = nn.Conv2d(2, 8, 4, 2, 1)
    assert "data.order" not in faults(model, pair=with_a_hole)
    dark_first = X[X.mean((1, 2, 3)).argsort()]
    assert "data.order" in faults(model, dark_first, pair=with_a_hole)


def test_neighbours_that_share_a_mean_image_are_no_axis_of_samples():
    torch.manual_seed(0)
    mean = torch.rand(1, 1, 16, 16)
    alike = mean + 0.1 * torch.randn(256, 1, 16, 16)
    assert "data.layout" not in faults(conv(), alike)
    apart = pictures(256, side=16)
    mixed = apart.permute(1, 2, 3, 0).reshape(256, 1, 16, 16)
    assert "data.layout" in faults(conv(), mixed)


class OverTime(nn.Module):
    """Convolve along the time of series (N, time, channels)."""

    def __init__(self, turn):
        super().__init__()
        torch.manual_seed(0)
        self.turn, width = turn, 4 if turn else 32
        self.layers = nn.Sequential(
            nn.Conv1d(width, 16, 3, padding=1), nn.ReLU(),
            nn.Conv1d(16, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x):
        if not self.turn:
            return self.layers(x)
        return self.layers(x.transpose(1, 2)).transpose(1, 2)


def test_series_that_the_model_turns_round_are_right():
    maker = torch.Generator().manual_seed(0)
    x = torch.randn(192, 32, 4, generator=maker).cumsum(1)
    x = (x - x.mean(0)) / x.std(0) * torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert "data.layout" not in faults(OverTime(True), x)
    assert "data.layout" in faults(OverTime(False), x)


class Reader(nn.Module):
    """Read a series (N, time, channels) with a GRU, and write it at once."""

    def __init__(self, channels, length):
        super().__init__()
        torch.manual_seed(0)
        self.read = nn.GRU(channels, 24, batch_first=True)
        self.code = nn.Linear(24, 8)
        self.write = nn.Linear(8, length * channels)
        self.shape = (length, channels)

    def forward(self, x):
        _, h = self.read(x)
        return self.write(self.code(h[-1])).unflatten(1, self.shape)


def test_a_view_that_swaps_time_and_sensors_is_seen_by_a_recurrent_network():
    maker = torch.Generator().manual_seed(0)
    x = torch.randn(192, 24, 6, generator=maker).cumsum(1)
    x = (x - x.mean(0)) / x.std(0)
    assert "data.layout" not in faults(Reader(6, 24), x)
    swapped = x.transpose(1, 2).reshape(192, 24, 6)
    assert "data.layout" in faults(Reader(6, 24), swapped)
    # One recording, cut into frames of six moments.
    whole = torch.randn(192, 144, generator=maker).cumsum(1)
    assert "data.layout" not in faults(Reader(6, 24), (whole / 12).view(192, 24, 6))
    # Frames whose neighbouring channels are more alike than neighbouring moments.
    frames = torch.randn(192, 24, 12, generator=maker).cumsum(2)
    frames[:, 1:] = 0.6 * frames[:, :-1] + 0.8 * frames[:, 1:]
    assert "data.layout" not in faults(Reader(12, 24), frames)


def test_logarithms_of_shares_are_scores():
    torch.manual_seed(0)
    shares = torch.distributions.Dirichlet(torch.full((32,), 0.3)).sample((192,))

    def likelihood(output, target):
        return -(target * output).sum(1).mean()

    model = nn.Sequential(
        nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 32), nn.LogSoftmax(1)
    )
    assert faults(model, shares, loss=likelihood) == []
    model[3] = nn.Identity()  # unbounded, and with it the likelihood
    assert "loss.domain" in faults(model, shares, loss=likelihood)


def test_a_linear_network_before_its_first_step_was_not_stopped_too_soon():
    torch.manual_seed(0)
    x = pictures(256, side=8).flatten(1)
    basis = torch.linalg.qr(torch.randn(64, 32))[0]
    model = nn.Sequential(nn.Linear(64, 32, bias=False), nn.Linear(32, 64))
    with torch.no_grad():
        model[0].weight.copy_(basis.T)
        model[1].weight.copy_(basis)
        model[1].bias.copy_(x.mean(0) - basis @ (basis.T @ x.mean(0)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    found = faults(model, x, seconds=20, optimizer=optimizer)
    assert "fit.undertrained" not in found


def test_a_rate_that_fits_sixteen_images_and_not_the_batches():
    """As an LSTM of the clinic at ten times the rate of its repair, and more."""
    (program,) = [p for p in programs() if p.name == "recurrent_net_at_a_tenth"]
    report = doctor.examine(**program.build(), budget_seconds=60)
    assert report.faults == ["step.too-large"]
    assert "16 images" not in report.findings[0].evidence["statistic"]
    assert doctor.examine(**program.repair()).ok
