"""The study of deconvolutional networks as a whole."""

import pytest
import torch

from whence.cli import main
from whence.records.images import ImageSet
from whence.seeds import make_generator
from whence.studies.deconvolutional import study, summary
from whence.studies.deconvolutional.study import DeconvolutionSizes
from whence.studies.deconvolutional.summary import judge_deconvolution
from whence.studies.parts.request import StudyRequest


def make_parts():
    """What everything as published would look like."""
    names = (
        *("rectified differences of pixels", "2010, layer 1", "2010, layer 2"),
        *("2010, layers 1 + 2", "2011, layer 1", "2011, layer 3", "2011, layers 1 + 3"),
    )
    accuracies = (0.3, 0.5, 0.4, 0.6, 0.5, 0.6, 0.7)
    return {
        "filters": [{"layer 1": {"orientation": 0.7}, "layer 2": {"orientation": 0.4}}],
        "switches": [{"switches": {"sharpness": [1, 0.8]}, "means": {"sharpness": [1, 0.2]}}],
        "denoising": [
            {
                "noisy": 20.0,
                "smooth": 21.0,
                "curves": {
                    name: [{"ratio": 19.0, "used": 1}, {"ratio": 22.0, "used": 2}]
                    for name in ("layer 1", "layer 2", "patches")
                },
            }
        ],
        "recognition": [{name: {"15": a} for name, a in zip(names, accuracies, strict=True)}],
    }


@pytest.mark.parametrize("broken", [None, 0, 1, 2, 3, 4])
def test_each_trend_can_fail(broken):
    found = make_parts()
    if broken == 0:
        found["filters"][0]["layer 2"]["orientation"] = 0.8
    elif broken == 1:
        found["switches"][0]["means"]["sharpness"][-1] = 0.7
    elif broken == 2:
        found["denoising"][0]["curves"]["layer 2"][1]["ratio"] = 20.5
    elif broken == 3:
        found["recognition"][0]["2010, layers 1 + 2"]["15"] = 0.5
    elif broken == 4:
        found["recognition"][0]["2011, layer 3"]["15"] = 0.45
    assert [one.met for one in judge_deconvolution(found)] == [
        place != broken for place in range(5)
    ]


def test_the_study_in_small_goes_on_where_it_was(tmp_path, monkeypatch):
    sizes = DeconvolutionSizes(
        crops=3,
        maps=(2, 2),
        adaptive_maps=(2, 2, 2),
        epochs=1,
        steps=1,
        denoised=1,
        amounts=(4,),
        asked=1,
    )
    monkeypatch.setattr(study, "DENOISING_FIDELITIES", (5.0,))
    monkeypatch.setattr(study, "SHARPER_FIDELITIES", (100.0,))
    monkeypatch.setattr(study, "PATCH_PENALTIES", (0.2,))
    request = StudyRequest(out=tmp_path)
    found = study.study_deconvolution(request, sizes)
    assert found.holds is not None
    assert {row[1] for row in found.rows} >= set(study.SHARPER_POWERS)
    assert [figure.name for figure in found.figures] == [
        *("filters", "switches", "denoising", "recognition")
    ]
    monkeypatch.setattr(study, "learn_networks", None)  # nothing is learned again
    monkeypatch.setattr(summary, "draw_deconvolution", lambda _: ())
    assert study.study_deconvolution(request, sizes).rows == found.rows


def test_a_run_is_no_set_of_images(standard_run, capsys):
    assert main(["study", "deconvolutional", str(standard_run)]) == 2
    assert "is a run, and this study asks about images" in capsys.readouterr().err


def test_pieces_that_noise_is_added_to_are_no_known_ones():
    pixels = torch.arange(12, dtype=torch.uint8).view(-1, 1, 1, 1)
    images = ImageSet(pixels, torch.arange(12) % 2, ("a", "b"))
    known = torch.tensor([0, 3, 4, 5, 6, 7, 8, 9])
    drawn = study.draw_pieces(images, 3, make_generator(0), known)
    assert set((drawn.flatten() * 255).round().int().tolist()) < {1, 2, 10, 11}
