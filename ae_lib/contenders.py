"""The training loops that `ae_lib.benchmarks` compares, each in its usual form.

All train a model in place for one epoch of mean squared error with Adam at 1e-3, and
return the seconds of that epoch alone: building loaders and trainers is not counted,
nor are logging, progress bars and checkpoints, which are off where they can be.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from ae_lib.data import epoch_order, to_unit
from ae_lib.devices import pick_device
from ae_lib.recipe import constant
from ae_lib.training import fit

RATE = 1e-3
NEEDS = {"lightning": "lightning", "pythae": "pythae"}  # packages, beside ours


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Return Adam in its fused form, which passes over the weights once."""
    return torch.optim.Adam(model.parameters(), RATE, fused=True)


def train_with(
    name: str, model: nn.Module, pixels: Tensor, *, batch_size: int, seed: int = 0
) -> float:
    """Train `model` for one epoch on uint8 pixels (N, C, H, W); return its seconds."""
    return CONTENDERS[name](model, pixels, batch_size, seed)


def _fit(model, pixels, batch_size, seed, precision="auto") -> float:
    history = fit(
        model,
        pixels,
        epochs=1,
        batch_size=batch_size,
        optimizer=adam,
        schedule=constant,
        seed=seed,
        precision=precision,
        verbose=False,
    )
    return history.seconds[0]


def _fit_float32(model, pixels, batch_size, seed) -> float:
    return _fit(model, pixels, batch_size, seed, "float32")


class Pictures(Dataset):
    """Do what torchvision's data sets do: keep arrays, make a picture, transform it."""

    def __init__(self, pixels: Tensor):
        self.data = pixels.permute(0, 2, 3, 1).contiguous().numpy()  # (N, H, W, C)
        self.transform = ToTensor()

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.data[i].squeeze())
        return self.transform(picture), 0  # the label, which the loop ignores


def _loader(pixels: Tensor, batch_size: int, seed: int, workers: int) -> DataLoader:
    """Serve the pictures in the order in which `fit` takes them."""
    order = epoch_order(len(pixels), seed=seed).tolist()
    return DataLoader(
        Pictures(pixels), batch_size=batch_size, sampler=order, num_workers=workers
    )


def _loop(model, pixels, batch_size, seed, workers=0) -> float:
    device = pick_device()
    loader = _loader(pixels, batch_size, seed, workers)
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    started, total = time.perf_counter(), 0.0
    for x, _ in loader:
        x = x.to(device)
        x_hat = model(x)
        loss = F.mse_loss(x_hat, x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    seconds = time.perf_counter() - started
    model.to("cpu").eval()
    return seconds


def _loop_2_workers(model, pixels, batch_size, seed) -> float:
    return _loop(model, pixels, batch_size, seed, workers=2)


def _lightning(model, pixels, batch_size, seed) -> float:
    import lightning

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network, self.clock = model, []

        def training_step(self, batch, _):
            x, _ = batch
            return F.mse_loss(self.network(x), x)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=RATE)

        def on_train_epoch_start(self):
            self.clock.append(time.perf_counter())

        def on_train_epoch_end(self):
            next(self.parameters()).sum().item()  # waits for a GPU
            self.clock.append(time.perf_counter())

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # that more workers would be faster
        trainer = lightning.Trainer(
            max_epochs=1,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        lit = Lit()
        trainer.fit(lit, _loader(pixels, batch_size, seed, 0))
    model.to("cpu").eval()
    return lit.clock[1] - lit.clock[0]


def _pythae(model, pixels, batch_size, seed) -> float:
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    logging.getLogger("pythae").setLevel(logging.ERROR)
    logging.getLogger("pythae.trainers.base_trainer.base_trainer").setLevel("ERROR")

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.first, self.second = model.encoder, model.bottleneck

        def forward(self, x):
            return ModelOutput(embedding=self.second(self.first(x)))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.stack = model.decoder

        def forward(self, z):
            return ModelOutput(reconstruction=self.stack(z))

    class Clock(TrainingCallback):
        times: list[float] = []

        def on_train_step_begin(self, *_, **__):
            self.times.append(time.perf_counter())

        def on_epoch_end(self, *_, **__):
            self.times.append(time.perf_counter())

    class Trainer(BaseTrainer):
        def save_model(self, *_, **__):  # it pickles the classes above, and copies
            pass

        def _setup_callbacks(self):  # without the progress bar and the printing
            super()._setup_callbacks()
            self.callback_handler.callbacks = [clock]

    clock = Clock()
    # Its own data set holds floats in memory; its own sampler draws another order,
    # and its loss is the sum over the pixels, which Adam does not see.
    data = BaseDataset(to_unit(pixels), torch.zeros(len(pixels)))
    shape, latent_dim = tuple(pixels.shape[1:]), model.latent_dim
    config = AEConfig(input_dim=shape, latent_dim=latent_dim)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1,
            learning_rate=RATE,
            per_device_train_batch_size=batch_size,
            optimizer_cls="Adam",
            seed=seed,
        )
        trained = AE(config, encoder=Encoder(), decoder=Decoder())
        Trainer(trained, data, training_config=settings, callbacks=[clock]).train()
    model.to("cpu").eval()
    return clock.times[1] - clock.times[0]


CONTENDERS = {
    "fit": _fit,
    "fit_float32": _fit_float32,
    "loop": _loop,
    "loop_2_workers": _loop_2_workers,
    "lightning": _lightning,
    "pythae": _pythae,
}
