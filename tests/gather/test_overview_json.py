"""A whole run as JSON."""

import json

from tests.helpers.overviews import (
    overview,
    standard,
)
from tests.helpers.pages import CLASSES
from whence.gather.overview_json import overview_to_json


def test_json_holds_every_number():
    found = json.loads(json.dumps(overview_to_json(overview(), "runs/x"), allow_nan=False))
    assert found["run"] == "runs/x"
    assert found["trained_on"] == "pets"
    assert found["classes"] == list(CLASSES)
    assert found["accuracy"] == 0.84
    assert found["confusion"] == [[45, 5, 0], [11, 39, 0], [0, 0, 0]]
    assert found["curves"]["entropy"] == {"coverages": [0.05, 1.0], "risks": [0.02, 0.16]}
    assert found["memory"]["half"] == 31
    assert found["memory"]["most"][0] == {
        "index": 4,
        "weight": 40.0,
        "wrong": 10.0,
        "answers": 60,
        "wrong_share": 0.25,
        "label": {"index": 1, "name": "dog"},
        "predicted": {"index": 2, "name": "fox"},
        "source": None,
    }
    assert found["suspicious"][0]["resembles"] == {"index": 2, "name": "fox"}
    assert found["suspicious"][0]["label"] == {"index": 0, "name": "cat"}
    assert found["hard"][0] == {
        "place": 8,
        "kind": "sure",
        "truth": {"index": 0, "name": "cat"},
        "predicted": {"index": 1, "name": "dog"},
        "probability": 0.75,
        "error_probability": 0.05,
    }
    alone = overview_to_json(standard(), "runs/x")
    assert alone["memory"] is None
    assert alone["suspicious"] is None
