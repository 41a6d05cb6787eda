"""Votes find a class by a head start of its stored images: chosen, exact, kept and said."""

import copy
import json

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.deciding import make
from tests.helpers.explaining import draw_images
from whence.evidence.head_start import Leads, choose_head_start
from whence.memory.sparsemax import sparsemax
from whence.models.using import encode_all
from whence.records.images import ImageSet
from whence.report.reading import say_reading

IMAGES = draw_images(60, seed=9)
PLACE = 1


@pytest.fixture(params=[4, 12, 700], ids=["4 stored", "12 stored", "700 stored"])
def model(request):
    return make("votes", request.param)


def validation(model):
    generator = torch.Generator().manual_seed(2)
    return ImageSet(IMAGES, torch.randint(0, 3, (60,), generator=generator), model.class_names)


def share_by_hand(model, lead):
    """Weight `(N,)` on the class with a head start, from cosines one by one."""
    head, bank = model.head, model.bank
    queries = encode_all(model, IMAGES)
    cosines = torch.nn.functional.cosine_similarity(queries[:, None], bank.features[None], dim=2)
    of_class = bank.labels == PLACE
    return sparsemax((cosines + lead * of_class) * head.sharpness)[:, of_class].sum(1)


@pytest.mark.parametrize("recall", [0.3, 0.9, 1.0])
def test_the_recall_is_reached_and_no_smaller_head_start_reaches_it(model, recall):
    images, name = validation(model), model.class_names[PLACE]
    found = whence.choose_threshold(model, images, name, recall=recall)
    model.decision = found
    measured = whence.evaluate(model, images, memory_size=4, draws=1).classes[PLACE]
    assert measured == found.validation
    assert (measured.right - 1) / measured.images < recall <= measured.recall
    assert found.threshold == 0.5
    of_class = images.labels == PLACE
    reached = [
        float((share_by_hand(model, found.head_start + change)[of_class] >= 0.5).double().mean())
        for change in (-1.0, -1e-3, 1e-3)
    ]
    assert reached[0] < recall
    assert reached[1] <= measured.recall <= reached[2]


def test_answers_and_evidence_are_those_of_more_similar_images(model):
    images, name = validation(model), model.class_names[PLACE]
    model.decision = found = whence.choose_threshold(model, images, name, recall=0.9)
    assert abs(found.head_start) > 1e-3, "the case is degenerate"
    shares = share_by_hand(model, found.head_start)
    answers = whence.predict(model, IMAGES)
    assert_close(
        torch.stack([one.probabilities for one in answers])[:, PLACE], shares, atol=2e-5, rtol=0
    )
    assert [one.predicted == PLACE for one in answers] == (shares >= 0.5).tolist()
    queries, stored = encode_all(model, IMAGES[:9]), model.bank.features
    for query, answer in zip(queries, answers[:9], strict=True):
        for item in answer.evidence:
            place = int((model.bank.indices == item.index).nonzero())
            cosine = torch.nn.functional.cosine_similarity(query, stored[place], dim=0)
            assert item.similarity == pytest.approx(float(cosine), abs=1e-5)
            least = answer.threshold + float(answer.handicaps[item.label])
            weight = (item.similarity - least) * float(model.head.sharpness)
            assert item.weight == pytest.approx(weight, abs=1e-4)


def test_explanations_and_exports_answer_alike(model):
    images, name = validation(model), model.class_names[PLACE]
    model.decision = whence.choose_threshold(model, images, name, recall=0.9)
    answers, explained = whence.predict(model, IMAGES[:6]), whence.explain(model, IMAGES[:6])
    for one, other in zip(answers, explained, strict=True):
        assert one.predicted == other.predicted
        assert_close(one.probabilities, other.probabilities, atol=1e-5, rtol=0)
        assert [item.index for item in one.evidence] == [item.index for item in other.evidence]
        for item in other.nearest:
            assert -1 - 1e-5 <= item.similarity <= 1 + 1e-5
    (row,) = whence.explain(model, IMAGES[:1])
    left = min(item.index for item in row.evidence)
    without = whence.edit(model, remove=[left])
    assert without.decision == model.decision
    place = [item.index for item in row.evidence].index(left)
    if len(row.evidence) < len(model.bank):
        (again,) = whence.predict(without, IMAGES[:1])
        assert_close(row.probabilities_without[place], again.probabilities, atol=2e-5, rtol=0)


@pytest.mark.parametrize("stored", [4, 12])
def test_it_is_of_least_cost(stored):
    model = make("votes", stored)
    images, name = validation(model), model.class_names[PLACE]
    truth = images.labels == PLACE
    for cost in (0.2, 1, 8):
        found = whence.choose_threshold(model, images, name, cost=cost)

        def total(lead, cost=cost):
            answered = share_by_hand(model, lead) >= 0.5
            return float(cost * (truth & ~answered).sum() + (answered & ~truth).sum())

        leads = torch.linspace(-2.2, 2.2, 45).tolist()
        assert total(found.head_start) <= min(total(lead) for lead in leads) + 1e-9


def test_the_own_classes_of_stored_images_have_no_head_start(model):
    images, name = validation(model), model.class_names[PLACE]
    plain = copy.deepcopy(model)
    model.decision = whence.choose_threshold(model, images, name, recall=1.0)
    again = model.remember(model.bank.images, model.bank.labels)
    assert torch.equal(again.bank.predicted, plain.bank.predicted)
    suspects = [
        [(one.index, one.score) for one in whence.find_suspicious(m)] for m in (model, plain)
    ]
    assert suspects[0] == suspects[1]


def test_it_is_kept_with_the_model_and_said(tmp_path):
    model = make("votes", 12)
    images, name = validation(model), model.class_names[PLACE]
    model.decision = found = whence.choose_threshold(model, images, name, recall=0.9)
    whence.save(model, tmp_path / "saved")
    again = whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    assert again.decision == found
    assert_close(again(IMAGES), model(IMAGES), rtol=0, atol=0)
    path = tmp_path / "saved" / "whence.json"
    about = json.loads(path.read_text())
    for wrong, variant, message in (
        ("far", "votes", "must have a decision with a head start of at most"),
        (1e300, "votes", "must have a decision with a head start of at most"),
        (0.1, "memory-wrap", "must have a decision with a head start of votes alone"),
    ):
        decision = {**about["decision"], "head_start": wrong}
        path.write_text(json.dumps({**about, "decision": decision, "variant": variant}))
        with pytest.raises(ValueError, match=message):
            whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    older = {key: value for key, value in about["decision"].items() if key != "head_start"}
    path.write_text(json.dumps({**about, "decision": older}))
    loaded = whence.load(tmp_path / "saved", encoder=copy.deepcopy(model.encoder))
    assert loaded.decision.head_start == 0
    (answer,) = whence.predict(model, IMAGES[:1])
    least = answer.threshold - found.head_start
    rest = (
        "not at all" if answer.threshold >= 1 else f"from a similarity of {answer.threshold:.4g} on"
    )
    said = f"from a similarity of {least:.4g} on where it is labelled {name}, {rest} elsewhere;"
    assert said in say_reading(answer, model.class_names)


def test_of_two_head_starts_of_one_cost_the_nearer_to_none_is_taken():
    leads = Leads(torch.tensor([-1.0, 0.05, -0.6, 0.2]), 2.5)
    of_class = torch.tensor([True, True, False, False])
    found = choose_head_start(leads, of_class, recall=None, cost=1)  # -0.8 costs 1 as well
    assert found == pytest.approx(0.125)
