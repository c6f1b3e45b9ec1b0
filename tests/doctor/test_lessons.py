"""Programs that the doctor once misjudged, after its rules were mended."""

import warnings

import pytest

from ae_lib import doctor
from ae_lib.doctor.clinic import programs

BY_NAME = {program.name: program for program in programs("tuning")}
MISSED = (
    "picture_of_unit_length",
    "padded_where_training_resized",
    "shrunk_inside_the_model",
    "digits_lost_on_a_large_canvas",
    "the_noise_as_target",
    "masked_in_place",
    "noisy_on_both_sides",
    "sensors_reshaped",
    "weights_summed",
    "penalty_of_the_input",
    "gradient_of_the_sum",
    "closure_without_clearing",
    "averaged_over_the_batch",
    "layer_made_in_forward",
    "sgd_of_a_thousandth",
    "posted_with_sigmoids",
)
ALARMED = (
    "every_other_column_missing",
    "eight_batches_in_brain_floats",
    "mask_of_rectifiers_in_the_jacobian",
    "loss_on_hidden_patches_only",
    "branches_begin_at_zero",
    "exact_jacobian_of_two_layers",
    "woven_pictures",
    "posted_with_relus",
)


def alarms(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the faulty losses broadcast
        report = doctor.examine(**program.build(0))
    return [f.code for f in report.findings if f.severity != "info"]


@pytest.mark.parametrize("name", MISSED)
def test_what_was_missed_is_named_first(name):
    program = BY_NAME[name]
    found = alarms(program)
    assert found and found[0] in (program.code, *program.accepts)


@pytest.mark.parametrize("name", ALARMED)
def test_what_is_healthy_raises_no_alarm(name):
    assert alarms(BY_NAME[name]) == []
