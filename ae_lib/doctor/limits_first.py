"""Limits of what is seen before training: data, loss, wiring, the first pass."""

from .limits import CHECKER, CLINIC, DEBUGGER, DIAGNOSIS, Threshold

FIRST = {
    "scale.large": Threshold(
        16.0, CLINIC, "largest |value| a network should be fed", hint=6.0
    ),
    "scale.levels": Threshold(
        8.0, CLINIC, "largest whole number in data that were never scaled"
    ),
    "scale.most": Threshold(
        0.005, CLINIC, "share of counts that come near the largest; of pixels more do"
    ),
    "scale.small": Threshold(
        0.02, CLINIC, "smallest deviation of useful input", hint=0.05
    ),
    "order.ratio": Threshold(
        4.0, CLINIC, "variance of batch means over what shuffling gives", hint=2.0
    ),
    "order.distinct": Threshold(
        0.5, CLINIC, "smallest share of distinct samples", hint=0.75
    ),
    "order.visited": Threshold(
        0.6, CLINIC, "smallest share of the data set visited", hint=0.85
    ),
    "layout.gain": Threshold(
        0.6,
        CLINIC,
        "roughness of another folding that proves it, of the present one",
        hint=0.75,
    ),
    "layout.local": Threshold(
        0.25, CLINIC, "neighbour correlation of images without local structure"
    ),
    "layout.unrelated": Threshold(
        0.15, CLINIC, "that correlation along one axis of images smooth along the other"
    ),
    "layout.alike": Threshold(
        0.5, CLINIC, "correlation at which rows of interlaced pieces come back"
    ),
    "layout.smooth": Threshold(
        0.8, CLINIC, "correlation in time of series that are smooth as they are"
    ),
    "layout.share": Threshold(
        0.25, CLINIC, "variance in 8 components of images without local structure"
    ),
    "target.pair": Threshold(
        4.0, CLINIC, "z-score by which a pair must resemble itself", hint=8.0
    ),
    "target.noise": Threshold(
        0.1, CLINIC, "share of target variance explained by added noise", hint=0.04
    ),
    "shift.mean": Threshold(0.5, CLINIC, "mean's shift, in deviations", hint=0.35),
    "shift.scale": Threshold(2.0, CLINIC, "ratio of the deviations", hint=1.5),
    "shift.subspace": Threshold(
        4.0, CLINIC, "ratio of the errors left by a PCA of the training data", hint=2.5
    ),
    "range.r2": Threshold(
        0.95, CLINIC, "best R² the last activation must allow", hint=0.98
    ),
    "domain.gain": Threshold(
        0.1, CLINIC, "how far below a perfect reconstruction the loss may go", hint=0.02
    ),
    "loss.drowned": Threshold(
        100.0,
        CLINIC,
        "price of a pattern of single pixels, of that of a shift",
        hint=30.0,
    ),
    "gradient.share": Threshold(
        1e-3, CLINIC, "effect on the output that calls for a gradient"
    ),
    "grad.stale": Threshold(
        0.9, CLINIC, "cosine of used and fresh gradient", hint=0.97
    ),
    "grad.clipped": Threshold(
        0.1, CLINIC, "length that clipping leaves of every gradient"
    ),
    "mode.ratio": Threshold(
        2.0, CHECKER, "evaluation error over training error", hint=1.5
    ),
    "mode.noise": Threshold(
        0.01,
        CLINIC,
        "variance between two evaluation passes, of the data's",
        hint=0.002,
    ),
    "bypass.share": Threshold(
        0.2, CLINIC, "share of the R² that survives permuted codes", hint=0.1
    ),
    "bypass.alone": Threshold(
        0.5, CLINIC, "share of the R² that the right codes must carry alone", hint=0.75
    ),
    "init.large": Threshold(
        6.0, CLINIC, "largest gain: std of weights · √fan-in", hint=4.0
    ),
    "init.small": Threshold(
        0.05, CLINIC, "smallest gain: std of weights · √fan-in", hint=0.1
    ),
    "init.through": Threshold(
        1e-6, CLINIC, "smallest rms of the last layer, over that of the input"
    ),
    "init.equal": Threshold(1e-4, CLINIC, "relative spread of equal weights"),
    "signal.ratio": Threshold(
        0.05,
        CLINIC,
        "std across samples over rms at the code, over the input's",
        hint=0.12,
    ),
    "signal.steep": Threshold(5.0, DIAGNOSIS, "|pre-activation| on a plateau"),
    "signal.saturated": Threshold(0.5, DIAGNOSIS, "share of saturated units", hint=0.3),
    "dead.active": Threshold(
        0.01, DEBUGGER, "a dead unit is active on fewer samples", hint=0.03
    ),
    "dead.layer": Threshold(0.5, DEBUGGER, "share of dead units in a layer", hint=0.3),
    "dead.output": Threshold(
        0.3, CLINIC, "share of target variance at dead outputs", hint=0.15
    ),
    "linear.error": Threshold(
        1e-3, CLINIC, "relative departure from an affine map", hint=0.01
    ),
    "signal.late": Threshold(
        0.4, CLINIC, "R² on 16 images that nn.ReLU adds in as many steps"
    ),
}
