"""A model that an older whence saved loads, and answers as it did then.

format_1 was written by the first version that was published: an encoder passed as a module, trained on
300 digits, with 30 of them stored and a calibration; expected.json is what it answered. format_3 has
votes of the time before they divided features by their spread.
"""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import whence
from whence.models.about import FORMAT, read_about

FOLDER = Path(__file__).parent / "format_1"


@pytest.fixture(scope="module")
def expected():
    return json.loads((FOLDER / "expected.json").read_text())


@pytest.fixture(scope="module")
def model():
    return whence.load(
        FOLDER,
        encoder=nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(54, 8),
        ),
    )


@pytest.fixture(scope="module")
def test_images():
    return whence.load_dataset("digits").test


@torch.no_grad()
def test_logits_are_those_of_then(model, test_images, expected):
    assert_close(model(test_images.images[:4]), torch.tensor(expected["logits"]))


def test_answers_are_those_of_then(model, test_images, expected):
    answers = whence.explain(model, test_images.images[:4], draws=3, memory_size=10)
    for answer, wanted in zip(answers, expected["answers"], strict=True):
        assert answer.predicted == wanted["predicted"]
        assert answer.reliance == pytest.approx(wanted["reliance"], abs=1e-5)
        assert answer.error_probability == pytest.approx(wanted["error_probability"], abs=1e-5)
        for item, row in zip(answer.evidence, wanted["evidence"], strict=True):
            index, label, own, weight, similarity, role, source = row
            assert (item.index, item.label, item.predicted) == (index, label, own)
            assert (item.weight, item.similarity) == pytest.approx((weight, similarity), abs=1e-5)
            assert (item.role, item.source) == (role, source)


def test_measures_are_those_of_then(model, test_images, expected):
    found = whence.evaluate(model, test_images, memory_size=10)
    assert found.whole_memory == pytest.approx(expected["accuracy"])
    assert list(found.draws) == pytest.approx(expected["draws"])


def test_saved_again_it_is_of_todays_format(model, test_images, tmp_path):
    whence.save(model, tmp_path / "new")
    assert json.loads((FOLDER / "whence.json").read_text())["format"] == 1
    assert json.loads((tmp_path / "new" / "whence.json").read_text())["format"] == FORMAT
    again = whence.load(tmp_path / "new", encoder=copy.deepcopy(model.encoder))
    with torch.no_grad():
        assert_close(again(test_images.images[:4]), model(test_images.images[:4]), rtol=0, atol=0)
    assert again.calibration == model.calibration


def test_what_it_says_of_itself(model):
    about = read_about(FOLDER)
    assert about["run"] == {"dataset": "digits", "seed": 0}
    assert about["encoder"]["family"] == model.kind.family == "module"


@torch.no_grad()
def test_votes_of_format_3_answer_as_then(test_images):
    folder = FOLDER.parent / "format_3"
    model = whence.load(folder, encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 8)))
    wanted = json.loads((folder / "expected.json").read_text())
    assert_close(model(test_images.images[:4]), torch.tensor(wanted["logits"]))
    assert model.memory_head.spread.tolist() == [1] * 8


def test_votes_of_format_3_load_once_more_when_their_record_was_written_anew(tmp_path):
    shutil.copytree(FOLDER.parent / "format_3", tmp_path / "run")
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    about = read_about(tmp_path / "run")
    assert about["format"] == FORMAT
    (tmp_path / "run" / "whence.json").write_text(json.dumps(about))
    whence.load(tmp_path / "run", encoder=encoder)
    whence.save(whence.load(tmp_path / "run", encoder=encoder), tmp_path / "new")
    assert "absent" not in read_about(tmp_path / "new")
    whence.load(tmp_path / "new", encoder=encoder)


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (None, r"must hold head\.spread \(8,\) float32, it is missing"),
        (["head.mean"], r"must leave absent out, got \['head.mean'\]"),
    ],
)
def test_votes_of_today_hold_their_spread(absent, message, tmp_path):
    shutil.copytree(FOLDER.parent / "format_3", tmp_path / "run")
    about = {**read_about(tmp_path / "run"), "absent": absent}
    (tmp_path / "run" / "whence.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=message):
        whence.load(tmp_path / "run", encoder=nn.Sequential(nn.Flatten(), nn.Linear(64, 8)))
