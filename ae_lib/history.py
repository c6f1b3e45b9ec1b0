"""The record of a training run."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ae_lib.atomic import write_atomically


@dataclass
class History:
    """What `fit` saw: lists with one entry per finished epoch.

    Losses are means over all images of the epoch: `train_loss` while the weights were
    moving, `val_loss` after the epoch (empty without validation images). `lr` is that
    of the first optimizer at the end of the epoch. `snapshots["train"]` and
    `["validation"]` hold "inputs", uint8 (n, C, H, W), and "reconstructions", a list
    with one such tensor per epoch. `stopped` is "" or "interrupted".
    """

    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)
    snapshots: dict[str, dict] = field(default_factory=dict)
    stopped: str = ""

    @property
    def epochs(self) -> int:
        return len(self.train_loss)

    def save(self, path: str | os.PathLike) -> Path:
        """Write all but the snapshots as JSON, atomically."""
        record = asdict(self)
        del record["snapshots"]
        with write_atomically(path) as part:
            part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> History:
        """Read what `save` wrote."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
