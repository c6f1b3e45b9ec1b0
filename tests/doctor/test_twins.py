"""One fault of each family, and the same program with its textbook remedy.

The fault is named first, and the alarm stops once the remedy is applied.
"""

import warnings

import pytest

from ae_lib import doctor
from ae_lib.doctor.clinic import CODES, programs

TUNING = {program.name: program for program in programs("tuning")}
NAMES = (
    "log_of_silence",
    "divided_twice",
    "labels_as_target",
    "relu_on_waves",
    "bce_without_sigmoid",
    "l1_summed",
    "encoder_parameters_only",
    "rounded_code",
    "never_cleared",
    "all_weights_equal",
    "activation_never_called",
    "steep_binary_code",
    "momentum_on_top",
    "four_columns_for_sixteen_causes",
    "kernel_smaller_than_stride",
    "sixty_rows",
    "logvar_starts_at_a_hundred",
    "mean_before_abs",
    "gaussian_noise_of_five",
    "weights_without_the_slope",
    "one_unit_drowns_the_rest",
)


def alarms(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the faulty losses broadcast
        report = doctor.examine(**case, budget_seconds=4)
    assert not report.notes
    return [f.code for f in report.findings if f.severity != "info"]


@pytest.mark.parametrize("name", NAMES)
def test_the_remedy_ends_the_alarm(name):
    program = TUNING[name]
    found = alarms(program.build(0))
    assert found and found[0] in {program.code, *program.accepts}
    assert alarms(program.repair(0)) == []


def test_the_twins_cover_every_family():
    families = {TUNING[name].code.split(".")[0] for name in NAMES}
    assert families == {code.split(".")[0] for code in CODES}
