"""Chapter 05 writes the training loop out: it must be the one of `ae_lib`."""

import ast

import pytest
import torch
import torch.nn.functional as F

from ae_lib import data, recipe
from ae_lib.metrics import mse, reconstruct
from ae_lib.models import ConvAutoencoder
from ae_lib.recipe import constant
from ae_lib.training import fit

WRITTEN_OUT = ("Step", "Epoch", "Trainer", "one_cycle", "Scheduled")


def definitions(path, wanted):
    """Return what a page defines under these names, without running its cells."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in tree.body if getattr(node, "name", "") in wanted]
    assert [node.name for node in found] == list(wanted)
    names = {
        "torch": torch,
        "F": F,
        "data": data,
        "mse": mse,
        "reconstruct": reconstruct,
    }
    exec(compile(ast.Module(found, []), str(path), "exec"), names)
    return names


@pytest.fixture(scope="module")
def page(root):
    return definitions(root / "chapters" / "05_training.py", WRITTEN_OUT)


@pytest.fixture(scope="module")
def solutions(root):
    path = root / "chapters" / "solutions" / "05_training.py"
    return definitions(path, ["Trainer"])


@pytest.fixture(scope="module")
def images():
    # 200 are three batches of 64 and one of 8: it must not count as a whole one.
    return data.hold_out(data.load("shapes", "train", 264), 64)


def model():
    torch.manual_seed(3)
    return ConvAutoencoder(latent_dim=16)


@pytest.mark.parametrize(
    ("trainer", "schedule"), [("Trainer", constant), ("Scheduled", recipe.one_cycle)]
)
def test_the_loop_of_the_page_gives_the_curves_of_fit(page, images, trainer, schedule):
    train, validation = images
    written = page[trainer](model(), train, validation, lr=2e-3, seed=5)
    written.fit(epochs=3)
    history = fit(
        model(),
        train,
        validation=validation,
        epochs=3,
        batch_size=64,
        optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=2e-3),
        schedule=schedule,
        seed=5,
        device="cpu",
        precision="float32",
        verbose=False,
    )
    assert written.train_loss == pytest.approx(history.train_loss, rel=2e-3)
    assert written.val_loss == pytest.approx(history.val_loss, rel=2e-3)
    assert written.optimizer.param_groups[0]["lr"] == pytest.approx(history.lr[-1])
    assert len(written.batch_loss) == 3 * 4


def test_the_solutions_repeat_the_loop_of_the_page(page, solutions, images):
    curves = []
    for names in (page, solutions):
        trainer = names["Trainer"](model(), *images, lr=2e-3, seed=5)
        for epoch in range(2):
            trainer.train_loss.append(trainer.train_epoch(epoch))
            trainer.val_loss.append(trainer.validate())
        curves.append(trainer.train_loss + trainer.val_loss)
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


def test_another_seed_gives_another_curve(page, images):
    """The comparison above can fail: the order of the images tells in the curve."""
    curves = []
    for seed in (5, 6):
        trainer = page["Trainer"](model(), *images, lr=2e-3, seed=seed)
        trainer.fit(epochs=1)
        curves.append(trainer.train_loss)
    assert curves[0] != pytest.approx(curves[1], rel=2e-3)


def test_the_schedule_of_the_page_is_that_of_the_recipe(page):
    for i in range(101):
        assert page["one_cycle"](i / 100) == recipe.one_cycle(i / 100)
