"""Files are whole or absent, on full disks too and where somebody planted links."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from whence.storage.plain_files import read_json
from whence.storage.whole_files import MARK, is_leftover, write_json, write_whole


def test_pieces_are_written_one_after_another(tmp_path):
    write_whole(tmp_path / "file", b"one ", memoryview(b"two "), b"", b"three")
    assert (tmp_path / "file").read_bytes() == b"one two three"


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})

    class Half:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *given: Half(opened(*given)))
        with pytest.raises(OSError, match="No space left") as caught:
            write_json(path, {"a": 2})
    assert caught.value.filename == str(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]
    assert read_json(path) == {"a": 1}


def test_a_disk_that_cannot_flush_folders(tmp_path, monkeypatch):
    """Some network disks refuse to flush a folder; the file is whole all the same."""
    flush = os.fsync

    def refuse_folders(handle):
        if os.fstat(handle).st_mode & 0o040000:
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_json(tmp_path / "b" / "a.json", {"a": 1})
    assert read_json(tmp_path / "b" / "a.json") == {"a": 1}


def test_planted_temporary_links_are_not_written_through(tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / f".a.json.{MARK}.{os.getpid()}.tmp").symlink_to(outside)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # as if it came in between
        with pytest.raises(FileExistsError):
            write_json(tmp_path / "a.json", {"a": 1})
    write_json(tmp_path / "a.json", {"a": 1})
    assert outside.read_text() == "mine"
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "outside"]


KILLED = """
import os, signal, sys
from pathlib import Path
from whence.storage.whole_files import write_whole

os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), b"half")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_writer_left_goes_with_the_next_file_in_its_folder(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path / "page.html")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".page.html.")
    assert is_leftover(left)  # so that a run folder with nothing else counts as empty
    write_whole(tmp_path / "another.json", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["another.json"]


def test_files_of_running_writers_of_other_machines_and_of_others_stay(tmp_path):
    names = {
        f".a.json.{MARK}.{os.getppid()}.tmp",
        f".a.json.whence-00000000.{2**22 + 1}.tmp",  # no process here has such a number
        f".a.json.{2**22 + 1}.tmp",
        f"a.json.{MARK}.{2**22 + 1}.tmp",
        f".{MARK}.x.tmp",
    }
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / f".b.json.{MARK}.{2**22 + 1}.tmp").write_text("left")
    write_whole(tmp_path / "c", b"")
    assert {path.name for path in tmp_path.iterdir()} == {*names, "c"}


def test_a_failure_names_the_file_and_not_its_temporary_name(tmp_path):
    path = tmp_path / ("a" * 250)  # the temporary name is too long
    with pytest.raises(OSError, match="too long") as caught:
        write_whole(path, b"")
    assert caught.value.filename == str(path)
