"""Answers as JSON."""

import json
import math

import pytest
import torch

from tests.helpers.pages import (
    CLASSES,
    ORIGIN,
    answer,
    draws,
    evidence,
    explanation,
    relevance,
    removal,
)
from whence.records.relevance import Relevance
from whence.report.as_json import to_json


def test_json_holds_every_field_with_classes_by_name_and_index():
    changes = torch.zeros(3, 3)
    changes[0], changes[1, 0] = math.nan, math.log(10)
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 1, label=0), evidence(9, 0.2, 0))
    found = explanation(items, without=changes, draws=draws(), error_probability=0.25)
    shown = answer(found, relevance=relevance(found), removal=removal(), truth=2)
    content = json.loads(json.dumps(to_json([shown], ORIGIN, CLASSES), allow_nan=False))
    assert content["classes"] == list(CLASSES)
    assert (content["run"], content["facts"]["seed"]) == ("runs-7", "5")
    first = content["answers"][0]
    assert first["image"] == "photo.png"
    assert first["truth"] == {"index": 2, "name": "fox"}
    assert first["predicted"] == {"index": 1, "name": "dog"}
    assert first["probabilities"] == pytest.approx([0.15, 0.75, 0.1])
    second = first["evidence"][1]
    assert second.pop("without") == {
        "logit_changes": pytest.approx([math.log(10), 0, 0]),
        "probabilities": pytest.approx([1.5 / 2.35, 0.75 / 2.35, 0.1 / 2.35]),
    }
    assert second == {
        "index": 7,
        "label": {"index": 0, "name": "cat"},
        "predicted": {"index": 1, "name": "dog"},
        "weight": 0.3,
        "similarity": 0.65,
        "role": "example",
        "source": None,
    }
    assert first["evidence"][0]["without"]["logit_changes"] == [None] * 3
    assert first["example"]["index"] == 40
    assert [item["index"] for item in first["counterfactuals"]] == [9]
    assert first["counterfactual"]["label"] == {"index": 0, "name": "cat"}
    assert first["near_miss"] is None
    assert first["draws"]["probabilities"] == pytest.approx([0.2, 0.7, 0.1])
    assert (first["draws"]["seed"], first["draws"]["example_kept"]) == (3, 0.75)
    assert first["removal"]["smallest"] == [7, 40]
    assert first["removal"]["becomes"] == {"index": 0, "name": "cat"}
    assert first["doubt"]["level"] == "careful"
    assert (first["flag"], first["reliance"], first["error_probability"]) == (False, 0.4, 0.25)
    assert first["attribution"]["evidence_sums"] == pytest.approx([-0.24, -0.48, -0.72])
    assert first["attribution"]["image_sum"] == pytest.approx(24)
    assert "image" not in first["attribution"]
    fields = {name for name in type(found).__dataclass_fields__ if not name.endswith("without")}
    fields -= {"class_names", "seen"}  # the file names its classes once, and pixels are asked for
    assert fields <= set(first)


def test_json_with_pixels_holds_the_relevance_of_each():
    found = explanation()
    shown = relevance(found, rest=1.5)
    content = to_json([answer(found, relevance=shown)], ORIGIN, CLASSES, with_pixels=True)
    laid = content["answers"][0]["attribution"]
    assert torch.equal(torch.tensor(laid["image"]), shown.images[0])
    assert torch.equal(torch.tensor(laid["evidence"]), shown.evidence[0])
    assert laid["rest"] == laid["ledger"]["outside the evidence"] == 1.5
    assert laid["options"] == {"steps": 16, "baseline": "white", "memory": "evidence"}
    plain = relevance(found, ledger=None, options={"baseline": torch.ones(3, 8, 10)})
    content = to_json([answer(found, relevance=plain)], ORIGIN, CLASSES)
    assert content["answers"][0]["attribution"]["ledger"] is None
    assert content["answers"][0]["attribution"]["options"] == {"baseline": "Tensor"}
    assert set(Relevance.__dataclass_fields__) - {"images", "evidence"} <= set(laid)
