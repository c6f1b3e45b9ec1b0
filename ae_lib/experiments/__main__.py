"""Run one experiment and write its record.

python -m ae_lib.experiments NAME [--seeds 0 1 2]   run one and write its record
python -m ae_lib.experiments                 list them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from ae_lib.experiments.anomalies import anomalies_cifar10
from ae_lib.experiments.denoisers import denoisers_cifar10
from ae_lib.experiments.features import features_cifar10_64
from ae_lib.experiments.few_pictures import few_pictures
from ae_lib.experiments.generation import generation_mnist
from ae_lib.experiments.masked import masked_cifar10
from ae_lib.experiments.networks import (
    default_cifar10_200,
    longer_cifar10_200,
    train_cifar10_200,
)
from ae_lib.experiments.posted_program import posted_program
from ae_lib.experiments.repairs import repairs_cifar10_200
from ae_lib.experiments.variants import variants_mnist

EXPERIMENTS: dict[str, Callable[[tuple[int, ...]], None]] = {
    function.__name__: function
    for function in (
        train_cifar10_200,
        default_cifar10_200,
        longer_cifar10_200,
        repairs_cifar10_200,
        posted_program,
        features_cifar10_64,
        denoisers_cifar10,
        anomalies_cifar10,
        generation_mnist,
        variants_mnist,
        masked_cifar10,
        few_pictures,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ae_lib.experiments")
    parser.add_argument("name", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    name = options.name
    if name is None:
        for known, function in EXPERIMENTS.items():
            print(f"{known}: {function.__doc__.splitlines()[0]}")
    else:
        EXPERIMENTS[name](tuple(options.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
