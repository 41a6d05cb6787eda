"""The answers of a run group by group, against one image at a time."""

import pytest
import torch

import whence
from tests.gather.test_overview import draw_set
from tests.helpers.explaining import build, build_with_memory
from tests.helpers.overviews import CALIBRATION, MADE
from whence.gather.by_group import LEAST_IMAGES
from whence.gather.overview import gather_overview
from whence.gather.overview_json import overview_to_json
from whence.records.by_group import Groups

NAMES = tuple("moss" if i % 3 == 0 else "fern" if i % 3 == 1 or i < 9 else "ivy" for i in range(41))
STORED = tuple(("moss", "fern", None)[i % 3] for i in range(17))


def gather(model=None, names=NAMES, stored=STORED):
    model = build_with_memory() if model is None else model
    groups = Groups("plants.csv, column group", names, stored)
    return gather_overview(model, draw_set(), MADE, hard=0, groups=groups, batch_size=16)


def test_measures_of_groups_are_those_of_their_images_alone():
    model, images = build_with_memory(), draw_set()
    model.calibration = CALIBRATION
    found = gather(model)
    told = whence.explain(model, images.images, draws=2)
    by_name = {}
    for name, answer, truth in zip(NAMES, told, images.labels.tolist(), strict=True):
        by_name.setdefault(name, []).append((answer, truth))
    assert {one.name for one in found.groups.groups} == set(by_name) == {"moss", "fern", "ivy"}
    for one in found.groups.groups:
        rows = by_name[one.name]
        assert one.images == len(rows)
        assert one.right == sum(answer.predicted == truth for answer, truth in rows)
        for place in range(3):
            mine = [answer.predicted == truth for answer, truth in rows if truth == place]
            assert one.recalls[place] == pytest.approx(sum(mine) / len(mine))
        for field, value in (
            ("reliance", lambda answer: answer.reliance),
            ("doubt", lambda answer: answer.error_probability),
            ("own_weight", lambda answer, name=one.name: weight_of(answer, name)),
        ):
            mean = sum(value(answer) for answer, _ in rows) / len(rows)
            assert getattr(one, field) == pytest.approx(mean, abs=1e-5)
        assert one.stored == STORED.count(one.name)
    shares = [one.accuracy for one in found.groups.groups]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1]
    assert found.groups.worst == found.groups.groups[0].name


def weight_of(answer, group):
    places = [(item.index - 7) // 10 for item in answer.evidence]
    pairs = zip(places, answer.evidence, strict=True)
    return sum(item.weight for place, item in pairs if STORED[place] == group)


def test_the_worst_group_has_enough_images_and_its_errors_name_stored_images():
    names = tuple("one" if i == 0 else NAMES[i] for i in range(41))
    model, images = build_with_memory(), draw_set()
    model.remember(model.bank.images, (images.labels[:17] + 1) % 3)  # so that all goes wrong
    found = gather(model, names, ())
    assert found.groups.worst != "one"
    assert found.groups.find("one").images == 1 < LEAST_IMAGES
    inside = [i for i, name in enumerate(names) if name == found.groups.worst]
    wrong = torch.zeros(17, dtype=torch.float64)
    for answer, place in zip(whence.explain(model, images.images[inside]), inside, strict=True):
        if answer.predicted != int(images.labels[place]):
            for item in answer.evidence:
                wrong[item.index] += item.weight
    listed = {one.index: one.wrong for one in found.groups.misleading}
    assert listed
    assert listed == pytest.approx({i: float(wrong[i]) for i in listed}, abs=1e-5)
    assert min(listed.values()) >= float(wrong.sort(descending=True).values[len(listed) - 1]) - 1e-5
    assert set(listed) <= set(found.stored)
    assert found.groups.stored_groups == ()
    assert all(one.own_weight is None and one.stored is None for one in found.groups.groups)


def test_groups_are_in_the_json_with_the_groups_of_stored_images():
    found = gather()
    laid_out = overview_to_json(found, "runs/7")["groups"]
    assert laid_out["origin"] == "plants.csv, column group"
    assert laid_out["worst"] == found.groups.worst
    assert [one["name"] for one in laid_out["groups"]] == [one.name for one in found.groups.groups]
    assert set(laid_out["groups"][0]["recalls"]) == set(found.class_names)
    groups = {one["index"]: one["group"] for one in laid_out["misleading"]}
    assert groups == {index: STORED[(index - 7) // 10] for index in groups}
    assert None in groups.values()
    assert (
        overview_to_json(gather_overview(build_with_memory(), draw_set(), MADE), "x")["groups"]
        is None
    )


def test_a_standard_model_has_groups_too():
    model = build("standard")
    found = gather(model, stored=()).groups
    assert found.misleading == ()
    assert all(one.reliance is None and one.doubt is None for one in found.groups)


@pytest.mark.parametrize(
    "names, stored, message",
    [
        (NAMES[1:], STORED, "group of each of 41 measured images, got 40"),
        (NAMES, STORED[1:], "group of each of 17 stored images, got 16"),
        (("ivy",) * 41, STORED, "all 41 measured images are of ivy"),
    ],
)
def test_groups_that_do_not_fit_are_refused(names, stored, message):
    with pytest.raises(ValueError, match=message):
        gather(names=names, stored=stored)
