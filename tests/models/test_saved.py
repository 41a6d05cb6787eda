"""Models on disk: what comes back, and what is refused without running or allocating anything."""

import io
import json
import os
import pickle
import shutil
import socket
import struct
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision import models

import whence
from whence.encoders import ENCODERS
from whence.models import saved
from whence.models.saved import read_about, save
from whence.storage.plain_files import read_json

SHAPE = (1, 8, 8)
VARIANTS = ["memory-wrap", "only-memory", "standard"]
MODEL, BANK, DONE = "model.safetensors", "bank.safetensors", "whence.json"


class Own(nn.Module):
    """A user's encoder with a classifier of its own, tied weights and a mode that matters."""

    def __init__(self, width=6, kernel=3):
        super().__init__()
        self.layer = nn.Conv2d(1, width, kernel)
        self.norm = nn.BatchNorm2d(width)
        self.tied = nn.Parameter(self.layer.weight)
        self.fc = nn.Linear(width, 4)

    def forward(self, images):
        features = nn.functional.conv2d(images, self.tied) + self.layer(images)
        return self.fc(nn.functional.dropout(self.norm(features), 0.5, self.training).mean((2, 3)))


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (7, *SHAPE), dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def memory(images):
    return images.flip(-1)[:6]


def make(memory, encoder="small_cnn", variant="memory-wrap", shape=SHAPE, **options):
    """A model whose every number differs from a new one's, in eval mode, with a bank."""
    torch.manual_seed(0)
    model = whence.wrap(encoder, ("ä", "b", "c"), variant, shape, **options)
    model.train()
    for _ in range(2):  # statistics of BatchNorm
        model.encode(memory)
    model.eval()
    if model.has_memory:
        labels, indices = torch.tensor([0, 1, 2, 0, -1, 2]), torch.tensor([9, 3, 5, 40, 1, 2])
        model.remember(memory, labels, indices, [f"ä/{i}.png" for i in range(6)])
    return model


def assert_same_bank(found, expected, *, pixels=True):
    for name in ("features", "indices", "labels", "predicted"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=0)
    assert found.hashes == expected.hashes
    assert found.sources == expected.sources
    if pixels:
        assert_close(found.images, expected.images, rtol=0, atol=0)
    else:
        assert found.images is None


# What comes back


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("classifier", ["mlp", "linear"])
def test_round_trip(images, memory, tmp_path, variant, classifier):
    model = make(memory, variant=variant, classifier=classifier, mean=[0.3], std=[0.2])
    model.save(tmp_path / "new" / "x")
    assert not model.training
    state = torch.random.get_rng_state()
    loaded = whence.load(str(tmp_path / "new" / "x"))
    assert torch.random.get_rng_state().equal(state)
    assert not any(module.training for module in loaded.modules())
    assert loaded.class_names == ("ä", "b", "c")
    assert loaded.image_shape == SHAPE
    assert loaded.variant == variant
    assert loaded.kind == model.kind
    assert_close(loaded.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert_close(loaded(images), model(images), rtol=0, atol=0)
    if variant == "standard":
        assert loaded.bank is None
        assert not (tmp_path / "new" / "x" / BANK).exists()
    else:
        assert_same_bank(loaded.bank, model.bank)
        loaded.checked_bank()
        assert_close(loaded(images, memory), model(images, memory), rtol=0, atol=0)


@pytest.mark.parametrize("similarity", ["l2", "dot"])
def test_similarity_comes_back(images, memory, tmp_path, similarity):
    model = make(memory, similarity=similarity)
    model.save(tmp_path)
    assert_close(whence.load(tmp_path)(images), model(images), rtol=0, atol=0)
    about = read_json(tmp_path / DONE)
    (tmp_path / DONE).write_text(json.dumps({**about, "similarity": "cosine"}))
    assert not whence.load(tmp_path)(images).equal(model(images))


def test_without_pixels(images, memory, tmp_path):
    model = make(memory)
    model.save(tmp_path / "with")
    model.save(tmp_path / "without", pixels=False)
    loaded = whence.load(tmp_path / "without")
    assert_same_bank(loaded.bank, model.bank, pixels=False)
    assert_close(loaded(images), model(images), rtol=0, atol=0)
    secret = memory.numpy().tobytes()
    assert secret in (tmp_path / "with" / BANK).read_bytes()
    assert secret not in (tmp_path / "without" / BANK).read_bytes()


def test_a_bank_of_floats_without_labels_and_sources(images, tmp_path):
    model = make(images[:6]).remember(images[:3] / 255 * 0.77)
    model.save(tmp_path)
    loaded = whence.load(tmp_path)
    assert loaded.bank.images.dtype == torch.float32
    assert loaded.bank.sources is None
    assert loaded.bank.labels.tolist() == [-1, -1, -1]
    assert_same_bank(loaded.bank, model.bank)


def test_without_a_bank(images, memory, tmp_path):
    make(memory).save(tmp_path / "x")  # with one, for the name of the file
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", 3, image_shape=SHAPE)
    model.save(tmp_path / "y")
    loaded = whence.load(tmp_path / "y")
    assert sorted(p.name for p in (tmp_path / "y").iterdir()) == [MODEL, DONE]
    assert loaded.bank is None
    model.eval()
    assert_close(loaded(images, memory), model(images, memory), rtol=0, atol=0)


@pytest.mark.parametrize("drop", ["auto", False])
def test_own_encoder(images, memory, tmp_path, drop):
    """Also one that keeps its classifier, and one with tied weights."""
    model = make(memory, Own(), drop_classifier=drop)
    model.save(tmp_path)
    other = Own()
    loaded = whence.load(tmp_path, encoder=other)
    assert loaded.encoder is other
    assert loaded.kind == model.kind
    assert_close(loaded(images), model(images), rtol=0, atol=0)
    assert_same_bank(loaded.bank, model.bank)
    with pytest.raises(ValueError, match=r"an encoder of its user's own \(Own\); pass that module"):
        whence.load(tmp_path)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Own(width=5), r"must hold encoder.* \(5, 1, 3, 3\) float32, got \(6, 1, 3, 3\) float32; is this"),
        (Own(kernel=2), r"must hold encoder.* \(6, 1, 2, 2\) float32, got"),
        (nn.Sequential(Own()), r"must hold encoder.0.tied \(6, 1, 3, 3\) float32, it is missing; is this"),
        (nn.Flatten(), r"must not hold encoder.layer.bias, which the model does not have; is this"),
        (Own().double(), r"must hold encoder.* float64, got .* float32; is this"),
    ],
    ids=["width", "kernel", "names", "extra", "type"],
)  # fmt: skip
def test_a_wrong_encoder_is_refused(memory, tmp_path, encoder, message):
    make(memory, Own()).save(tmp_path)
    with pytest.raises(ValueError, match=message):
        whence.load(tmp_path, encoder=encoder)


def test_an_encoder_must_be_a_module(memory, tmp_path):
    make(memory, Own()).save(tmp_path)
    with pytest.raises(TypeError, match=r"encoder must be an nn.Module or None, got str"):
        whence.load(tmp_path, encoder="small_cnn")


@pytest.mark.parametrize(
    "encoder",
    [
        "torchvision:shufflenet_v2_x0_5",
        "torchvision:mnasnet0_5",
        "torchvision:regnet_y_400mf",
        "timm:mobilenetv3_small_050",
    ],
)
def test_networks_of_others_are_built_without_download(tmp_path, monkeypatch, encoder):
    def refuse(*_):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(models._api, "load_state_dict_from_url", refuse)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=generator)
    model = make(images, encoder, shape=(3, 32, 32))
    model.save(tmp_path)
    assert_close(whence.load(tmp_path)(images), model(images), rtol=0, atol=0)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_of_ours_is_outlined_without_memory(name):
    with torch.device("meta"), Largest() as largest:
        whence.wrap(ENCODERS[name](1, 32), 3, image_shape=(1, 32, 32), drop_classifier=False)
    assert largest.size < 100


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_come_back(images, memory, tmp_path, dtype):
    model = make(memory).to(dtype).remember(memory)
    model.save(tmp_path)
    loaded = whence.load(tmp_path)
    assert loaded.mean.dtype == loaded.bank.features.dtype == dtype
    assert_close(loaded(images), model(images), rtol=0, atol=0)


def test_device(memory, tmp_path):
    make(memory).save(tmp_path)
    loaded = whence.load(tmp_path, device="meta")
    assert loaded.mean.is_meta
    assert loaded.bank.features.is_meta
    assert whence.load(tmp_path, device=torch.device("cpu")).mean.device.type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_and_back(images, memory, tmp_path):
    model = make(memory)
    model.save(tmp_path / "cpu")
    loaded = whence.load(tmp_path / "cpu", device="cuda")
    assert loaded.bank.features.is_cuda
    assert_close(loaded(images).cpu(), model(images), rtol=1e-3, atol=1e-3)
    loaded.save(tmp_path / "gpu")
    assert_close(whence.load(tmp_path / "gpu")(images), model(images), rtol=0, atol=0)


def test_a_folder_that_moved_and_is_a_link_is_fine(images, memory, tmp_path):
    model = make(memory)
    model.save(tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("b", target_is_directory=True)
    assert_close(whence.load(tmp_path / "c")(images), model(images), rtol=0, atol=0)


# What is not written


def test_nothing_is_written_over(memory, tmp_path):
    model = make(memory)
    for name in (MODEL, BANK, DONE):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
        with pytest.raises(FileExistsError, match=f"already holds {name}; save to another folder"):
            model.save(folder)
        assert [path.read_bytes() for path in folder.iterdir()] == [b"mine"]
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / DONE).symlink_to("nowhere")
    with pytest.raises(FileExistsError, match="already holds"):
        model.save(tmp_path / "link")


def test_a_bank_that_does_not_fit_any_more_is_not_saved(memory, tmp_path):
    model = make(memory)
    with torch.no_grad():
        model.head.classifier[0].bias.add_(1)
    with pytest.raises(RuntimeError, match=r"call model\.remember"):
        model.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_saving_keeps_the_mode(images, memory, tmp_path):
    model = make(memory)
    model.train()
    model.encoder.eval()
    model.save(tmp_path)
    assert model.training
    assert not model.encoder.training
    assert_close(whence.load(tmp_path)(images), model.eval()(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "../x", "a/../../x", "..\\x", "C:\\x", "\\\\host\\x"]
)
def test_sources_outside_the_dataset_are_not_saved(memory, tmp_path, source):
    model = make(memory).remember(memory, sources=["a"] * 5 + [source])
    with pytest.raises(ValueError, match="must name files inside the dataset's folder, got"):
        model.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_strange_but_harmless_sources_come_back(memory, tmp_path):
    names = ("1:1/x.png", "a b/…", "..a/b..", "dd:", "xx:y/z", "\udcff.png")
    make(memory).remember(memory, sources=names).save(tmp_path)
    assert whence.load(tmp_path).bank.sources == names


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_not_saved(memory, tmp_path, value):
    model = make(memory)
    with torch.no_grad():
        model.encoder[0].weight[0, 0, 0, 0] = value
    with pytest.raises(
        ValueError, match=r"model must hold finite numbers, encoder.0.weight has NaN"
    ):
        model.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_could_not_be_read_is_not_saved(memory, tmp_path):
    model = make(memory)
    model.class_names = ("a", "b", 3)
    with pytest.raises(ValueError, match="model must list 2 to 100000 different class names; it"):
        model.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()


# What is refused


@pytest.fixture(scope="module")
def good(memory, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "run"
    make(memory).save(folder)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    return Path(shutil.copytree(good, tmp_path / "run"))


LARGEST = 128 * 128 * 9 * 4
"""Bytes of the largest tensor of the good model."""


class Largest(TorchDispatchMode):
    """Remember the largest tensor that takes memory, in bytes."""

    size = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        results = function(*arguments, **(options or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
                self.size = max(self.size, tensor.numel() * tensor.element_size())
        return results


def refused(folder, message, kind=ValueError):
    """Loading must fail with one short sentence, and take no more memory than a good load."""
    with Largest() as largest, pytest.raises(kind, match=message) as caught:
        whence.load(folder)
    assert largest.size <= LARGEST
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value).strip()
    assert len(str(caught.value)) < 1000
    assert str(folder) in str(caught.value)


def test_the_good_folder_is_good(folder):
    with Largest() as largest:
        whence.load(folder)
    assert largest.size == LARGEST


def edit(folder, **fields):
    """Change fields of whence.json; ... removes one."""
    about = {**read_json(folder / DONE), **fields}
    content = {name: value for name, value in about.items() if value is not ...}
    (folder / DONE).write_text(json.dumps(content))


def forge(folder, name, content):
    """Replace a file and its hash."""
    (folder / name).write_bytes(content)
    hashes = read_json(folder / DONE)["sha256"]
    edit(folder, sha256={**hashes, name: saved.hash_file(folder / name)})


def forge_tensors(folder, name, **changed):
    """Replace tensors of a file and its hash; None removes one."""
    tensors = {**load_file(folder / name), **changed}
    path = folder / "forged"
    save_file({key: value for key, value in tensors.items() if value is not None}, path)
    content = path.read_bytes()
    path.unlink()
    forge(folder, name, content)


def header(content, *, length=None, body=b""):
    """Lay out a safetensors file by hand."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": 2}, r"written by a newer whence \(format 2, this one reads 1\); upgrade"),
        ({"format": 10**30}, "newer"),
        ({"format": "1"}, "must name its format, got '1'; it is damaged"),
        ({"format": True}, "must name its format, got True"),
        ({"format": 1.0}, "must name its format, got 1.0"),
        ({"format": -1}, "must name its format, got -1"),
        ({"format": 0}, "must name its format, got 0"),
        ({"format": None}, "must name its format, got None"),
        ({"format": ...}, "must name its format, got None"),
        ({"classes": []}, "2 to 100000 different class names"),
        ({"classes": ["a"]}, "2 to 100000 different class names"),
        ({"classes": ["a", "a", "b"]}, "2 to 100000 different class names"),
        ({"classes": ["a", 1, "b"]}, "2 to 100000 different class names"),
        ({"classes": [["a"], "b", "c"]}, "2 to 100000 different class names"),
        ({"classes": "abc"}, "2 to 100000 different class names"),
        ({"classes": ...}, "2 to 100000 different class names"),
        ({"classes": [str(i) for i in range(100_001)]}, "2 to 100000 different class names"),
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
        ({"variant": "os:system"}, "variant of memory-wrap, only-memory, standard, got 'os:system'"),
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
        ({"encoder": {"family": "own", "name": "os:system"}}, "pass that module"),
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
        ("own", "evil_module:build", "pass that module"),
        ("module", "evil_module:build", "pass that module"),
        ("whence", "wide_resnet_28_10", "must hold mean"),
        ("torchvision", "vit_h_14", "must hold mean"),
        ("torchvision", "vgg19", "must hold mean"),
    ],
)
def test_a_named_encoder_is_neither_imported_nor_fetched(
    folder, tmp_path, monkeypatch, family, name, message
):
    """Nor is memory taken for a large one before the file is known to hold it."""

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


def test_the_type_of_an_own_encoder_is_not_imported(memory, tmp_path, monkeypatch):
    make(memory, Own()).save(tmp_path / "run")
    (tmp_path / "evil_module.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    edit(
        tmp_path / "run",
        encoder={"family": "own", "name": "evil_module:E", "type": "evil_module.E"},
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


ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize("name", [MODEL, BANK])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is damaged"),
        (b"{}", "it is damaged"),
        (header({}, length=10 * 2**30), r"it is damaged \(header too large\)"),
        (header({}, length=2**64 - 1), "header too large"),
        (header({}, length=30 * 2**20, body=b" " * 31 * 2**20), "header too large"),
        (header({}, length=50), "it is damaged"),
        (header(b"[" * 100_000), "it is damaged"),
        (header({"features": {**ONE, "shape": [2**40], "data_offsets": [0, 2**42]}}), "it is damaged"),
        (header({"features": {**ONE, "shape": [2**40, 2**40, 2**40]}}, body=b"1234"), "it is damaged"),
        (header({"features": {**ONE, "shape": [-1]}}, body=b"1234"), "it is damaged"),
        (header({"features": {**ONE, "dtype": "F8_E4M3"}}, body=b"1"), "it is damaged"),
        (header({"x": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, body=b"1"), "ordinary tensors, x is of type F8_E4M3"),
        (header({"features": ONE}, body=b"1234567"), "it is damaged"),
        (header({"features": ONE, "x": ONE}, body=b"1234"), "it is damaged"),
        (header({"x": ONE}, body=b"\0\0\0\0"), "must hold"),
        (header({"features": {**ONE, "shape": [0, 2**62], "data_offsets": [0, 0]}}), "must hold"),
        (header({"features": {**ONE, "shape": []}}, body=b"1234"), "must hold"),
    ],
    ids=range(17),
)  # fmt: skip
def test_tensor_files_that_are_none(folder, name, content, message):
    forge(folder, name, content)
    refused(folder, message)


@pytest.mark.parametrize("name", [MODEL, BANK])
@pytest.mark.parametrize("part", [0, 7, 100, 0.5, -1])
def test_truncated_files(folder, name, part):
    content = (folder / name).read_bytes()
    cut = int(len(content) * part) if isinstance(part, float) else part
    (folder / name).write_bytes(content[:cut])
    refused(folder, "it is damaged")
    forge(folder, name, content[:cut])
    refused(folder, "it is damaged")


@pytest.mark.parametrize("name", [MODEL, BANK])
def test_one_changed_bit(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    refused(folder, f"{name} must have the hash in {DONE}, it is damaged")


def nan(tensor):
    tensor.view(-1)[-1] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder.0.weight", lambda t: None, r"must hold encoder.0.weight \(32, 1, 3, 3\) float32, it is missing"),
        ("encoder.0.weight", lambda t: t.double(), r"float32, got \(32, 1, 3, 3\) float64"),
        ("encoder.0.weight", lambda t: t.half(), r"float32, got \(32, 1, 3, 3\) float16"),
        ("encoder.0.weight", lambda t: t.int(), r"float32, got \(32, 1, 3, 3\) int32"),
        ("encoder.0.weight", lambda t: t.to(torch.complex64), "complex64"),
        ("encoder.0.weight", lambda t: t.bool(), "bool"),
        ("encoder.0.weight", lambda t: t[:5].clone(), r"got \(5, 1, 3, 3\)"),
        ("encoder.0.weight", lambda t: t.view(32, 9), r"got \(32, 9\)"),
        ("encoder.0.weight", nan, "must hold finite numbers, encoder.0.weight has NaN or infinity"),
        ("encoder.0.weight", lambda t: t / 0, "must hold finite numbers"),
        ("encoder.1.num_batches_tracked", lambda t: t.float(), r"must hold encoder.1.num_batches_tracked \(\) int64"),
        ("encoder.1.running_var", nan, "must hold finite numbers"),
        ("std", lambda t: t * 0, "must hold a positive std"),
        ("std", lambda t: -t, "must hold a positive std"),
        ("mean", nan, "must hold finite numbers"),
        ("extra", lambda _: torch.zeros(3), "must not hold extra, which the model does not have"),
        ("bank", lambda _: torch.zeros(3), "must not hold bank"),
        ("head.classifier.2.bias", lambda t: torch.zeros(4), r"head.classifier.2.bias \(3,\) float32, got \(4,\)"),
    ],
)  # fmt: skip
def test_tensors_of_a_model(folder, name, value, message):
    old = load_file(folder / MODEL).get(name)
    forge_tensors(folder, MODEL, **{name: value(old)})
    refused(folder, message)


def names(*given):
    return torch.frombuffer(bytearray(json.dumps(given).encode()), dtype=torch.uint8)


def text(content):
    return lambda _: torch.frombuffer(bytearray(content), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("features", lambda t: None, "must hold at least one image, got none"),
        ("features", lambda t: t[:0], "must hold at least one image, got none"),
        ("features", lambda t: t[:5].clone(), r"must hold indices \(5,\) int64, got \(6,\)"),
        ("features", lambda t: t[:, :5].clone(), r"features \(6, 128\) float32, got \(6, 5\)"),
        ("features", lambda t: t.long(), r"features \(6, 128\) float32, got \(6, 128\) int64"),
        ("features", nan, "must hold finite numbers, features has NaN"),
        ("indices", lambda t: None, "must hold indices"),
        ("indices", lambda t: t - 2, "must hold indices in 0 to .*, got -1 to 38"),
        ("indices", lambda t: t.float(), r"indices \(6,\) int64, got \(6,\) float32"),
        ("indices", lambda t: t.int(), r"indices \(6,\) int64, got \(6,\) int32"),
        ("labels", lambda t: t + 1, "must hold labels in -1 to 2, got 0 to 3"),
        ("labels", lambda t: t - 1, "must hold labels in -1 to 2, got -2 to 1"),
        ("labels", lambda t: t[None].clone(), r"labels \(6,\) int64, got \(1, 6\)"),
        ("predicted", lambda t: t * 0 + 3, "must hold predicted in 0 to 2, got 3 to 3"),
        ("predicted", lambda t: t * 0 - 1, "must hold predicted in 0 to 2, got -1 to -1"),
        ("predicted", lambda t: t * 0 + 2**62, "must hold predicted in 0 to 2"),
        ("hashes", lambda t: t.float(), r"hashes \(6, 16\) uint8, got \(6, 16\) float32"),
        ("hashes", lambda t: t[:, :15].clone(), r"hashes \(6, 16\) uint8, got \(6, 15\)"),
        ("images", lambda t: t.int(), r"images \(6, 1, 8, 8\) uint8, got \(6, 1, 8, 8\) int32"),
        ("images", lambda t: t.float(), r"must hold images in \[0, 1\]"),
        ("images", lambda t: -t.float() / 255, r"must hold images in \[0, 1\]"),
        ("images", lambda t: nan(t.float() / 255), "must hold finite numbers, images"),
        ("images", lambda t: t.repeat(1, 3, 1, 1), r"images \(6, 1, 8, 8\) uint8, got \(6, 3, 8, 8\)"),
        ("extra", lambda _: torch.zeros(3), "must not hold extra"),
        ("sources", lambda t: t.float(), r"must hold sources \(\d+,\) uint8"),
        ("sources", lambda t: t[None].clone(), r"must hold sources \(1,\) uint8"),
        ("sources", lambda t: torch.tensor(7, dtype=torch.uint8), r"must hold sources \(0,\) uint8"),
        ("sources", lambda _: torch.zeros(6 * 4096 + 1, dtype=torch.uint8), "sources in 4096 bytes each"),
        ("sources", text(b"\xff"), "must hold its sources as JSON"),
        ("sources", text(b"[" * 20_000), "must hold its sources as JSON"),
        ("sources", text(b"9" * 5_000), "must hold its sources as JSON"),
        ("sources", lambda _: names("a", "b"), "must name 6 sources"),
        ("sources", text(b'{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}'), "must name 6 sources"),
        ("sources", lambda _: names(*"abcde", 3), "must name 6 sources"),
        ("sources", lambda _: names(*"abcde", "/etc/passwd"), "inside the dataset's folder, got '/etc/passwd'"),
        ("sources", lambda _: names(*"abcde", "a/../../../etc"), "inside the dataset's folder"),
        ("sources", lambda _: names(*"abcde", ".."), "inside the dataset's folder"),
        ("sources", lambda _: names(*"abcde", "..\\..\\x"), "inside the dataset's folder"),
        ("sources", lambda _: names(*"abcde", "C:/x"), "inside the dataset's folder"),
        ("sources", lambda _: names(*"abcde", "c:x"), "inside the dataset's folder"),
        ("sources", lambda _: names(*"abcde", "\\\\host\\x"), "inside the dataset's folder"),
    ],
)  # fmt: skip
def test_tensors_of_a_bank(folder, name, value, message):
    old = load_file(folder / BANK).get(name)
    forge_tensors(folder, BANK, **{name: value(old)})
    refused(folder, message)


@pytest.mark.parametrize("name", [MODEL, BANK, DONE])
def test_links_are_refused(folder, tmp_path, name):
    outside = tmp_path / "outside"
    shutil.move(folder / name, outside)
    (folder / name).symlink_to(outside)
    refused(folder, "must be a plain file, it is a link")
    (folder / name).unlink()
    (folder / name).symlink_to("/etc/passwd")
    refused(folder, "must be a plain file, it is a link")


@pytest.mark.parametrize("name", [MODEL, BANK, DONE])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_folders_and_pipes_are_no_files(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, "must be a plain file, it is not")
    (folder / name).rmdir()
    os.mkfifo(folder / name)  # reading it would wait for ever
    refused(folder, "must be a plain file, it is not")


@pytest.mark.parametrize(
    ("name", "message"),
    [(MODEL, f"{MODEL} is missing"), (BANK, f"{BANK} is missing"), (DONE, "No finished run in")],
)
def test_missing_files(folder, name, message):
    (folder / name).unlink()
    refused(folder, message, FileNotFoundError)


def test_no_folder(tmp_path, folder):
    refused(tmp_path / "none", "No run in .*; start one with: whence train", FileNotFoundError)
    refused(folder / MODEL, "No run in", FileNotFoundError)


def test_a_bank_without_a_model_is_refused(folder):
    hashes = read_json(folder / DONE)["sha256"]
    edit(folder, sha256={BANK: hashes[BANK]})
    refused(folder, "kept its numbers but not its model")


def test_a_bank_beside_the_hashes_is_not_read(folder):
    hashes = read_json(folder / DONE)["sha256"]
    edit(folder, sha256={MODEL: hashes[MODEL]})
    (folder / BANK).write_bytes(b"whatever")
    assert whence.load(folder).bank is None


def test_what_the_record_says(memory, tmp_path):
    save(make(memory), tmp_path, about={"seed": 3})
    about = read_about(tmp_path)
    assert about["run"] == {"seed": 3}
    assert about["format"] == 1
    assert about["parameters"] == sum(p.numel() for p in make(memory).parameters())
    assert about["features"] == 128
    assert about["encoder"] == {"family": "whence", "name": "small_cnn", "type": "Sequential"}
    assert about["versions"]["torch"] == torch.__version__.split("+")[0]
    assert about["sha256"].keys() == {MODEL, BANK}
    assert about["mean"] == [0.0]
    assert about["std"] == [1.0]
