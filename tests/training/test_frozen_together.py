"""Two processes that train on the features of a frozen encoder."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.helpers.forked import start_pair
from tests.helpers.frozen_together import work
from whence.encoders import ENCODERS
from whence.runs.kept_features import FEATURES


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return the folder of what two processes left."""
    torch.manual_seed(3)
    place = tmp_path_factory.mktemp("frozen")
    weights, folder = place / "w.safetensors", place / "together"
    save_file(ENCODERS["small_cnn"](channels=1).state_dict(), weights)
    folder.mkdir()
    for process in start_pair(work, folder, str(weights), place=place):
        code, _, errors = process.wait()
        assert code == 0, errors
    return folder


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("what", ["first", "again", "trained", "after"])
def test_both_processes_have_the_same_bits(together, what):
    one, other = (load_file(together / f"{what}-{rank}.safetensors") for rank in (0, 1))
    assert_equal(one, other)


def test_both_read_the_one_file_that_their_leader_wrote(together):
    kept = sorted((together / FEATURES).glob("*.safetensors"))
    assert len(kept) == 2  # of training and validation images, and of test images
    first, again = (load_file(together / f"{start}-1.safetensors") for start in ("first", "again"))
    assert_equal(first, again)
    files = {len(found): found for found in (load_file(path)["features"] for path in kept)}
    assert torch.equal(files[len(again["test"])], again["test"])
