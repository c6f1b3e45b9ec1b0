"""The flow chart of chapter 13."""

from io import BytesIO

import pytest
from matplotlib.patches import FancyBboxPatch

from ae_lib import plots

STAGES = {
    "look": [("Does it run?", "Mend it."), ("Is it right?", "Measure it.")],
    "train": [("Does it fall?", "Stop.")],
}


@pytest.fixture
def figure():
    return plots.flow_chart(STAGES, "Go on.")


def place(axes, phrase):
    (found,) = [t for t in axes.texts if t.get_text().replace("\n", " ") == phrase]
    return found.get_position()


def test_every_question_and_remedy_is_drawn_once(figure):
    words = [text.get_text() for text in figure.axes[0].texts]
    for phrase in ["look", "train", "Go on.", "1", "2", "3"]:
        assert words.count(phrase) == 1
    for phrase in [part for pairs in STAGES.values() for p in pairs for part in p]:
        assert words.count(phrase) == 1
    assert words.count("yes") == words.count("no") == words.count("ask again") == 3


def test_questions_go_down_and_remedies_stand_beside_them(figure):
    axes, pairs = figure.axes[0], [p for pairs in STAGES.values() for p in pairs]
    heights = [place(axes, question)[1] for question, _ in pairs]
    assert heights == sorted(heights, reverse=True)
    assert place(axes, "Go on.")[1] < heights[-1]
    for question, remedy in pairs:
        (x, y), (beside, level) = place(axes, question), place(axes, remedy)
        assert level == y and beside > x
    top, bottom = place(axes, "look")[1], place(axes, "train")[1]
    assert heights[0] > top > heights[1] and bottom == heights[2]


def test_words_stay_inside_their_boxes():
    long = "Does a question of sixty characters fit into its two lines?"
    figure = plots.flow_chart({"a stage with a name": [(long, long)]}, long)
    figure.savefig(BytesIO(), format="png")
    boxes = [p.get_window_extent() for p in figure.axes[0].patches]
    assert all(isinstance(p, FancyBboxPatch) for p in figure.axes[0].patches)
    for text in figure.axes[0].texts:
        if len(text.get_text()) > 10:
            drawn = text.get_window_extent()
            inside = [
                box.x0 <= drawn.x0 <= drawn.x1 <= box.x1
                and box.y0 <= drawn.y0 <= drawn.y1 <= box.y1
                for box in boxes
            ]
            assert sum(inside) == 1, text.get_text()


@pytest.mark.parametrize("stages", [{}, {"look": []}])
def test_a_chart_without_questions_is_refused(stages):
    with pytest.raises(ValueError, match="at least one"):
        plots.flow_chart(stages, "end")
