"""Names of classes and files in every spelling, locale and encoding."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from whence.data.fingerprint import fingerprint
from whence.data.folder import image_folder

COMPOSED, APART = "K\u00e4se", "Ka\u0308se"


def fill(folder, files=("0.png", "1.png")):
    folder.mkdir(parents=True)
    for index, name in enumerate(files):
        Image.new("RGB", (8, 8), (index, len(folder.name), 99)).save(folder / name)


def test_classes_are_the_same_however_their_umlauts_are_written(tmp_path):
    """In a folder that was copied by way of another system; the order of its classes stays, too."""
    for top, learnt, tested in (
        ("one", COMPOSED, COMPOSED),
        ("other", APART, APART),
        ("mixed", COMPOSED, APART),
    ):
        for name in ("A", "Kb"):
            fill(tmp_path / top / "train" / name)
            fill(tmp_path / top / "test" / name)
        for part, name in (("train", learnt), ("test", tested)):
            (tmp_path / top / part / name).mkdir()
            for index in range(2):
                file = tmp_path / top / part / name / f"{index}.png"
                Image.new("RGB", (8, 8), (index, 250, 9)).save(file)
    one, other, mixed = (image_folder(tmp_path / top) for top in ("one", "other", "mixed"))
    assert one.train.class_names == ("A", "Kb", COMPOSED)
    assert other.train.class_names == ("A", "Kb", APART), "names stay as they are"
    for part in ("train", "test"):
        assert len({fingerprint(getattr(dataset, part)) for dataset in (one, other, mixed)}) == 1
    assert mixed.test.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_two_folders_that_look_the_same_are_refused(tmp_path):
    for name in (COMPOSED, APART, "b"):
        fill(tmp_path / name)
    if len(list(tmp_path.iterdir())) == 2:
        pytest.skip("this disk knows them for one")
    with pytest.raises(ValueError, match=r"holds two folders 'K.*se', one with composed char"):
        image_folder(tmp_path)


def test_names_are_read_as_utf8_in_every_locale(tmp_path):
    for name in (COMPOSED, "b"):
        fill(tmp_path / name, ["\u00fc.png", "a.png", "\u65e5.png"])
    code = (
        "import sys, json; from pathlib import Path; from whence.data.folder import image_folder\n"
        "from whence.data.fingerprint import fingerprint\n"
        "found = image_folder(Path(sys.argv[1])); assert sys.getfilesystemencoding() == sys.argv[2]\n"
        "print(json.dumps([fingerprint(found.train), found.train.sources]))"
    )
    ours = image_folder(tmp_path)
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for encoding, more in (("ascii", plain), ("utf-8", {})):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), encoding],
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [fingerprint(ours.train), list(ours.train.sources)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_travel_as_they_are(tmp_path):
    for name in "ab":
        fill(tmp_path / name, ["caf\udce9.png", "1.png", "2.png"])
    dataset = image_folder(tmp_path)
    sources = sorted(dataset.train.sources + dataset.test.sources)
    assert sources == [f"{name}/{file}.png" for name in "ab" for file in ("1", "2", "caf\udce9")]
    assert all((tmp_path / source).exists() for source in sources)
