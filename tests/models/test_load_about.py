"""A whence.json that is damaged or hostile: nothing runs, nothing is fetched or allocated."""

import io
import pickle
import socket
import sys

import pytest
import torch

import whence
from tests.helpers.saved_models import LARGEST, Largest, Own, edit, forge, make, refused
from whence.models.about import BANK, DONE, FORMAT, MODEL, read_about
from whence.storage.plain_files import read_json


def test_the_good_folder_is_good(folder):
    with Largest() as largest:
        whence.load(folder)
    assert largest.size == LARGEST


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 5}, r"written by a newer whence \(format 5, this one reads 4\); upgrade"),
        ({"format": 10**30}, "newer"),
        ({"format": "1"}, "must name its format, got '1'; it is damaged"),
        ({"format": True}, "must name its format, got True"),
        ({"format": 1.0}, "must name its format, got 1.0"),
        ({"format": -1}, "must name its format, got -1"),
        ({"format": 0}, "must name its format, got 0"),
        ({"format": None}, "must name its format, got None"),
        ({"format": ...}, "must name its format, got None"),
        ({"classes": []}, "list classes that are 2 to 100000 different names, got 0"),
        ({"classes": ["a"]}, "2 to 100000 different names, got 1"),
        ({"classes": ["a", "a", "b"]}, "2 to 100000 different names, got 'a' twice"),
        ({"classes": ["a", 1, "b"]}, "named by text, got 1 for class 1"),
        ({"classes": [["a"], "b", "c"]}, "named by text, got .* for class 0"),
        ({"classes": "abc"}, "must list its classes"),
        ({"classes": ...}, "must list its classes"),
        ({"classes": [str(i) for i in range(100_001)]}, "2 to 100000 different names, got 100001"),
        ({"classes": ["a", "b"]}, r"must hold head.classifier.2.weight \(2, 512\) float32, got \(3, 512\)"),
        ({"classes": [str(i) for i in range(100_000)]}, r"\(100000, 512\) float32, got"),
        ({"image_shape": [1, 8]}, r"image_shape as \[C, H, W\], got \[1, 8\]"),
        ({"image_shape": {"C": 1}}, "image_shape as"),
        ({"image_shape": ...}, "image_shape as"),
        ({"image_shape": [1, 8, "8"]}, "image_shape W in 1 to 4096, got '8'"),
        ({"image_shape": [True, 8, 8]}, "image_shape C in 1 to 1024, got True"),
        ({"image_shape": [0, 8, 8]}, "image_shape C in 1 to 1024, got 0"),
        ({"image_shape": [1, -8, 8]}, "image_shape H in 1 to 4096, got -8"),
        ({"image_shape": [10**9, 8, 8]}, "image_shape C in 1 to 1024, got 1000000000"),
        ({"image_shape": [1, 10**9, 8]}, "image_shape H in 1 to 4096"),
        ({"image_shape": [1, 4096, 4096]}, r"bank.safetensors must hold images \(6, 1, 4096, 4096\) uint8, got"),
        ({"image_shape": [1024, 8, 8]}, r"must hold mean \(1024, 1, 1\) float32, got"),
        ({"variant": "os:system"}, "variant of votes, memory-wrap, only-memory, standard, got 'os:system'"),
        ({"variant": ["memory-wrap"]}, "variant of"),
        ({"variant": "only-memory"}, r"head.classifier.0.weight \(256, 128\) float32, got \(512, 256\)"),
        ({"variant": "standard", "similarity": None}, "must name the files model.safetensors, got"),
        ({"similarity": "evil"}, "similarity of cosine, l2, dot, got 'evil'"),
        ({"similarity": None}, "similarity of cosine"),
        ({"similarity": {}}, "similarity of cosine"),
        ({"classifier": "os.system"}, "classifier of mlp, linear, got 'os.system'"),
        ({"classifier": ...}, "classifier of mlp, linear, got None"),
        ({"dtype": "float8_e5m2"}, "dtype of float64, float32, float16, bfloat16, got 'float8_e5m2'"),
        ({"dtype": "float64"}, "float64, got .* float32"),
        ({"dtype": ...}, "dtype of"),
        ({"features": "128"}, "features in 1 to 1048576, got '128'"),
        ({"features": True}, "features in 1 to 1048576, got True"),
        ({"features": 0}, "features in 1 to"),
        ({"features": 2**20}, r"head.classifier.0.weight \(4194304, 2097152\) float32, got \(512, 256\)"),
        ({"features": 2**21}, "features in 1 to"),
        ({"encoder": None}, "must describe the encoder"),
        ({"encoder": "small_cnn"}, "must describe the encoder"),
        ({"encoder": {}}, "must describe the encoder"),
        ({"encoder": {"family": "whence"}}, "must describe the encoder"),
        ({"encoder": {"family": "whence", "name": ["small_cnn"]}}, "must describe the encoder"),
        ({"encoder": {"name": "small_cnn"}}, "encoder of whence, torchvision, timm, module, got None"),
        ({"encoder": {"family": ["module"], "name": "x"}}, "encoder of whence, torchvision, timm, module"),
        ({"encoder": {"family": "os", "name": "system"}}, "encoder of whence, torchvision, timm, module, got 'os'"),
        ({"encoder": {"family": "module", "name": "os:system"}}, "pass that module"),
        ({"sha256": ...}, "must give the hashes"),
        ({"sha256": ["x"]}, "must give the hashes"),
        ({"sha256": {MODEL: 3}}, "must give the hashes"),
        ({"sha256": {MODEL: "0" * 64}}, f"{MODEL} must have the hash in {DONE}, it is damaged"),
        ({"sha256": {MODEL: ""}}, "must have the hash"),
        ({"sha256": {}}, r"kept its numbers but not its model \(keep_model = false\)"),
        ({"sha256": {"/etc/passwd": "x"}}, "must name the files"),
        ({"sha256": {"../x": "x"}}, "must name the files"),
        ({"run": ...}, "must have an object run, got None"),
        ({"run": [1]}, r"must have an object run, got \[1\]"),
        ({"versions": ...}, "must have an object versions"),
    ],
)  # fmt: skip
def test_fields_of_whence_json(folder, fields, message):
    edit(folder, **fields)
    refused(folder, message)


@pytest.mark.parametrize(
    ("family", "name", "message"),
    [
        ("whence", "timm:hf-hub:evil/x", "must name an encoder of ours"),
        ("timm", "hf-hub:evil/x", "Unknown timm"),
        ("timm", "local-dir:/tmp", "Unknown timm"),
        ("torchvision", "evil_module:build", "Unknown torchvision"),
        ("torchvision", "os.system", "Unknown torchvision"),
        ("whence", "evil_module:build", "must name an encoder of ours"),
        ("whence", "../evil_module", "Unknown encoder"),
        ("whence", "torchvision:resnet18", "must name an encoder of ours"),
        ("module", "evil_module:build", "pass that module"),
        ("whence", "wide_resnet_28_10", "must hold mean"),
        ("torchvision", "vit_h_14", "must hold mean"),
        ("torchvision", "vgg19", "must hold mean"),
    ],
)
def test_a_named_encoder_is_neither_imported_nor_fetched(
    folder, tmp_path, monkeypatch, family, name, message
):
    """Nor is stored_images taken for a large one before the file is known to hold it."""

    def refuse(*_):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(socket, "socket", refuse)
    (tmp_path / "evil_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    edit(folder, image_shape=[3, 224, 224])
    edit(folder, encoder={"family": family, "name": name, "type": "evil_module.build"})
    with Largest() as largest, pytest.raises(ValueError, match=message):
        whence.load(folder)
    assert largest.size < 10_000
    assert "evil_module" not in sys.modules
    assert not (tmp_path / "ran").exists()


def test_the_type_of_an_own_encoder_is_not_imported(stored_images, tmp_path, monkeypatch):
    whence.save(make(stored_images, Own()), tmp_path / "run")
    (tmp_path / "evil_module.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    edit(
        tmp_path / "run",
        encoder={"family": "module", "name": "evil_module:E", "type": "evil_module.E"},
    )
    whence.load(tmp_path / "run", encoder=Own())
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("name", [MODEL, BANK, DONE])
def test_a_pickle_is_not_unpickled(folder, tmp_path, name):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return open, (str(ran), "w")

    plain, archive = pickle.dumps(Evil()), io.BytesIO()
    torch.save({"a": Evil()}, archive)
    pickle.loads(plain).close()
    assert ran.exists()  # it would work
    ran.unlink()
    for content in (plain, archive.getvalue()):
        if name == DONE:
            (folder / DONE).write_bytes(content)
        else:
            forge(folder, name, content)
        refused(folder, "it is damaged")
        assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be JSON, it is damaged"),
        (b"\xff\xfe\x00", "must be JSON, it is damaged"),
        (b"[]", "must hold a JSON object, got a list"),
        (b"3", "must hold a JSON object, got a int"),
        (b"null", "must hold a JSON object, got a NoneType"),
        (b"[" * 1_000_000, "must be JSON, it is damaged"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "must be JSON, it is damaged"),
        (b'{"format": 1, "format": 1}', "a key comes twice"),
        (b'{"format": NaN}', "NaN is not JSON"),
        (b'{"format": -Infinity}', "-Infinity is not JSON"),
        (b'{"format": ' + b"9" * 5000 + b"}", "must be JSON, it is damaged"),
        (b'{"format": 1}' + b" " * 20 * 2**20, "must have at most 16777216 bytes"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else "",
)
def test_json_that_is_none(folder, content, message):
    (folder / DONE).write_bytes(content)
    refused(folder, message)


def test_an_older_word_is_understood_in_an_older_format_alone(stored_images, tmp_path):
    whence.save(make(stored_images, Own()), tmp_path / "run")
    old = {**read_json(tmp_path / "run" / DONE)["encoder"], "family": "own"}
    edit(tmp_path / "run", encoder=old)
    with pytest.raises(ValueError, match=r"must have an encoder of whence, .* got 'own'"):
        whence.load(tmp_path / "run", encoder=Own())
    edit(tmp_path / "run", format=1)
    assert whence.load(tmp_path / "run", encoder=Own()).kind.family == "module"
    assert read_about(tmp_path / "run")["format"] == FORMAT
