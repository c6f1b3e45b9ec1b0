"""The doctor names each fault first, and finds none in healthy programs."""

import pytest

from ae_lib import doctor
from tests.doctor import programs

FAULTY = list(programs.faulty())
HEALTHY = list(programs.healthy())


@pytest.mark.parametrize(
    "at", range(len(FAULTY)), ids=[f"{n}-{c}" for n, (c, _) in enumerate(FAULTY)]
)
def test_the_fault_is_named_first(at):
    code, arguments = FAULTY[at]
    report = doctor.examine(**arguments, budget_seconds=6)
    assert report.codes[:1] == [code], str(report)
    assert not report.ok
    finding = report.findings[0]
    assert {"statistic", "value", "threshold", "where"} <= set(finding.evidence)
    assert finding.why_not and finding.remedy and finding.confirm
    assert not report.notes


@pytest.mark.parametrize("at", range(len(HEALTHY)), ids=[name for name, _ in HEALTHY])
def test_healthy_programs_raise_no_alarm(at):
    report = doctor.examine(**HEALTHY[at][1], budget_seconds=6)
    assert report.ok, str(report)
    assert "No fault found." in str(report)
    assert len(report.checked) > 12
    assert not report.notes


def test_the_faults_cover_the_vocabulary():
    from ae_lib.doctor.clinic import CODES
    from ae_lib.doctor.reasoning import ORDER
    from tests.doctor.test_twins import NAMES, TUNING

    found = {code for code, _ in FAULTY} | {TUNING[name].code for name in NAMES}
    assert found == set(CODES) == set(ORDER)
