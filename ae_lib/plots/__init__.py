"""Figures of the course. Every function takes data and returns a Figure.

The figures stand outside pyplot: nothing is drawn twice, nothing piles up in memory,
and no backend is asked. A cell that ends in the call shows its figure, once:

    plots.samples(images)

In the middle of a cell or in a loop, hand the figure to IPython's `display`; in a
script, call `figure.savefig("samples.png")`. `plt.show()` knows nothing of them.

All images are drawn on the fixed range 0 to 1, never stretched one by one. Colours
are those of Okabe and Ito (2008), which colour-blind readers can tell apart. `source`
is written small at the lower right: pass `images.source`.
"""

from ae_lib.plots.codes import code_histogram, latent_map
from ae_lib.plots.flow import flow_chart
from ae_lib.plots.images import (
    compare,
    interpolation,
    neighbours,
    progress,
    reconstructions,
    samples,
)
from ae_lib.plots.layers import feature_maps, filters
from ae_lib.plots.lines import bars, curves, histograms, line_with_spread
from ae_lib.plots.runs import run_pages
from ae_lib.plots.windows import windows

__all__ = [
    "bars",
    "code_histogram",
    "compare",
    "curves",
    "feature_maps",
    "filters",
    "flow_chart",
    "histograms",
    "interpolation",
    "latent_map",
    "line_with_spread",
    "neighbours",
    "progress",
    "reconstructions",
    "run_pages",
    "samples",
    "windows",
]
