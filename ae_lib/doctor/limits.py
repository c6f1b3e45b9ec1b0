"""What a limit is, and where limits come from."""

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
