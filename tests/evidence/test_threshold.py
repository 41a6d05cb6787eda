"""With sparsemax, a weight is a similarity minus one threshold of the answer."""

import json
from dataclasses import replace

import pytest
import torch
from PIL import Image

import whence
from tests.helpers.explaining import build, build_with_memory, draw_images
from whence.cli import main
from whence.memory import SIMILARITIES
from whence.report.reading import say_reading


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_weight_is_its_similarity_above_the_threshold(similarity):
    model = build_with_memory(17, similarity=similarity)
    images = draw_images(9)
    scores = model.read(images).scores
    predictions, explanations = whence.predict(model, images), whence.explain(model, images)
    counts = set()
    for row, (prediction, explanation) in enumerate(zip(predictions, explanations, strict=True)):
        for answer in (prediction, explanation):
            counted = {item.index: item for item in answer.evidence}
            for place, index in enumerate(model.bank.indices.tolist()):
                above = float(scores[row, place]) - answer.threshold
                weight = counted[index].weight if index in counted else 0.0
                assert max(above, 0.0) == pytest.approx(weight, abs=2e-5)
            counts.add(len(counted))
    assert max(counts) > 1  # a single image has weight 1 whatever the threshold


def test_a_standard_model_has_no_threshold():
    model = build("standard")
    (prediction,), (explanation,) = (
        ask(model, draw_images(1)) for ask in (whence.predict, whence.explain)
    )
    assert prediction.threshold is None
    assert explanation.threshold is None
    assert say_reading(prediction, ("0", "1", "2")) is None


def test_the_commands_say_it(tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (10, 1, 8, 8), generator=generator, dtype=torch.uint8)
    model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval().remember(images[1:])
    whence.save(model, tmp_path / "model")
    Image.fromarray(images[0, 0].numpy()).save(tmp_path / "x.png")
    assert main(["predict", str(tmp_path / "model"), str(tmp_path / "x.png"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (wanted,) = whence.predict(model, images[:1])
    assert found["threshold"] == pytest.approx(wanted.threshold, abs=1e-6)
    assert found["reading"] == say_reading(wanted, ("0", "1", "2"))
    assert main(["predict", str(tmp_path / "model"), str(tmp_path / "x.png")]) == 0
    assert f"\n  {found['reading']}\n" in capsys.readouterr().out
    out = tmp_path / "x.json"
    command = ["explain", str(tmp_path / "model"), str(tmp_path / "x.png"), "--format", "json"]
    assert main([*command, "--out", str(out)]) == 0
    (answer,) = json.loads(out.read_text())["answers"]
    assert answer["threshold"] == pytest.approx(found["threshold"], abs=1e-6)
    assert answer["reading"] == found["reading"]


def test_the_smallest_similarity_that_counts_by_hand():
    weights = whence.sparsemax(torch.tensor([0.9, 0.5, 0.1]))
    torch.testing.assert_close(weights, torch.tensor([0.7, 0.3, 0.0]))
    (answer,) = whence.predict(build_with_memory(5), draw_images(1))
    answer = replace(answer, threshold=0.9 - 0.7)
    assert say_reading(answer, ("0", "1", "2")) == (
        "A stored image counts from a similarity of 0.2 on; the more above, the more."
    )
