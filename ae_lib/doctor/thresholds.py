"""The limits behind every verdict: name, default, source and meaning."""

from dataclasses import dataclass

CLINIC = "calibrated on the clinic's healthy programs"
DEBUGGER = "Amazon SageMaker Debugger, built-in rules (DeadRelu)"
DIAGNOSIS = "DeepDiagnosis (Wardat et al., ICSE 2022)"
CHECKER = "TheDeepChecker (Ben Braiek and Khomh, 2023)"
BURDA = "Burda, Grosse and Salakhutdinov 2016, section 5"
ELBO = "Lucas et al. 2019, Don't Blame the ELBO!"


@dataclass(frozen=True)
class Threshold:
    """A named limit: its default, where it comes from and what it means.

    `hint` is a looser limit for the second look at a program without a fault; None
    where coming close means nothing.
    """

    default: float
    source: str
    meaning: str
    hint: float | None = None


THRESHOLDS = {
    "scale.large": Threshold(
        16.0, CLINIC, "largest |value| a network should be fed", hint=6.0
    ),
    "scale.levels": Threshold(
        8.0, CLINIC, "largest whole number in data that were never scaled"
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
    "fit.works": Threshold(
        0.3, CLINIC, "share of the variance an arm explains when it works"
    ),
    "fit.fails": Threshold(0.1, CLINIC, "share below which an arm has failed"),
    "step.large": Threshold(
        0.1, CHECKER, "largest healthy update-to-weight ratio", hint=0.04
    ),
    "step.small": Threshold(
        1e-4, CHECKER, "smallest healthy update-to-weight ratio", hint=3e-4
    ),
    "step.progress": Threshold(
        0.06, CLINIC, "progress as a share of the best arm's", hint=0.2
    ),
    "step.earnest": Threshold(
        0.6, CLINIC, "R² on the program's own batches that clears a step size"
    ),
    "code.r2": Threshold(0.42, CLINIC, "R² of PCA with as many components", hint=0.6),
    "identity.share": Threshold(
        0.6, CLINIC, "share of white noise that a copying network passes on", hint=0.4
    ),
    "identity.wide": Threshold(
        0.4, CLINIC, "the same where no layer is narrower than the input", hint=0.2
    ),
    "identity.sparse": Threshold(
        0.7, CLINIC, "and the same where most units of such a layer are idle", hint=0.5
    ),
    "identity.idle": Threshold(0.6, CLINIC, "share of zeros that counts as most"),
    "noise.dropout": Threshold(0.9, CLINIC, "share that dropout may take away"),
    "features.below": Threshold(0.15, CLINIC, "accuracy lost to the better rival"),
    "identity.most": Threshold(
        1.3, CLINIC, "share above which noise is amplified, and not copied"
    ),
    "checker.energy": Threshold(
        1e-4, CLINIC, "share of the output's power at the period of a grid", hint=2e-5
    ),
    "checker.peak": Threshold(
        1.2, CLINIC, "that power over the power at frequencies nearby", hint=1.08
    ),
    "checker.clear": Threshold(
        4.0, CLINIC, "that peak, of the targets', from which half their power is enough"
    ),
    "mean.r2": Threshold(
        0.05, CLINIC, "R² of a model no better than the mean image", hint=0.15
    ),
    "mean.variation": Threshold(
        0.15, CLINIC, "deviation of outputs across inputs, of the data's", hint=0.3
    ),
    "under.slope": Threshold(
        0.05,
        CLINIC,
        "loss still lost in the last tenth of the training, per loss",
        hint=0.01,
    ),
    "under.fair": Threshold(
        0.75, CLINIC, "R² from which a falling loss is no complaint", hint=0.85
    ),
    "under.gain": Threshold(
        0.3, CLINIC, "R² that further training gains, of what is missing", hint=0.15
    ),
    "under.close": Threshold(
        0.7, CLINIC, "R² from which further gain is no complaint", hint=1.0
    ),
    "under.r2": Threshold(
        0.4, CLINIC, "R² below which a copy is trained further", hint=0.7
    ),
    "over.jitter": Threshold(
        4.0, CLINIC, "rise of the validation loss over its jumps between epochs"
    ),
    "over.rise": Threshold(
        1.1,
        CLINIC,
        "final validation loss over its minimum, margin to the floor",
        hint=1.03,
    ),
    "over.gap": Threshold(
        3.0, CLINIC, "error on evaluation data, of that on training data", hint=2.0
    ),
    "blur.detail": Threshold(
        0.3, CLINIC, "share of the fine detail that survives", hint=0.5
    ),
    "blur.able": Threshold(
        0.12, CLINIC, "R² of fine detail on 16 images fitted alone, if the decoder can"
    ),
    "acquit.share": Threshold(
        0.9, CLINIC, "R² over that of PCA with as many numbers: it learns after all"
    ),
    "acquit.least": Threshold(0.6, CLINIC, "R² that refutes an alarm, at the least"),
    "acquit.alone": Threshold(
        0.9, CLINIC, "R² that refutes one where PCA is not known"
    ),
    "dead.needed": Threshold(
        0.8, CLINIC, "R² of PCA with as many values as the live units of a code"
    ),
    "blur.error": Threshold(
        0.14, CLINIC, "share of fine detail in the whole error", hint=0.1
    ),
    "blur.most": Threshold(
        0.5, CLINIC, "that share where coarse structure is right and detail is not"
    ),
    "blur.visible": Threshold(
        0.01, CLINIC, "share of fine detail in the variance", hint=0.003
    ),
    "blur.r2": Threshold(
        0.5, CLINIC, "R² from which missing detail is called blur", hint=0.3
    ),
    "blur.ceiling": Threshold(
        0.2, CLINIC, "R² of fine detail in images made small and enlarged", hint=0.4
    ),
    "blur.blind": Threshold(
        0.05,
        CLINIC,
        "price of a pattern of single pixels, of that of a shift",
        hint=0.2,
    ),
    "vae.active": Threshold(
        0.01, BURDA, "variance of an active unit's mean", hint=0.05
    ),
    "vae.share": Threshold(
        0.1,
        ELBO,
        "share of units whose eigenvalue exceeds b/(2a), at least one",
        hint=0.3,
    ),
    "vae.mixed": Threshold(
        0.3, ELBO, "that share where one term grows with the batch and one does not"
    ),
    "vae.logvar": Threshold(
        15.0, CLINIC, "largest |logvar| of a sound encoder", hint=8.0
    ),
    "sparse.strong": Threshold(
        1.0, CLINIC, "penalty at the first code over the mean image's error", hint=0.3
    ),
    "sparse.proven": Threshold(
        0.2, CLINIC, "the same where the step learns without the further terms"
    ),
    "sparse.inert": Threshold(
        1e-4,
        CLINIC,
        "pull of the penalty on the code, of the reconstruction's",
        hint=1e-2,
    ),
    "sparse.weight": Threshold(
        3e-5,
        CLINIC,
        "what emptying the code saves, of the mean image's error",
        hint=1e-3,
    ),
    "sparse.emptied": Threshold(0.2, CLINIC, "size of a code that steps have emptied"),
    "noise.r2": Threshold(
        0.3, CLINIC, "R² a linear denoiser reaches, component by component", hint=0.5
    ),
    "contractive.error": Threshold(
        0.05,
        CLINIC,
        "relative spread of penalty over squared Jacobian norm",
        hint=0.015,
    ),
    "features.margin": Threshold(
        0.0,
        CLINIC,
        "accuracy by which a code must beat PCA or random features",
        hint=0.02,
    ),
    "features.scale": Threshold(
        8.0, CLINIC, "ratio of the largest unit to others", hint=4.0
    ),
}


def looser(overrides=None):
    """Return the limits of a second look: hints where there are any.

    What the caller has set stays as it is.
    """
    hints = {k: t.hint for k, t in THRESHOLDS.items() if t.hint is not None}
    return resolve({**hints, **(overrides or {})})


def resolve(overrides=None):
    """Return name -> value, defaults with `overrides` put in; unknown names raise."""
    values = {name: limit.default for name, limit in THRESHOLDS.items()}
    unknown = set(overrides or {}) - set(values)
    if unknown:
        raise ValueError(
            f"unknown thresholds {sorted(unknown)}; doctor.THRESHOLDS lists the names"
        )
    values.update(overrides or {})
    return values
