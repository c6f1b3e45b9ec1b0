"""The flow chart of chapter 13."""

import pytest

from ae_lib import plots


def test_every_question_and_remedy_is_drawn_once():
    steps = [("Does it run?", "Mend it."), ("Is it right?", "Measure it.")]
    axes = plots.flow_chart(steps, "Go on.").axes[0]
    words = [text.get_text() for text in axes.texts]
    for phrase in ("Does it run?", "Mend it.", "Is it right?", "Measure it.", "Go on."):
        assert words.count(phrase) == 1
    assert words.count("yes") == words.count("no") == 2


def test_a_chart_without_steps_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        plots.flow_chart([], "end")
