"""Tensor files that are damaged or hostile, and files that are none."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file

import whence
from tests.helpers.saved_models import edit, forge, forge_tensors, header, nan, refused
from whence.models.about import BANK, DONE, MODEL
from whence.storage.plain_files import read_json

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
