"""What an examination returns: findings, baselines and what was checked."""

import math
import textwrap
from dataclasses import dataclass, field

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One fault with its evidence, what it is not, a remedy and a confirmation."""

    code: str
    severity: str
    evidence: dict
    why_not: str
    remedy: str
    confirm: str

    def __str__(self):
        facts = ", ".join(f"{k} {_short(v)}" for k, v in self.evidence.items())
        rows = [
            ("seen", facts),
            ("not", self.why_not),
            ("do", self.remedy),
            ("then", self.confirm),
        ]
        lines = [f"{self.severity}: {self.code}"]
        for label, text in rows:
            lines += textwrap.wrap(
                text,
                86,
                initial_indent=f"   {label:>5}  ",
                subsequent_indent=" " * 10,
                break_long_words=False,
            )
        return "\n".join(lines)


@dataclass
class Report:
    """The result of an examination; root causes come first in `findings`.

    `baselines` maps a name to its mean squared error and R² over the mean image;
    `checked` and `unchecked` list the codes looked for, and why one was not;
    `suppressed` holds findings explained by another finding.
    """

    findings: list = field(default_factory=list)
    baselines: dict = field(default_factory=dict)
    checked: list = field(default_factory=list)
    unchecked: dict = field(default_factory=dict)
    suppressed: list = field(default_factory=list)
    measured: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    seconds: float = 0.0
    pictures: dict = field(default_factory=dict, repr=False)

    @property
    def ok(self):
        """Whether no finding is an error or a warning."""
        return all(f.severity == "info" for f in self.findings)

    @property
    def faults(self):
        """The codes of the errors and warnings, without what is information."""
        return [f.code for f in self.findings if f.severity != "info"]

    @property
    def codes(self):
        """The codes of all findings, root causes first."""
        return [f.code for f in self.findings]

    def to_dict(self):
        """Return everything but the pictures, ready for `json.dumps`."""
        names = ("baselines", "checked", "unchecked", "measured", "notes", "seconds")
        return {
            "ok": self.ok,
            "findings": [_plain(vars(f)) for f in self.findings],
            "suppressed": [_plain(vars(f)) for f in self.suppressed],
            **{name: _plain(getattr(self, name)) for name in names},
        }

    def figure(self):
        """Draw signal, loss against baselines, codes and reconstructions."""
        from .figure import draw

        return draw(self)

    def __str__(self):
        lines = [
            f"Examined in {self.seconds:.1f} s of processor time",
            "",
            *self._table(),
            "",
        ]
        faults = [f for f in self.findings if f.severity != "info"]
        hints = [f for f in self.findings if f.severity == "info"]
        if faults:
            many = len(faults) > 1
            lines.append(
                f"{len(faults)} findings, the likeliest root cause first."
                if many
                else "One finding."
            )
        else:
            lines.append("No fault found.")
        for finding in faults + hints:
            lines += ["", str(finding)]
        if self.suppressed:
            names = ", ".join(dict.fromkeys(f.code for f in self.suppressed))
            lines += ["", *_wrap(f"Explained by the above: {names}.")]
        lines += ["", *_wrap(f"Checked: {', '.join(self.checked) or 'nothing'}.")]
        for code, reason in self.unchecked.items():
            lines += _wrap(f"Not checked: {code}: {reason}.")
        for note in self.notes:
            lines += _wrap(f"Note: {note}")
        return "\n".join(lines)

    def _table(self):
        if not self.baselines:
            return ["No baselines: the data could not be read."]
        rows = [f"{'what':<34}{'error':>12}{'R²':>9}"]
        for name, row in self.baselines.items():
            r2 = row.get("r2")
            shown = "" if r2 is None or not math.isfinite(r2) else f"{r2:9.3f}"
            rows.append(f"{name:<34}{row['error']:>12.5g}{shown}")
        return rows


def _wrap(text):
    return textwrap.wrap(text, 88, subsequent_indent="   ", break_long_words=False)


def _short(value):
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        shown = ", ".join(_short(v) for v in value[:6])
        return f"[{shown}{', …' if len(value) > 6 else ''}]"
    return str(value)


def _plain(value):
    """Reduce a value to what JSON can hold; NaN and Inf become text."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(v) for v in value]
    if isinstance(value, bool | str | type(None)):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) else str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)
