"""The training images of a run, and what is known of an autoencoder."""

import json

import pytest

from whence.gather.morph_training import check_same_data, describe_quality


def test_which_data_is_the_same(tmp_path):
    run = {"dataset": "a", "train_fingerprint": "1" * 64}
    assert check_same_data(tmp_path, run, tmp_path, dict(run)) is True
    for silent in ({}, None, {"dataset": "a"}):
        assert check_same_data(tmp_path, run, tmp_path, silent) is False
    assert check_same_data(tmp_path, {}, tmp_path, run) is False
    with pytest.raises(ValueError, match=r"trained on b \(22222222\), the run on a \(11111111\)"):
        check_same_data(tmp_path, run, tmp_path, {"dataset": "b", "train_fingerprint": "2" * 64})


def test_what_is_known_of_an_autoencoder(tmp_path):
    command = "The command is: whence train-vae DATA --epochs N"
    assert describe_quality(tmp_path, None) == f"{command}."
    assert describe_quality(tmp_path, {"plan": {}}) == f"{command}."
    made = {"plan": {"epochs": 2}}
    assert describe_quality(tmp_path, made) == f"{command} (it was trained for 2 epochs)."
    test = {"images": 500, "mse": 0.03, "l1": 0.147, "elbo": -21.0}
    (tmp_path / "metrics.json").write_text(json.dumps({"test": test, "train_seconds": 1.5}))
    assert describe_quality(tmp_path, made) == (
        f"{command} (it was trained for 2 epochs, its reconstructions of 500 test images are off "
        "by 14.7%)."
    )
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match="must hold the numbers of a finished training"):
        describe_quality(tmp_path, made)
