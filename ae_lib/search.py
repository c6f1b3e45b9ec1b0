"""Search for better settings with Optuna, shared by any number of workers.

    python -m ae_lib.search --out runs/search --latent-dim 200 --trials 30

Start it as often as you like: the workers share one journal, a file in the folder, and
stop when they have finished so many trials between them. What counts is the error on
training images that were held out; the test images are never touched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ae_lib.data import Images, hold_out, load
from ae_lib.models import MODELS
from ae_lib.recipe import muon_and_adam, one_cycle
from ae_lib.training import NonFiniteLoss, fit

BATCH_SIZES = [32, 64, 128, 256]


def objective(trial, train: Images, validation: Images, model: type, options: dict):
    """Return the validation error of one trial: batch size, optimizer, its rate."""
    scale = trial.suggest_float("rate", 0.1, 10.0, log=True)  # times the usual one
    batch_size = trial.suggest_categorical("batch_size", BATCH_SIZES)
    kind = trial.suggest_categorical("optimizer", ["muon_and_adam", "adam"])
    optimizer = muon_and_adam
    if kind == "adam":
        optimizer = _adam
    torch.manual_seed(options["seed"])
    history = fit(
        model(options["latent_dim"], train.shape),
        train,
        validation=validation,
        epochs=options["epochs"],
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=lambda progress: scale * one_cycle(progress),
        seed=options["seed"],
        verbose=False,
    )
    return history.val_loss[-1]


def _adam(model: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=3e-3)


def search(
    folder: Path,
    train: Images,
    validation: Images,
    *,
    trials: int,
    model: type,
    sampler_seed: int | None = None,  # one worker with a seed repeats itself
    **options,
):
    """Work on the study in `folder` until it has so many trials; return the study.

    A trial whose loss is no longer a number counts as failed, and the search goes on.
    That of a worker that was killed stays "running" in the journal, and is not counted.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "the search needs Optuna, which is not installed; "
            "run: python -m pip install optuna"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "journal.log"))
    study = optuna.create_study(
        study_name="search",
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=sampler_seed),
        load_if_exists=True,
    )
    done = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL)
    enough = optuna.study.MaxTrialsCallback(trials, states=done)
    if len(study.get_trials(deepcopy=False, states=done)) < trials:
        study.optimize(
            lambda trial: objective(trial, train, validation, model, options),
            callbacks=[enough, _tell],
            catch=(NonFiniteLoss,),
        )
    return study


def _tell(study, trial) -> None:
    error = "failed" if trial.value is None else f"{trial.value:.5f}"
    print(f"trial {trial.number}: {error} {trial.params}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 1 when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.search")
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the folder that all workers share")
    add("--trials", type=int, default=30, help="of all workers together (30)")
    add("--dataset", default="cifar10")
    add("--model", choices=MODELS, default="ConvAutoencoder")
    add("--latent-dim", type=int, default=200)
    add("--epochs", type=int, default=3)
    add("--limit", type=int, default=10_000, help="images, a tenth of them held out")
    add("--seed", type=int, default=0, help="of the weights, in all trials (0)")
    args = parser.parse_args(arguments)
    try:
        images = load(args.dataset, "train", args.limit)
        train, validation = hold_out(images, len(images) // 10)
        study = search(
            args.out,
            train,
            validation,
            trials=args.trials,
            model=MODELS[args.model],
            latent_dim=args.latent_dim,
            epochs=args.epochs,
            seed=args.seed,
        )
    except (ValueError, ImportError) as error:
        print(f"ae_lib.search: {error}", file=sys.stderr)
        return 1
    best = study.best_trial
    print(f"best of {len(study.trials)}: {best.value:.5f} with {best.params}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
