"""From many findings to few: what a proven parent explains is set aside."""

ORDER = (
    "data.nonfinite data.order data.layout data.target data.scale data.shift "
    "noise.too-strong loss.domain output.range wiring.no-gradient wiring.unoptimised "
    "wiring.zero-grad wiring.mode signal.init-scale vae.logvar signal.dead-units "
    "signal.saturated signal.common-mode step.too-large step.nonfinite loss.scale "
    "vae.collapse sparse.too-strong sparse.inert contractive.wrong step.too-small "
    "wiring.bypass signal.linear code.too-small code.identity decoder.checkerboard "
    "features.no-gain fit.overfit fit.undertrained fit.blurry fit.mean-image"
).split()

FITS = "fit.undertrained fit.overfit fit.blurry code.too-small features.no-gain"
STEPS = "step.too-large step.too-small step.nonfinite"
SIGNALS = "signal.saturated signal.common-mode signal.dead-units"

# parent -> children it explains
EXPLAINS = {
    "data.nonfinite": f"{STEPS} {SIGNALS} {FITS} loss.domain vae.logvar output.range",
    "data.scale": f"{STEPS} {SIGNALS} {FITS} signal.init-scale output.range "
    "loss.domain signal.linear vae.logvar vae.collapse loss.scale data.shift "
    "sparse.too-strong sparse.inert",
    "data.layout": f"{FITS} {STEPS} signal.common-mode",
    "data.target": f"{FITS} noise.too-strong loss.domain {STEPS} output.range "
    "data.shift signal.linear",
    "data.shift": "fit.overfit",
    "output.range": f"{FITS} {STEPS} signal.saturated signal.dead-units",
    "loss.domain": f"output.range {STEPS} {FITS} vae.collapse vae.logvar loss.scale "
    "sparse.too-strong sparse.inert signal.dead-units",
    "wiring.no-gradient": f"{STEPS} {FITS} vae.collapse wiring.unoptimised",
    "wiring.unoptimised": f"{STEPS} {FITS} vae.collapse",
    "wiring.zero-grad": f"{STEPS} {FITS} signal.dead-units vae.logvar",
    "wiring.mode": f"{FITS}",
    "signal.init-scale": f"{STEPS} {SIGNALS} {FITS} vae.logvar",
    "signal.dead-units": f"{STEPS} {FITS}",
    "signal.saturated": f"signal.common-mode {STEPS} {FITS}",
    "signal.common-mode": f"step.too-small {FITS} signal.dead-units",
    "step.too-large": f"signal.dead-units signal.saturated signal.common-mode {FITS} "
    "vae.logvar vae.collapse",
    "step.too-small": f"{FITS}",
    "step.nonfinite": f"{FITS}",
    "vae.logvar": f"{STEPS} {FITS} signal.saturated vae.collapse loss.scale",
    "wiring.bypass": "code.identity code.too-small fit.blurry",
    "loss.scale": f"{FITS} step.too-small",
    "vae.collapse": f"{FITS} step.too-small",
    "sparse.too-strong": f"{FITS} signal.common-mode step.too-small",
    "noise.too-strong": f"{FITS} {STEPS} signal.common-mode",
    "signal.linear": f"{FITS}",
    "code.too-small": "fit.blurry fit.undertrained features.no-gain",
    "fit.undertrained": "fit.blurry fit.mean-image code.too-small",
}


def rank(finding):
    """Return the sort key: faults before hints, causes before symptoms."""
    hint = finding.severity == "info"
    place = ORDER.index(finding.code) if finding.code in ORDER else len(ORDER)
    return hint, place


def settle(findings, trained=False):
    """Return (kept, suppressed), both with root causes first.

    In a trained model dead or saturated units may be what too large a step left
    behind; before training they are causes of their own.
    """
    ordered = sorted(findings, key=rank)
    proven = {f.code for f in ordered if f.severity == "error"}
    explained = set()
    for code in sorted(proven, key=lambda c: ORDER.index(c) if c in ORDER else 99):
        children = set(EXPLAINS.get(code, "").split()) - {code}
        if trained and code == "signal.common-mode":
            children.add("signal.saturated")
        if trained and code == "signal.saturated":
            children.discard("signal.common-mode")
        if code == "step.too-large" and not trained:
            children -= set(SIGNALS.split())
        if code in explained:
            continue
        if trained and code in SIGNALS.split() and "step.too-large" in proven:
            continue
        explained |= children
    for code in ("signal.linear", "noise.too-strong", "code.too-small"):
        if any(f.code == code and f.severity == "warning" for f in ordered):
            explained |= set(EXPLAINS[code].split())
    kept = [f for f in ordered if f.code not in explained]
    return kept, [f for f in ordered if f.code in explained]
