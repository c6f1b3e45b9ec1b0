"""One training run: epochs, batches, and the state that can be saved and restored."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from ae_lib import distributed
from ae_lib.checkpoints import load_checkpoint, save_checkpoint
from ae_lib.data import Images, batches, to_unit
from ae_lib.history import History
from ae_lib.metrics import first, reconstruct

EVALUATION_BATCH = 500  # images at a time; the result does not depend on it
CONTENTS = set("settings model optimizers history step total rng cuda_rng".split())


class NonFiniteLoss(RuntimeError):
    """The training loss became NaN or infinite."""


class Loop:
    """The state of one training run: `fit` without its front door."""

    def __init__(
        self,
        *,
        model: nn.Module,
        train: Tensor,
        held: Tensor | None,
        loss: Callable,
        optimizers: list[Optimizer],
        schedule: Callable[[float], float],
        autocast: torch.autocast,
        folder: Path | None,
        settings: dict[str, int],
        verbose: bool,
        checkup: int = 0,
    ):
        self.model, self.train, self.held, self.loss = model, train, held, loss
        self.optimizers, self.schedule, self.autocast = optimizers, schedule, autocast
        self.first = distributed.rank() == 0  # of the processes: it writes and prints
        self.folder, self.verbose = folder, verbose and self.first
        self.checkup = checkup if self.first else 0
        self.settings = dict(settings)
        self.epochs, self.batch_size = settings["epochs"], settings["batch_size"]
        self.steps = math.ceil(len(train) / self.batch_size)  # of one epoch
        self.peaks = [g["lr"] for o in optimizers for g in o.param_groups]
        self.history = History()
        self.step = 0  # batches done in the current epoch
        self.total = torch.zeros((), device=train.device)  # sum of losses over images
        self.stopping = False  # Ctrl-C was pressed, in any of the processes
        self.good = self.weights()

    def run(self, interrupted: threading.Event) -> None:
        if self.history.epochs == self.epochs and self.verbose:
            print(f"the run has its {self.epochs} epochs already: nothing to do")
        if self.checkup and self.history.epochs < self.epochs:
            self.examine()
        while self.history.epochs < self.epochs:
            self.epoch(interrupted)
            if self.stopping:
                self.history.stopped = "interrupted"
                self.save("last.pt")
                if self.verbose:
                    kept = "saved; resume=True goes on" if self.folder else "not saved"
                    done = self.history.epochs
                    print(f"interrupted after {done} whole epochs ({kept})")
                return
            if self.checkup and self.history.epochs % self.checkup == 0:
                self.examine()

    def examine(self, count: int = 8) -> None:
        """Print what the doctor's cheap checks find on the first `count` batches."""
        from ae_lib.doctor import check_quickly  # late: few runs ask for it

        order = batches(self.train, self.batch_size, seed=self.settings["seed"])
        report = check_quickly(
            self.model,
            [to_unit(pixels) for pixels in itertools.islice(order, count)],
            loss=lambda output, x: self.loss(_in_float32(output), x),
            optimizer=self.optimizers,
            history={"train_loss": self.history.train_loss},
        )
        faults = [f for f in report.findings if f.severity != "info"]
        for fault in faults:
            print(f"doctor, epoch {self.history.epochs}: {fault.code}: {fault.remedy}")

    def epoch(self, interrupted: threading.Event) -> None:
        """Finish the current epoch, or stop after a batch when interrupted."""
        epoch, skip, started = self.history.epochs, self.step, time.perf_counter()
        seed = self.settings["seed"]
        order = batches(self.train, self.batch_size, seed=seed, epoch=epoch)
        self.model.train()
        with tqdm(
            total=self.steps,
            initial=skip,
            desc=f"epoch {epoch + 1}",
            leave=False,
            # In a notebook tqdm heeds its own TQDM_DISABLE too late.
            disable=not self.verbose or bool(os.environ.get("TQDM_DISABLE")),
        ) as bar:
            for pixels in itertools.islice(order, skip, None):
                self.update(pixels, interrupted)
                bar.update()
                if self.stopping and self.step < self.steps:
                    return
        self.close_epoch(skip, time.perf_counter() - started)

    def update(self, pixels: Tensor, interrupted: threading.Event) -> None:
        """Make one step on a batch (B, C, H, W), as in data or already in [0, 1]."""
        done = (self.history.epochs * self.steps + self.step) / self.epochs / self.steps
        groups = [g for o in self.optimizers for g in o.param_groups]
        for group, peak in zip(groups, self.peaks, strict=True):
            group["lr"] = peak * self.schedule(done)
        x = to_unit(distributed.share(pixels))
        x = x.contiguous(memory_format=torch.channels_last)
        with self.autocast:
            output = self.model(x)
        output = _in_float32(output)
        # A process counts by its images; of a small batch it may have none.
        value = self.loss(output, x) if len(x) else first(output).sum()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        if distributed.size() > 1:
            value = value * (len(x) / len(pixels))
        value.backward()
        value = value.detach()
        stop = torch.full((), float(interrupted.is_set()), device=x.device)
        distributed.add_gradients(self.model, value, stop)
        for optimizer in self.optimizers:
            optimizer.step()
        self.total += value * len(pixels)
        self.step += 1
        # To read a number back from a GPU stalls it, so there only now and then.
        if x.device.type == "cpu" or self.step % 50 == 0 or self.step == self.steps:
            self.stopping = bool(stop)  # the same in all processes
            if not torch.isfinite(self.total):
                self.fail(value.item())

    def close_epoch(self, skipped: int, seconds: float) -> None:
        """Enter the finished epoch into the history and save it."""
        history, n = self.history, len(self.train)
        history.train_loss.append(float(self.total) / n)
        if self.held is not None:
            history.val_loss.append(_mean_loss(self.model, self.held, self.loss))
        history.lr.append(self.optimizers[0].param_groups[0]["lr"])
        history.seconds.append(seconds)
        history.images_per_second.append((n - skipped * self.batch_size) / seconds)
        for shot in history.snapshots.values():
            inputs = shot["inputs"].to(self.train.device)
            x_hat = reconstruct(self.model, inputs)
            shot["reconstructions"].append((x_hat.clamp(0, 1) * 255).round().byte())
        self.step = 0
        self.total.zero_()
        self.good = self.weights()
        judged = history.val_loss or history.train_loss
        if judged[-1] == min(judged):
            self.save(
                "best.pt"
            )  # first: killed in between, a resumed run does it again
        self.save("last.pt")
        if self.verbose:
            print(_line(history, self.epochs))

    def fail(self, value: float) -> None:
        """Put the last good weights back and raise."""
        self.model.load_state_dict(self.good)
        epoch = self.history.epochs
        where = "nothing is on disk"
        if epoch and self.folder is not None:
            where = f"saved as {self.folder / 'last.pt'}"
        raise NonFiniteLoss(
            f"the loss is {value} in epoch {epoch + 1} at step {self.step}. The model "
            f"has the weights of the end of epoch {epoch} again ({where}). Look for "
            "NaN in the images, then try a tenth of the learning rate"
        )

    def watch(self, count: int) -> None:
        """Choose the images whose reconstructions the history keeps."""
        splits = {"train": self.train, "validation": self.held}
        self.history.snapshots = {
            name: {"inputs": pixels[:count].cpu(), "reconstructions": []}
            for name, pixels in splits.items()
            if pixels is not None and count
        }

    def weights(self) -> dict[str, Tensor]:
        return {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def save(self, name: str) -> None:
        if self.folder is None or not self.first:
            return
        cuda = self.train.device.type == "cuda"
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "history": asdict(self.history),
            "step": self.step,
            "total": self.total,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state(self.train.device) if cuda else None,
        }
        try:
            save_checkpoint(state, self.folder / name)
        except OSError as error:
            saved = (self.folder / "last.pt").exists()
            advice = "resume=True then goes on" if saved else "nothing was saved before"
            raise OSError(
                f"{self.folder / name} cannot be written ({error.strerror or error}): "
                f"make room; {advice}"
            ) from error

    def set_aside(self) -> None:
        """Rename what an earlier run left in the folder: it may have been long."""
        if self.folder is None or not self.first:
            return
        if not (self.folder / "last.pt").exists():
            return
        for name in ("last", "best"):
            if (old := self.folder / f"{name}.pt").exists():
                old.replace(self.folder / f"{name}.before.pt")
        if self.verbose:
            print(
                f"{self.folder} held another run: its last.pt is now last.before.pt "
                "(resume=True would have gone on with it)"
            )

    def restore(self) -> None:
        """Go back to the state in last.pt, if there is one."""
        if self.folder is None:
            raise ValueError("resume=True needs `out`, the folder of the run to resume")
        last = self.folder / "last.pt"
        here = self.first and last.exists()
        state = distributed.from_first(load_checkpoint(last) if here else None)
        if state is None:
            return
        if lacking := CONTENTS - state.keys():
            raise ValueError(
                f"{last} is no checkpoint of fit, it lacks {', '.join(sorted(lacking))}"
            )
        saved, now = state["settings"], self.settings
        changed = [
            f"{key}={saved.get(key)} then and {now[key]} now"
            for key in now
            if saved.get(key) != now[key]
        ]
        if changed:
            raise ValueError(
                f"the run in {self.folder} was started with {', '.join(changed)}; use "
                "the same again to go on with it, or another folder for a new run"
            )
        self.model.load_state_dict(state["model"])
        for optimizer, past in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(past)
        self.history = History(**{**state["history"], "stopped": ""})
        self.step = state["step"]
        self.total = state["total"].to(self.train.device)
        if self.first:  # the other processes draw from seeds of their own
            torch.set_rng_state(state["rng"])
            if state["cuda_rng"] is not None and self.train.device.type == "cuda":
                torch.cuda.set_rng_state(state["cuda_rng"], self.train.device)
        self.good = self.weights()


def _in_float32(output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    if isinstance(output, tuple):
        return tuple(tensor.float() for tensor in output)
    return output.float()


def _mean_loss(
    model: nn.Module,
    images: Images | Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
) -> float:
    """Return the mean loss over all images, in evaluation mode and in float32."""
    pixels: Any = getattr(images, "pixels", images)
    device, was_training = next(model.parameters()).device, model.training
    total = 0.0
    with torch.no_grad():
        model.eval()
        for batch in distributed.share(pixels).split(EVALUATION_BATCH):
            if len(batch):  # a process may have no share of a few images
                x = to_unit(batch.to(device))
                total += float(loss(model(x), x)) * len(x)
        model.train(was_training)
    if distributed.size() > 1:
        summed = torch.tensor(total, device=device)
        distributed.add_up(summed)
        total = float(summed)
    return total / len(pixels)


def _line(history: History, epochs: int) -> str:
    held = f"  validation {history.val_loss[-1]:.5f}" if history.val_loss else ""
    return (
        f"epoch {history.epochs:>2}/{epochs}  train {history.train_loss[-1]:.5f}{held}"
        f"  {history.seconds[-1]:.1f} s  {history.images_per_second[-1]:.0f} images/s"
    )
