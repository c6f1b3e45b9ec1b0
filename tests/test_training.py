"""`fit`: it learns, it repeats itself, and it loses nothing."""

import os
import signal
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ae_lib import data
from ae_lib.checkpoints import load_checkpoint, save_checkpoint
from ae_lib.devices import fast_bf16, pick_device
from ae_lib.history import History
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder, LinearAutoencoder, ResidualAutoencoder
from ae_lib.recipe import constant, muon_and_adam, one_cycle
from ae_lib.training import NonFiniteLoss, fit

QUIET = {"verbose": False, "device": "cpu"}


@pytest.fixture(scope="module")
def images():
    return data.load("shapes", "train", 320)


def small(seed=0, latent_dim=16):
    torch.manual_seed(seed)
    return ConvAutoencoder(latent_dim)


def adam(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def curve(history):
    return history.train_loss, history.val_loss


def interrupt_after(batches):
    """Return a loss that presses Ctrl-C while the given batch is computed."""
    seen = []

    def loss(x_hat, x):
        if torch.is_grad_enabled():
            seen.append(1)
            if len(seen) == batches:
                signal.raise_signal(signal.SIGINT)
        return F.mse_loss(x_hat, x)

    return loss


def test_it_learns_and_reports_each_epoch(images):
    train, validation = data.hold_out(images, 64)
    model = small()
    before = mse(validation, reconstruct(model, validation))
    history = fit(model, train, validation=validation, epochs=3, **QUIET)
    assert history.epochs == 3
    for values in (history.lr, history.seconds, history.images_per_second):
        assert len(values) == 3 and min(values) > 0
    assert history.train_loss[-1] < history.train_loss[0]
    assert history.val_loss[-1] < before
    after = mse(validation, reconstruct(model, validation))
    assert history.val_loss[-1] == pytest.approx(after, rel=1e-4)


def test_training_loss_is_the_mean_over_every_image(images):
    # With a learning rate of 0 the weights stand still, so that the loss over the
    # epoch must be that of one pass; 320 images are 2 batches of 128 and one of 64.
    model = LinearAutoencoder(8)
    history = fit(
        model,
        images,
        epochs=1,
        optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.0),
        precision="float32",
        **QUIET,
    )
    expected = mse(images, reconstruct(model, images))
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_curve_and_another_seed_another(images):
    curves = [curve(fit(small(), images, epochs=2, seed=s, **QUIET)) for s in (0, 0, 1)]
    assert curves[0] == curves[1] != curves[2]


def test_the_callers_random_numbers_are_left_alone(images):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(LinearAutoencoder(2), images, epochs=1, **QUIET)
    model_draw = torch.rand(3)
    torch.manual_seed(5)
    LinearAutoencoder(2)
    assert torch.equal(model_draw, torch.rand(3))
    assert not torch.equal(model_draw, expected)


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_ctrl_c_then_resume_gives_the_uninterrupted_curve(images, batch, tmp_path):
    noisy = nn.Sequential(nn.Dropout(0.1), small())  # draws random numbers as it trains
    weights = {k: v.clone() for k, v in noisy.state_dict().items()}
    options = {"validation": images[:64], "epochs": 3, **QUIET}
    whole = fit(noisy, images, **options)
    end = {k: v.clone() for k, v in noisy.state_dict().items()}

    noisy.load_state_dict(weights)
    loss = interrupt_after(batch)
    part = fit(noisy, images, loss=loss, out=tmp_path, **options)
    assert part.stopped == "interrupted"
    assert part.epochs == batch // 3
    fresh = nn.Sequential(nn.Dropout(0.1), small(seed=9))
    again = fit(fresh, images, out=tmp_path, resume=True, **options)
    assert curve(again) == curve(whole)
    assert again.stopped == ""
    for key, value in fresh.state_dict().items():
        assert torch.equal(value, end[key]), key
    for split in ("train", "validation"):
        shots = again.snapshots[split]["reconstructions"]
        for one, other in zip(
            shots, whole.snapshots[split]["reconstructions"], strict=True
        ):
            assert torch.equal(one, other)


def test_ctrl_c_works_as_before_afterwards(images):
    before = signal.getsignal(signal.SIGINT)
    fit(LinearAutoencoder(2), images, epochs=1, loss=interrupt_after(1), **QUIET)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_outside_the_main_thread(images):
    histories = []
    thread = threading.Thread(
        target=lambda: histories.append(
            fit(LinearAutoencoder(2), images, epochs=1, **QUIET)
        )
    )
    thread.start()
    thread.join()
    assert histories[0].epochs == 1


def test_resume_refuses_other_settings(images, tmp_path):
    fit(small(), images, epochs=1, out=tmp_path, **QUIET)
    with pytest.raises(ValueError, match="epochs=1 then and 2 now; use the same"):
        fit(small(), images, epochs=2, out=tmp_path, resume=True, **QUIET)
    with pytest.raises(ValueError, match="needs `out`"):
        fit(small(), images, epochs=2, resume=True, **QUIET)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": LinearAutoencoder(16)}, "model=ConvAutoencoder then and Linear"),
        ({"optimizer": adam}, "optimizers=Adam and Muon then and Adam now"),
        ({"images": data.load("shapes", "test", 320)}, "checksum=[0-9]+ then"),
    ],
)
def test_resume_refuses_another_program(images, tmp_path, changed, message):
    program = {"model": small(), "images": images, "epochs": 1, "out": tmp_path}
    fit(**program, **QUIET)
    with pytest.raises(ValueError, match=message):
        fit(**(program | changed), resume=True, **QUIET)


def test_resume_names_a_damaged_checkpoint(images, tmp_path):
    fit(small(), images, epochs=1, out=tmp_path, **QUIET)
    last = tmp_path / "last.pt"
    last.write_bytes(last.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"last\.pt is no checkpoint, or a dama"):
        fit(small(), images, epochs=1, out=tmp_path, resume=True, **QUIET)


def test_a_forgotten_resume_loses_nothing(images, tmp_path, capsys):
    fit(small(), images, epochs=2, out=tmp_path, **QUIET)
    first = (tmp_path / "last.pt").read_bytes()
    fit(small(), images, epochs=1, out=tmp_path, device="cpu")
    assert "last.pt is now last.before.pt" in capsys.readouterr().out
    assert (tmp_path / "last.before.pt").read_bytes() == first
    assert (tmp_path / "best.before.pt").exists()
    assert len(load_checkpoint(tmp_path / "last.pt")["history"]["train_loss"]) == 1


def test_resuming_a_finished_run_changes_nothing(images, tmp_path, capsys):
    model = small()
    whole = fit(model, images, epochs=2, out=tmp_path, **QUIET)
    again = fit(small(3), images, epochs=2, out=tmp_path, resume=True, device="cpu")
    assert curve(again) == curve(whole)
    assert "has its 2 epochs already" in capsys.readouterr().out


def test_best_checkpoint_is_the_epoch_of_lowest_validation_loss(images, tmp_path):
    # At a hundred times a good rate, the last epochs are worse than an earlier one.
    history = fit(
        small(),
        images,
        validation=images[:64],
        epochs=5,
        optimizer=adam,
        schedule=lambda progress: 1.0 if progress < 0.6 else 300.0,
        out=tmp_path,
        **QUIET,
    )
    best = min(history.val_loss)
    assert best != history.val_loss[-1]
    assert load_checkpoint(tmp_path / "best.pt")["history"]["val_loss"][-1] == best
    last = load_checkpoint(tmp_path / "last.pt")["history"]["val_loss"]
    assert last == history.val_loss


def test_nan_names_epoch_and_step_and_restores_the_weights(images, tmp_path):
    seen = []

    def loss(x_hat, x):
        if torch.is_grad_enabled():
            seen.append(1)
        return F.mse_loss(x_hat, x) * (float("nan") if len(seen) == 5 else 1)

    model = small()
    with pytest.raises(NonFiniteLoss, match="epoch 2 at step 2") as caught:
        fit(model, images, epochs=3, loss=loss, out=tmp_path, **QUIET)
    assert str(tmp_path / "last.pt") in str(caught.value)
    saved = load_checkpoint(tmp_path / "last.pt")["model"]
    for key, value in model.state_dict().items():
        assert torch.equal(value, saved[key]), key


def test_a_folder_that_is_a_file_is_named_before_the_training(images, tmp_path):
    (tmp_path / "run").write_text("in the way", encoding="utf-8")
    before = (model := small()).state_dict()["decoder.stack.0.weight"].clone()
    with pytest.raises(OSError, match="run cannot be written .*: choose another one"):
        fit(model, images, epochs=1, out=tmp_path / "run", **QUIET)
    assert torch.equal(model.state_dict()["decoder.stack.0.weight"], before)


def test_a_checkpoint_of_something_else_is_named(images, tmp_path):
    save_checkpoint({"model": {}, "step": 3}, tmp_path / "last.pt")
    with pytest.raises(ValueError, match="no checkpoint of fit, it lacks cuda_rng, hi"):
        fit(small(), images, epochs=1, out=tmp_path, resume=True, **QUIET)


def test_snapshots_follow_the_same_images(images):
    history = fit(
        small(), images, validation=images[64:128], epochs=2, watch=5, **QUIET
    )
    for name, source in (("train", images), ("validation", images[64:])):
        shots = history.snapshots[name]
        assert torch.equal(shots["inputs"], source.pixels[:5])
        assert [shot.shape for shot in shots["reconstructions"]] == [(5, 3, 32, 32)] * 2
        first, last = shots["reconstructions"]
        assert first.dtype == torch.uint8 and not torch.equal(first, last)


def test_one_line_per_epoch(images, capsys, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    fit(small(), images, epochs=2, device="cpu")
    lines = capsys.readouterr().out.splitlines()
    assert [line[:11] for line in lines] == ["epoch  1/2 ", "epoch  2/2 "]


def test_the_model_comes_back_to_its_device_in_evaluation_mode(images):
    model = small().train()
    fit(model, images, epochs=1, **QUIET)
    assert not model.training
    assert next(model.parameters()).device == torch.device("cpu")


@pytest.mark.skipif(pick_device().type == "cpu", reason="needs a GPU")
def test_a_gpu_learns_what_the_cpu_learns(images):
    curves = []
    for device in ("cpu", pick_device()):
        options = {"device": device, "precision": "float32", "verbose": False}
        curves.append(fit(small(), images, epochs=2, **options).train_loss)
    assert curves[1] == pytest.approx(curves[0], rel=0.02)


def test_bf16_is_used_where_it_is_fast_and_learns_as_well(images):
    losses = {}
    for precision in ("float32", "bf16", "auto"):
        history = fit(small(), images, epochs=2, precision=precision, **QUIET)
        losses[precision] = history.train_loss[-1]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bf16"] != losses["float32"]
    assert losses["auto"] == losses["bf16" if fast_bf16("cpu") else "float32"]


def test_recipe_covers_every_weight_once():
    model = small()
    groups = [g["params"] for o in muon_and_adam(model) for g in o.param_groups]
    ids = [id(p) for group in groups for p in group]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    model.encoder.requires_grad_(False)
    groups = [g["params"] for o in muon_and_adam(model) for g in o.param_groups]
    assert all(p.requires_grad for group in groups for p in group)


def test_learning_rate_follows_the_schedule(images):
    history = fit(small(), images, epochs=4, optimizer=adam, **QUIET)
    last_steps = [(3 * epoch + 2) / 12 for epoch in range(4)]
    assert history.lr == pytest.approx([1e-3 * one_cycle(at) for at in last_steps])
    history = fit(small(), images, epochs=2, optimizer=adam, schedule=constant, **QUIET)
    assert history.lr == [1e-3, 1e-3]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.rand(4, 3, 32), r"\(N, C, H, W\)"),
        (torch.empty(0, 3, 32, 32), "N >= 1"),
        (torch.rand(4, 3, 32, 32) * 255, "divide values"),
        (torch.rand(4, 3, 16, 16), r"these are \(3, 16, 16\): build the model with"),
        (torch.rand(4, 32, 32, 3), r"permute\(0, 3, 1, 2\) puts the channels first"),
        (torch.full((4, 3, 32, 32), torch.nan), "hold NaN"),
    ],
)
def test_bad_images_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(small(), bad, **QUIET)


def test_bad_settings_are_refused(images):
    for epochs in (0, 1.5):
        with pytest.raises(ValueError, match="epochs must be a whole number"):
            fit(small(), images, epochs=epochs, **QUIET)
    with pytest.raises(TypeError, match="a function of the model"):
        fit(small(), images, optimizer=adam(small()), **QUIET)
    with pytest.raises(ValueError, match="precision"):
        fit(small(), images, precision="half", **QUIET)


def test_history_survives_the_disk(images, tmp_path):
    history = fit(small(), images, validation=images[:32], epochs=1, **QUIET)
    again = History.load(history.save(tmp_path / "history.json"))
    assert curve(again) == curve(history) and again.lr == history.lr
    assert os.listdir(tmp_path) == ["history.json"]


def test_recipe_gives_named_matrices_their_own_rate():
    model = ResidualAutoencoder(4, (1, 8, 8))
    adam, muon = muon_and_adam(model)
    groups = [*adam.param_groups, *muon.param_groups]
    rate = {id(p): g["lr"] for g in groups for p in g["params"]}
    assert len(rate) == len(list(model.parameters()))
    assert rate[id(model.bottleneck.weight)] == model.rates["bottleneck.weight"]
    assert rate[id(model.encoder.blocks[0].first.weight)] == 0.02
    assert rate[id(model.decoder.head.weight)] == 3e-3
