"""Sharing a model: a folder stands in for the Hub, and nothing but safetensors and JSON is read."""

import json
import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest
import torch
import yaml
from huggingface_hub import constants, errors
from PIL import Image

import whence
from tests.helpers.deciding import make
from tests.helpers.deploying import give_calibration, noise
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.sharing.card import escape_markdown
from whence.sharing.push import read_measures
from whence.storage.plain_files import hash_file


class FolderHub:
    """Keeps repositories in a folder."""

    def __init__(self, root):
        self.root = root
        self.made, self.asked = [], []

    def create_repo(self, name, *, private, exist_ok):
        self.made.append((name, private, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)

    def snapshot_download(self, name, *, revision, local_dir, allow_patterns):
        self.asked.append((name, revision))
        if not (self.root / name).is_dir():
            raise make_error(errors.RepositoryNotFoundError)
        Path(local_dir).mkdir(parents=True, exist_ok=True)
        for path in (self.root / name).iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, local_dir)


def make_error(kind):
    """An error of the Hub, whose constructor wants a response."""
    error = kind.__new__(kind)
    Exception.__init__(error, "404 Client Error")
    return error


@pytest.fixture
def hub(tmp_path, monkeypatch):
    found = FolderHub(tmp_path / "hub")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token: found)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", found.snapshot_download)
    return found


@pytest.fixture
def model():
    found = whence.wrap(
        "small_cnn", ["ant", "bee", "<cow>"], variant="votes", image_shape=(1, 8, 8)
    ).eval()
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8)
    found.remember(images, torch.arange(12) % 3, sources=[f"a/{n}.png" for n in range(12)])
    return give_calibration(found, ("nearest",))


def same_answers(one, other, images):
    for a, b in zip(whence.predict(one, images), whence.predict(other, images), strict=True):
        assert torch.equal(a.probabilities, b.probabilities)
        assert [(e.index, e.weight, e.source) for e in a.evidence] == [
            (e.index, e.weight, e.source) for e in b.evidence
        ]
        assert a.error_probability == b.error_probability


def test_what_is_pushed_loads_and_answers_alike(hub, model):
    assert whence.push(model, "me/ants") == "hf://me/ants"
    assert hub.made == [("me/ants", True, True)]
    place = hub.root / "me" / "ants"
    names = {path.name for path in place.iterdir()}
    assert names == {
        "README.md",
        "bank.safetensors",
        "evidence.png",
        "model.safetensors",
        "whence.json",
    }
    same_answers(model, whence.load("hf://me/ants"), noise(model, 5))
    (place / "evil.pkl").write_bytes(b"never read")
    whence.load("hf://me/ants@v1.0")
    assert hub.asked[-1] == ("me/ants", "v1.0")
    cached = Path(constants.HF_HUB_CACHE) / "whence"
    assert {path.name for path in cached.iterdir()} == {"me--ants", "me--ants@v1.0"}
    assert not list(cached.rglob("*.pkl"))


def test_the_card_warns_and_names_hashes(hub, model):
    whence.push(model, "me/ants", private=False, measures={"accuracy": "91 | %"})
    assert hub.made[0][1] is False
    place = hub.root / "me" / "ants"
    card = (place / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["library_name"] == "whence"
    assert head["pipeline_tag"] == "image-classification"
    assert "**This repository holds training images.** Its memory keeps the pixels of 12" in card
    assert "No file is a pickle." in card
    assert 'whence.load("hf://me/ants")' in card
    assert "| accuracy | 91 \\| % |" in card
    assert "&lt;cow&gt;" in card
    assert "carry a calibrated probability" in card
    for name in ("whence.json", "model.safetensors", "bank.safetensors"):
        assert f"| `{name}` | `{hash_file(place / name)}` |" in card
    with Image.open(place / "evidence.png") as picture:
        assert picture.size[0] > 300


def test_the_card_says_where_the_answers_are_by_another_rule_than_the_measures(model, tmp_path):
    (tmp_path / "metrics.json").write_text('{"test": {"accuracy": 0.9, "images": 7}}')
    assert read_measures(tmp_path, model) == {"accuracy, 7 test images": "90.0%"}
    found = ClassMeasures("ant", images=4, right=4, answers=8)
    model.decision = Decision(0, 0.3, 12, found, target_recall=0.9)
    changed = {"accuracy, 7 test images, before its threshold was changed": "90.0%"}
    assert read_measures(tmp_path, model) == changed
    told = {"class": "ant", "threshold": 0.3, "target_recall": 0.9, "cost": None}
    for rule, words in (
        (told, {"accuracy, 7 test images": "90.0%"}),
        ({**told, "class": "bee"}, changed),
        ({**told, "target_recall": 0.8}, changed),
    ):
        test = {"accuracy": 0.9, "images": 7, "decision": rule}
        (tmp_path / "metrics.json").write_text(json.dumps({"test": test}))
        assert read_measures(tmp_path, model) == words


def test_without_pixels_the_card_says_what_is_left(hub, model):
    whence.push(model, "me/bare", pixels=False)
    place = hub.root / "me" / "bare"
    assert not (place / "evidence.png").exists()
    card = (place / "README.md").read_text()
    assert "features of 12 of them" in card
    assert "evidence.png" not in card
    assert whence.load("hf://me/bare").bank.images is None


def test_a_model_of_ones_own_encoder_and_one_without_memory(hub):
    own = make("standard")
    whence.push(own, "me/own")
    card = (hub.root / "me" / "own" / "README.md").read_text()
    assert "It has no memory and holds no training images." in card
    assert 'whence.load("hf://me/own", encoder=my_encoder)' in card
    assert "Nothing was measured when it was shared." in card
    loaded = whence.load("hf://me/own", encoder=own.encoder)
    same_answers(own, loaded, noise(own, 3))


def test_the_folder_of_a_run_brings_its_measures(hub, measured_run):
    whence.push(measured_run, "me/digits")
    card = (hub.root / "me" / "digits" / "README.md").read_text()
    assert "| accuracy, 60 test images | " in card
    assert "balanced accuracy, 60 test images" in card
    assert not (hub.root / "me" / "digits" / "settings.toml").exists()  # it names folders


@pytest.mark.parametrize("name", ["ants", "a/b/c", "../x", "me/..", "me/a b", "", "/x", "me--x/a"])
def test_names_that_are_none_are_refused(hub, model, name):
    with pytest.raises(ValueError, match="A name on the Hub must be OWNER/NAME"):
        whence.push(model, name)
    with pytest.raises(ValueError, match="A name on the Hub must be OWNER/NAME"):
        whence.load(f"hf://{name}")
    assert hub.made == []


@pytest.mark.parametrize("revision", ["", "..", "a/../b", "a b"])
def test_revisions_that_are_none_are_refused(hub, revision):
    with pytest.raises(ValueError, match="revision must be a branch, tag or commit"):
        whence.load(f"hf://me/ants@{revision}")


def test_what_is_not_on_the_hub_is_said(hub, model, monkeypatch):
    with pytest.raises(FileNotFoundError, match="hf://me/none is not on the Hub, or not for this"):
        whence.load("hf://me/none")

    def refuse(*_, **__):
        raise make_error(errors.HfHubHTTPError)

    hub.create_repo = refuse
    with pytest.raises(ConnectionError, match=r"did not take me/ants \(404 Client Error\)"):
        whence.push(model, "me/ants", pixels=False)

    def lose(*_, **__):
        raise errors.HTTPError("no way there")  # of the client's own library, no OSError

    hub.create_repo = lose
    with pytest.raises(ConnectionError, match=r"did not take me/ants \(no way there\)"):
        whence.push(model, "me/ants", pixels=False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lose)
    with pytest.raises(ConnectionError, match=r"ants could not be fetched \(no way there\)"):
        whence.load("hf://me/ants")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ConnectionError, match="hf://me/ants could not be fetched"):
        whence.load("hf://me/ants")


def test_a_damaged_file_from_the_hub_is_refused(hub, model):
    whence.push(model, "me/ants", pixels=False)
    path = hub.root / "me" / "ants" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must have the hash in whence"):
        whence.load("hf://me/ants")


def test_without_the_client_the_extra_is_named(hub, model, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr("whence.storage.hub.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'whence\[hub\]'"):
        whence.push(model, "me/ants")


def test_markdown_is_escaped():
    assert escape_markdown("*a*\n`b` [c]") == r"\*a\* \`b\` \[c\]"


def test_a_process_that_imported_nothing_of_the_client_loads(tmp_path):
    """Its modules are attributes only once they are imported, as this file does."""
    program = (
        "import whence\n"
        "try: whence.load('hf://nobody/none-such')\n"
        "except (ConnectionError, FileNotFoundError) as error: print(error)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith("hf://nobody/none-such "), found.stderr
