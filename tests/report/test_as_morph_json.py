"""Ways as JSON."""

import json
import math

import pytest
import torch

from tests.helpers.morph_pages import CLASSES, along, mask, morph, way
from tests.helpers.pages import ORIGIN, answer
from whence.report.as_json import to_json
from whence.report.as_morph_json import morphs_to_json


def test_json_by_hand():
    found = morph(way("nearest"), truth=0, notes=("Small.",))
    content = morphs_to_json([found], ORIGIN, CLASSES)
    assert json.loads(json.dumps(content, allow_nan=False)) == json.loads(json.dumps(content))
    (image,) = content["images"]
    assert image["truth"] == {"index": 0, "name": "cat"}
    assert image["predicted"] == {"index": 1, "name": "dog"}
    assert image["notes"] == ["Small."]
    assert image["code"]["how"] == "sampled"
    assert image["code"]["distance"] == pytest.approx(0.0345)
    (one,) = image["ways"]
    assert one["start"] == {
        "index": 41,
        "label": {"index": 2, "name": "fox"},
        "source": "fox/41.png",
    }
    assert (one["other"], one["found"], one["reason"], one["steps"]) == ("nearest", True, None, 0)
    assert (one["self_class"]["name"], one["other_class"]["name"]) == ("dog", "fox")
    assert one["norm_range"] == [4.5, 14.25]
    assert one["mask"]["kept"] == pytest.approx(2 / 3)
    assert one["mask"]["most_of_gain"] == (5, 5)
    assert (one["mask"]["gain"], one["mask"]["full_gain"]) == pytest.approx((0.6, 0.9))
    for name in ("mask", "increase", "decrease", "gains", "full_gains"):
        torch.testing.assert_close(
            torch.tensor(one["mask"][name]), getattr(found.ways[0].mask, name)
        )
    for name in ("probabilities", "entropies", "gradients"):
        torch.testing.assert_close(
            torch.tensor(one["path"][name]), getattr(found.ways[0].along, name)
        )
    assert one["path"]["low"] == pytest.approx(3.614)
    assert (content["run"], list(content["classes"])) == (ORIGIN.run, list(CLASSES))


def test_json_has_no_nan():
    broken = way(
        norm=math.nan,
        norm_range=(0.0, math.inf),
        along=along(mean=math.nan, probabilities=torch.full((13,), math.nan)),
        mask=mask(gains=torch.full((12,), math.nan)),
    )
    content = morphs_to_json([morph(broken)], ORIGIN, CLASSES)
    text = json.dumps(content, allow_nan=False)
    one = json.loads(text)["images"][0]["ways"][0]
    assert (one["norm"], one["norm_range"], one["path"]["mean"]) == (None, [0.0, None], None)
    assert one["mask"]["gain"] is None
    assert one["start"] is None


def test_json_of_answers_holds_their_ways():
    with_way = answer(morph=morph(name="photo.png"))
    content = to_json([answer(), with_way], ORIGIN, CLASSES)
    assert content["answers"][0]["morph"] is None
    expected = morphs_to_json([with_way.morph], ORIGIN, CLASSES)["images"][0]
    assert content["answers"][1]["morph"] == expected
