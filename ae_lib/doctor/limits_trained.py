"""Limits of what shows in training: short fits, penalties, a trained model."""

from .limits import BURDA, CHECKER, CLINIC, ELBO, Threshold

TRAINED = {
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
    "step.confirmed": Threshold(
        0.2, CLINIC, "that share where updates are too small, and larger ones learn"
    ),
    "step.earnest": Threshold(
        0.6, CLINIC, "R² on the program's own batches that clears a step size"
    ),
    "code.r2": Threshold(0.42, CLINIC, "R² of PCA with as many components", hint=0.6),
    "code.curved": Threshold(
        2.0, CLINIC, "R² over that of PCA from where PCA says nothing of the code"
    ),
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
    "melted.rate": Threshold(1e-4, CLINIC, "largest rate that may have melted away"),
    "melted.gain": Threshold(1e-3, CLINIC, "R² that steps at such a rate still add"),
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
    "terms.growth": Threshold(
        1.5, CLINIC, "growth of a sum, over that of a mean, with the batch twice"
    ),
    "terms.constant": Threshold(
        0.01, CLINIC, "change of a term without a gradient, of the mean image's error"
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
    "sparse.drowns": Threshold(100.0, CLINIC, "pull on the code of a summed penalty"),
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
