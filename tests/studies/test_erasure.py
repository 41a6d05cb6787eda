"""The study of erasure as a whole, and what it says of a run of one's own."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.bad_input import write_images
from whence.cli import main
from whence.data.load import load_dataset
from whence.evidence.reread import answer_without, cache, read_whole
from whence.models.load import load_to_answer
from whence.records.images import Dataset
from whence.studies.erasure.evidence import erase_evidence, order_voters
from whence.studies.erasure.own_run import (
    choose_asked,
    count_half,
    erase_encoder,
    erase_stored,
    say_dimensions,
    say_sets_of_run,
)
from whence.studies.erasure.policy import (
    PolicyRecipe,
)
from whence.studies.erasure.study import ErasureSizes, study_erasure
from whence.studies.erasure.words import WordSizes
from whence.studies.parts.request import StudyRequest

TINY_WORDS = WordSizes(1, 3, 12, 2, 4, PolicyRecipe(epochs=1))
TINY = ErasureSizes(40, 3, (60, 12), TINY_WORDS, stored=20, asked=6, largest=2, vote_epochs=3)


# -- the whole study


@pytest.fixture(scope="module")
def small_digits():
    images = load_dataset("digits")
    return Dataset("digits", images.train.take(range(120)), images.test.take(range(30)))


def test_evidence_of_images_is_searched_both_ways(small_digits):
    found = erase_evidence(
        small_digits, stored=20, asked=8, largest=3, most_sets=5000, epochs=20, seed=0
    )
    assert len(found["sizes"]) == len(found["greedy"]) == 8
    for least, size in zip(found["sizes"], found["greedy"], strict=True):
        assert least == 0 or 0 < least <= size
        assert least or size == 0 or size > 3
    for one in found["examples"]:
        gone = [voter["image"] for voter in one["voters"] if voter["gone"]]
        assert gone
        assert one["becomes"] != one["answer"]
    assert order_voters(torch.tensor([0.5, 0.5, 0.0]), (2,)) == [2, 0, 1]


def test_the_whole_study_is_kept_and_read_again(tmp_path, monkeypatch, small_digits):
    monkeypatch.setattr("whence.studies.erasure.study.load_subject", lambda _: small_digits)
    request = StudyRequest(seeds=1, out=tmp_path)
    found = study_erasure(request, TINY)
    assert [row[0] for row in found.rows].count("stored images") == 2
    assert isinstance(found.holds, bool)
    assert [figure.name for figure in found.figures] == [
        "dimensions",
        "layers",
        "words",
        "evidence",
    ]
    assert found.made_with["data"] == "digits"
    for name in ("erase_dimensions", "erase_words", "erase_evidence"):
        monkeypatch.setattr(f"whence.studies.erasure.study.{name}", lambda *_, **__: 1 / 0)
    assert study_erasure(request, TINY) == found
    with pytest.raises(ZeroDivisionError):
        study_erasure(replace(request, seeds=2), TINY)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_networks_are_where_they_were_asked_to_be(monkeypatch, small_digits, first):
    """Each part in turn on a device that holds no numbers, the parts before it left out."""
    monkeypatch.setattr("whence.studies.erasure.study.load_subject", lambda _: small_digits)
    for name in ("erase_dimensions", "erase_words")[:first]:
        monkeypatch.setattr(f"whence.studies.erasure.study.{name}", lambda *_: {})
    with pytest.raises((NotImplementedError, RuntimeError), match="meta tensor"):
        study_erasure(StudyRequest(seeds=1, device="meta"), TINY)


def test_a_table_of_sentences_is_asked_about(tmp_path):
    draw = np.random.default_rng(0)
    stems = [f"{a}{b}{c}" for a in "bcdfgh" for b in "aeiou" for c in "lmnprst"]
    rows = []
    for number in range(260):
        words = draw.choice(stems, 14).tolist()
        rows.append(f"{'good' if words[0][0] < 'e' else 'bad'}\t{' '.join(words)} {number % 3}")
    table = tmp_path / "films.tsv"
    table.write_text("\n".join(rows))
    found = study_erasure(StudyRequest(subject=str(table), seeds=1), TINY)
    assert not any(row[0] == "stored images" for row in found.rows)
    assert [figure.name for figure in found.figures] == ["dimensions", "layers", "words"]
    assert any("how frequent a word is" in one for one in found.sentences)
    assert "word vectors" in found.verdict


# -- a user's own run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("erasure")
    write_images(folder / "photos", "ab", count=10)
    return folder


@pytest.fixture(scope="module", params=["votes", "memory-wrap", "standard"])
def run(request, photos):
    folder = photos / request.param
    command = ["train", str(photos / "photos"), "--device", "cpu", "--epochs", "2", "--out"]
    assert main([*command, str(folder), "--variant", request.param, "--memory-size", "6"]) == 0
    return folder


def test_dimensions_of_a_run_are_left_out_in_images_and_in_the_memory(run, photos):
    model = load_to_answer(run, "cpu")
    images = load_dataset(str(photos / "photos")).test
    found = erase_encoder(model, images)
    assert len(found["importance"]) == model.features
    pixels = images.images
    answers = model.head.decide(model(pixels)) if model.has_memory else model(pixels).argmax(1)
    dimension = int(np.argmax(found["importance"]))
    weight = torch.ones(model.features)
    weight[dimension] = 0
    before = torch.nn.functional.cross_entropy(
        model(pixels).double(), images.labels, reduction="none"
    )
    encoder = model.encoder
    model.encoder = torch.nn.Sequential(encoder, Scale(weight)).eval()
    if model.has_memory:
        model.remember(model.bank.images, model.bank.labels)
    logits = model(pixels)
    without = torch.nn.functional.cross_entropy(logits.double(), images.labels, reduction="none")
    grown = float(((without - before) / before).mean().detach())
    assert found["importance"][dimension] == pytest.approx(grown, rel=0.05, abs=0.01)
    changed = (model.head.decide(logits) != answers).double().mean()
    assert found["changed"][dimension] == float(changed)
    assert found["half"] <= model.features


class Scale(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, features):
        return features * self.weight


def test_a_verdict_on_a_run_is_in_plain_words(run, tmp_path, capsys):
    assert main(["study", "erasure", str(run), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "dimensions of the encoder" in printed
    found = json.loads((tmp_path / "erasure.json").read_text())
    assert found["holds"] is None
    assert {path.name for path in (tmp_path / "erasure-parts").iterdir()} == {
        "dimensions.json",
        "evidence.json",
    }
    if run.name == "standard":
        assert "a standard model has no stored images" in printed
        return
    assert "of the answers would be others without one stored image" in printed
    model = load_to_answer(run, "cpu")
    images = choose_asked(load_dataset(str(run.parent / "photos")).test, None)
    sizes = erase_stored(model, images)["sizes"]
    own = cache(model, images.images, batch_size=8)
    answers = read_whole(own).answers
    alone = 0
    for row in range(len(images)):
        usable = own.scores[row].isfinite().nonzero()
        logits = answer_without(own, torch.full((len(usable),), row), usable, batch_size=64)
        alone += bool((own.head.decide(logits) != answers[row]).any())
    assert alone == sum(size == 1 for size in sizes)
    row = next(row for row in found["rows"] if row["left out"] == "at most 1 stored image")
    assert row["answers changed"] == alone / len(images)


def test_a_network_that_hangs_on_one_dimension_is_told_from_one_that_does_not():
    one = {"importance": [9.0] + [0.1] * 19, "changed": [0.25] + [0.0] * 19, "half": 1}
    assert "at most 25.0% of the answers change; what matters rests on few" in say_dimensions(one)
    many = {"importance": [1.0] * 20, "changed": [0.1] * 20, "half": 10}
    assert "is spread over many of them: half of the importance is in 10" in say_dimensions(many)
    assert say_dimensions({**many, "changed": [0.0] * 20}).startswith("No answer hangs on a single")
    said = say_sets_of_run([1, 2, 0, 5], 8, 4)
    assert said.startswith("12.5% of the answers would be others without one stored image")
    assert said.endswith("37.5% without at most three (for 50.0% not every set was tried).")


def test_half_of_the_importance_is_counted_from_the_largest():
    assert count_half(torch.tensor([-9.0, 2.0, 1.0, 1.0])) == 1
    assert count_half(torch.tensor([1.0, 1.0, 1.0])) == 2


def test_seeds_of_a_run_are_refused(run, capsys):
    assert main(["study", "erasure", str(run), "--seeds", "2"]) == 2
    assert "A run is as it is, whatever the seed; leave out --seeds." in capsys.readouterr().err
