"""Build, train and examine convolutional autoencoders.

Importing this package is fast: PyTorch is imported by the modules that need it.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = ["claim", "load_model", "pick"]

_HOME = {
    "claim": "ae_lib.claims",
    "load_model": "ae_lib.checkpoints",
    "pick": "ae_lib.budget",
}


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ae_lib' has no attribute {name!r}")
