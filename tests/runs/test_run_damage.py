"""Run folders on full disks, with links and damaged files in them."""

import errno
import os
import warnings
from pathlib import Path

import pytest

from tests.helpers.run_folders import (
    NAMES,
    SETTINGS,
    STEPS,
    FullDisk,
    assert_nothing_half_written,
    assert_same_result,
    names_in,
)
from whence.cli import main
from whence.runs.run import run


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 35, 36, 38, 40, 42, 44, 45])
def test_no_space_left(digits, tmp_path, monkeypatch, finished, fails_at):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(os.fsync, fails_at))
        with pytest.raises(OSError, match="No space left") as caught:
            run(SETTINGS, tmp_path / "a", digits, checkpoint_seconds=0)
    assert caught.value.errno == errno.ENOSPC
    assert_nothing_half_written(tmp_path / "a")
    assert (tmp_path / "a" / "whence.json").exists() == (fails_at == 45)  # the last of all
    run(SETTINGS, tmp_path / "a", digits, resume=True)
    assert_same_result(tmp_path / "a", finished)


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, capsys):
    arguments = ["train", "digits", "--train-examples", "30", "--epochs", "1", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", FullDisk(os.fsync, 8))
        assert main([*arguments, "--out", str(tmp_path / "a")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("whence: No space left on the disk of ")
    assert str(tmp_path / "a") in error
    assert error.count("\n") == 1
    assert_nothing_half_written(tmp_path / "a")
    assert main([*arguments, "--out", str(tmp_path / "a"), "--resume"]) == 0


def test_the_log_is_flushed_before_the_checkpoint_that_counts_on_it(digits, tmp_path, monkeypatch):
    """After a power cut the log must hold every epoch that the newest checkpoint has seen."""
    flushed = []

    def note(handle):
        link = Path(f"/proc/self/fd/{handle}")
        flushed.append(link.readlink().name if link.is_symlink() else "")

    monkeypatch.setattr(os, "fsync", note)
    run(SETTINGS, tmp_path / "a", digits, checkpoint_seconds=0)
    if not any(flushed):
        pytest.skip("needs /proc")
    written = [i for i, name in enumerate(flushed) if name.startswith(".checkpoint-")]
    assert len(written) == 2 * STEPS
    for index in written[::2]:
        assert flushed[index - 1] == "log.jsonl"
    last = len(flushed) - 1
    order = [
        ".metrics.json",
        ".images.safetensors",
        ".model.safetensors",
        ".bank.safetensors",
        ".whence.json",
    ]
    ends = [max(i for i, name in enumerate(flushed) if name.startswith(o)) for o in order]
    assert ends == sorted(ends)
    assert flushed[last] == "a"  # the folder, after the mark took its name


@pytest.mark.parametrize("name", ["settings.toml", "log.jsonl", ".lock", "checkpoint-4.json"])
def test_links_lead_nowhere(interrupted, digits, tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text("mine\n" * 3)
    (interrupted / name).unlink()
    (interrupted / name).symlink_to(outside)
    if name == "checkpoint-4.json":
        run(SETTINGS, interrupted, digits, resume=True)
        assert names_in(interrupted) == NAMES
    else:
        with pytest.raises(
            (ValueError, FileExistsError), match="must be a plain file, it is a link"
        ):
            run(SETTINGS, interrupted, digits, resume=True)
    assert outside.read_text() == "mine\n" * 3


def test_a_link_to_nothing_makes_no_file(interrupted, digits, tmp_path):
    (interrupted / "log.jsonl").unlink()
    (interrupted / "log.jsonl").symlink_to(tmp_path / "new")
    with pytest.raises(ValueError, match="it is a link"):
        run(SETTINGS, interrupted, digits, resume=True)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"data = ", "must be TOML, it is damaged"),
        (b"\xff", "must be TOML, it is damaged"),
        (b"data = " + b"[" * 100_000, "must be TOML, it is damaged"),
        (b"#" * 17 * 2**20, "must have at most 16777216 bytes"),
        (b"", "must name its data"),
        (b"data = 'digits'\nevil = 'os:system'", "unknown setting 'evil'"),
        (b"data = 'digits'\nepochs = 'many'", "epochs must be a whole number"),
    ],
    ids=range(7),
)
def test_damaged_settings(interrupted, digits, content, message):
    (interrupted / "settings.toml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        run(SETTINGS, interrupted, digits, resume=True)


def test_a_log_that_was_cut_or_went_on(interrupted, digits, finished):
    with (interrupted / "log.jsonl").open("a") as log:
        log.write('{"epoch": 2, "loss": 1.0}\n{"epo')
    run(SETTINGS, interrupted, digits, resume=True)
    assert_same_result(interrupted, finished)


def test_warnings_are_errors_here():
    """Else the tests above would not notice a warning."""
    with pytest.raises(UserWarning):
        warnings.warn("x", UserWarning, stacklevel=1)
