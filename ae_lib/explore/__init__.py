"""Panels of sliders that show at once what a number does.

    explore(model, images)                            a code: move it, mix it, add to it
    explore_windows()                                 sizes and overlaps of convolutions
    explore_denoising(images, corruptions, denoisers) noise from none to strong
    explore_runs({"Adam": logbook})                   a training run, epoch by epoch

They run in JupyterLab and, with ipywidgets 7.7, in Google Colab. What cannot be shown
gives a line of text that says why, and no traceback. Tab and the arrow keys reach all
controls. `python -m ae_lib.explore` prints how fast each panel answers.
"""

try:
    import ipywidgets  # noqa: F401 (is it there?)
except ImportError as error:
    raise ImportError(
        "ae_lib.explore needs ipywidgets, which is not installed; "
        "run: python -m pip install ipywidgets"
    ) from error

from ae_lib.explore.denoising import DenoisingPanel, explore_denoising
from ae_lib.explore.latent import Explorer, explore, principal_directions
from ae_lib.explore.panel import Panel, Picture, png
from ae_lib.explore.runs import RunPanel, explore_runs
from ae_lib.explore.windows import WindowPanel, explore_windows

__all__ = [
    "DenoisingPanel",
    "Explorer",
    "Panel",
    "Picture",
    "RunPanel",
    "WindowPanel",
    "explore",
    "explore_denoising",
    "explore_runs",
    "explore_windows",
    "png",
    "principal_directions",
]
