"""The study of concepts as a whole, and of a run of one's own."""

import json

import pytest
import torch
from PIL import Image

from whence.cli import main
from whence.models.load import load
from whence.studies.concepts import measure, of_run, study, summary
from whence.studies.concepts.blocks import BLOCK_NAMES, build_blocks
from whence.studies.concepts.directions import (
    ConceptTest,
)
from whence.studies.concepts.measure import RANDOM_IMAGES, ConceptSizes
from whence.studies.concepts.of_run import RunTests, describe_concept, find_detector
from whence.studies.concepts.planting import (
    DOTS,
    STRIPES,
)
from whence.studies.concepts.summary import judge_concepts, measure_hits
from whence.studies.parts.request import StudyRequest


def make_found():
    """What seeds find when everything is as published."""
    good = {"score": 1.0, "deviation": 0.0, "probability": 1e-9}
    none = {"score": 0.5, "deviation": 0.4, "probability": 0.8}
    planted = {STRIPES: good, DOTS: none, RANDOM_IMAGES: none}
    maps = torch.zeros(2, 4, 4)
    maps[:, 1, 1] = 2.0
    maps[:, 3, 3] = 1.0
    masks = maps > 1.5
    return {
        "directions": [dict.fromkeys(BLOCK_NAMES, planted)],
        "layers": [
            {
                "errors": {"trained": dict(zip(BLOCK_NAMES, (0.3, 0.2, 0.1, 0.1), strict=True))},
                "convergence": {
                    name: [value, 1.0]
                    for name, value in zip(BLOCK_NAMES, (0.9, 0.8, 0.7, 0.6), strict=True)
                },
            }
        ],
        **{
            f"stethoscope {how}": [{"again": value}]
            for how, value in (("suppressed", 0.55), ("only listened to", 0.8), ("promoted", 0.9))
        },
        "differences": [
            {"masks": masks.tolist(), "marginal": maps.tolist(), "conditional": maps.tolist()}
        ],
    }


def test_expectations_are_met_by_what_was_published():
    assert [one.met for one in judge_concepts(make_found())] == [True] * 6
    assert measure_hits(make_found()["differences"][0], "marginal") == (1.0, pytest.approx(2 / 3))


@pytest.mark.parametrize("broken", range(6))
def test_each_expectation_can_fail(broken):
    found = make_found()
    layer = found["layers"][0]
    if broken == 0:
        bad = {"score": 1.0, "probability": 0.01}  # not with twelve tests
        found["directions"][0] = {
            **found["directions"][0],
            "block3": {**found["directions"][0]["block3"], STRIPES: bad},
        }
    elif broken == 1:
        bad = {"score": 0.5, "probability": 1e-6}
        found["directions"][0] = {
            **found["directions"][0],
            "block1": {**found["directions"][0]["block1"], RANDOM_IMAGES: bad},
        }
    elif broken == 2:
        layer["errors"]["trained"]["block4"] = 0.35
    elif broken == 3:
        layer["convergence"]["block4"] = [0.75, 1.0]
    elif broken == 4:
        found["stethoscope suppressed"][0]["again"] = 0.7
    else:
        found["differences"][0]["conditional"] = torch.eye(4).repeat(2, 1, 1).tolist()
    assert [one.met for one in judge_concepts(found)] == [place != broken for place in range(6)]


def test_the_study_in_small_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "LISTENED_EPOCHS", 1)
    sizes = ConceptSizes(trained=64, asked=64, epochs=1, draws=2, drawn=10, explained=2)
    request = StudyRequest(out=tmp_path, seeds=1)
    found = study.study_planted(request, sizes)
    assert found.holds is not None
    assert found.made_with["seeds"] == "0"
    assert {str(row[0]).split(":")[0] for row in found.rows} == {
        *("TCAV", "probe", "SVCCA", "unit", "stethoscope", "prediction difference")
    }
    assert [figure.name for figure in found.figures] == [
        *("directions", "probes", "convergence", "units", "stethoscope", "differences")
    ]
    assert all(figure.png.startswith(b"\x89PNG") for figure in found.figures)
    monkeypatch.setattr(study, "train_blocks", None)  # nothing is trained again
    monkeypatch.setattr(summary, "draw_instruments", lambda _: ())
    assert study.study_planted(request, sizes).rows == found.rows


def make_tests(scores, accuracy):
    """Tests of one concept in one layer, by class; scores of 0.5 are like those of random ones."""
    return {
        name: ConceptTest(score, 0.1, 0.5, 0.4, 0.9 if score == 0.5 else 1e-9, accuracy)
        for name, score in scores.items()
    }


@pytest.mark.parametrize(
    ("scores", "accuracy", "sentence"),
    [
        (
            {"car": 0.98, "bird": 0.02, "cat": 0.5},
            0.9,
            "wheels (12 images): layer b tells it from other images in 90%, and it speaks for car "
            "(TCAV 0.98) and speaks against bird (TCAV 0.02).",
        ),
        (
            {"car": 0.5, "bird": 0.55},
            0.9,
            "wheels (12 images): layer b tells it from other images in 90%, but no class clearly "
            "depends on it.",
        ),
        (
            {"car": 0.98},
            0.55,
            "wheels (12 images): this run does not know it; no layer tells it from other images "
            "more often than 55% (half is chance), so nothing can be said about its use.",
        ),
    ],
)
def test_the_verdict_in_plain_words(scores, accuracy, sentence):
    tests = {
        "a": {"wheels": make_tests(scores, min(accuracy, 0.6))},
        "b": {"wheels": make_tests(scores, accuracy)},
    }
    found = RunTests(("a", "b"), tests, {}, {}, 6, 0.0)
    assert describe_concept(found, "wheels", 12) == sentence


def write_concept(folder, images):
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(folder / f"{number:03}.png")


def test_a_class_as_a_concept_speaks_for_itself(standard_run, measured_digits, tmp_path, capsys):
    train = measured_digits.train
    write_concept(tmp_path / "zeros", train.images[train.labels == 0][:40])
    out = tmp_path / "out"
    arguments = ["study", "concepts", str(standard_run), "--concept", str(tmp_path / "zeros")]
    assert main([*arguments, "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["holds"] is None
    assert printed["verdict"].startswith("zeros (40 images): layer ")
    assert "speaks for 0 (TCAV" in printed["verdict"]
    assert {row["class"] for row in printed["rows"]} == {str(number) for number in range(10)}
    assert (out / "concepts-concept-1.png").exists()
    assert printed["made_with"]["draws"] == of_run.FEW_DRAWS
    assert load(standard_run).training is False


def test_what_is_no_concept_of_a_run_is_refused(standard_run, tmp_path, capsys):
    (tmp_path / "few").mkdir()
    write_concept(tmp_path / "few" / "one", torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
    (tmp_path / "none").mkdir()
    run, one = str(standard_run), str(tmp_path / "few" / "one")
    for arguments, sentence in (
        ([run], "A run is asked about concepts: add --concept FOLDER with images of one."),
        ([run, "--concept", one], f"--concept must hold at least 10 images, {one} holds 1."),
        (
            [run, "--concept", one, "--concept", one],
            "--concept must be folders of different names, got 'one' twice.",
        ),
        (
            [run, "--concept", str(tmp_path / "gone")],
            f"--concept must be a folder of images, there is no {tmp_path / 'gone'}.",
        ),
        ([run, "--concept", str(tmp_path / "none")], f"{tmp_path / 'none'} holds no image."),
        (
            [run, "--concept", one, "--seeds", "2"],
            "--seeds is for the study's own networks; leave it out with a run.",
        ),
        (
            ["--concept", one],
            "--concept is looked for in a run: whence study concepts RUN --concept FOLDER.",
        ),
    ):
        assert main(["study", "concepts", *arguments]) == 2
        assert capsys.readouterr().err == f"whence: {sentence}\n"


def test_blocks_run_on_small_images():
    assert build_blocks()(torch.zeros(2, 1, 24, 24)).shape == (2, 64)


def test_a_unit_is_told_from_images_of_all_classes_that_stand_in_order():
    concept, others = torch.zeros(3, 2), torch.zeros(9, 2)
    concept[:, 0] = 1.0
    others[3:, 0] = 1.0  # the other classes have what the first lacks
    others[:, 1] = -1.0
    assert find_detector(concept, others) == (1, 1.0)
