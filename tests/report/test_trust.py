"""How far to trust a run, in tables and sentences."""

from tests.helpers.overviews import evaluation, quality, standard
from whence.metrics import SIGNALS
from whence.metrics.evidence import MEASURES
from whence.records.measures import EvidenceMeasures
from whence.report.blocks import TableCell
from whence.report.trust import (
    ABSENT,
    SIGNAL_NAMES,
    lay_out_evidence,
    lay_out_signals,
    say_doubt,
    say_evidence,
)


def cells(*texts):
    return tuple(TableCell(text) for text in texts)


def test_every_measure_stands_beside_its_controls():
    grid = lay_out_evidence(evaluation())
    assert [line.name.replace(" ", "_") for line in grid.rows] == list(MEASURES)
    assert [line.meaning for line in grid.rows] == list(MEASURES.values())
    assert grid.rows[0].cells == cells("75.0%", "75.0%", "25.0%", "25.0%")
    assert grid.rows[1].cells[0].text == "90.0% of 75"
    assert grid.rows[2].cells[0].text == "40.0% of 25"
    assert grid.rows[3].cells == cells("50.0%", "35.0%", ABSENT, "60.0%")
    assert grid.rows[4].cells == cells("12.5", "12.5", ABSENT, ABSENT)
    assert len(grid.header) == 4
    assert lay_out_evidence(standard().evaluation) is None


def test_measures_of_the_evidence_in_words():
    found = say_evidence(evaluation().evidence, 100)
    assert found[0].startswith("For 75.0% of the images (75 of 100),")
    assert found[1:] == (
        "Of these answers 90.0% are right; of the other 25, 40.0% are.",
        "So a stored image of another class on top is a sign of doubt.",
    )
    assert len(say_evidence(EvidenceMeasures(0.75, 0.4, 0.4), 100)) == 2
    assert len(say_evidence(EvidenceMeasures(1.0, 0.4, None), 100)) == 1
    few = say_evidence(EvidenceMeasures(0.99, 0.4, 1.0), 100)
    assert few[1:] == (
        "Of these answers 40.0% are right; of the other 1, 100% are.",
        "So few others say little.",
    )


def test_signs_of_doubt_are_compared_the_best_one_marked():
    grid = lay_out_signals(evaluation())
    assert [line.mark for line in grid.rows] == ["best", "", ""]
    assert grid.rows[0].cells == cells("0.900", "0.012", "0.050", "7.0%")
    assert grid.rows[2].cells == cells(ABSENT, ABSENT, "0.050", "7.0%")
    assert grid.rows[2].name == "distance to the nearest stored image"
    hopeless = evaluation(signals={"softmax": quality(None, wrong=0.0)})
    assert lay_out_signals(hopeless).rows[0].mark == ""
    assert set(SIGNAL_NAMES) == {"error_probability", *SIGNALS}


def test_leaving_out_doubtful_answers_in_words():
    assert say_doubt(evaluation()) == (
        "Answering only for the 80% of images with least doubt, 7.0% are wrong instead of 16.0%; "
        "for the 50% with least doubt, 2.0%. The sign of doubt used here is the calibrated "
        "probability of an error.",
        "That probability was calibrated on 1,500 held-out images, 300 of them answered wrongly.",
    )
    without = say_doubt(standard().evaluation)
    assert without[0].endswith(
        "The sign of doubt used here is how far the highest probability is from 1."
    )
    assert without[1].startswith("This run has no calibrated probability of error")
    right = evaluation(signals={"softmax": quality(wrong=0.0)})
    assert say_doubt(right) == ("No answer is wrong, so no sign of doubt can be judged.",)
