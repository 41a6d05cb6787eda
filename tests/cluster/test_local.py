"""What each worker of this machine sees of it."""

import os

import torch

from whence.cluster.local import list_gpus, share_devices

# workers of this machine ------------------------------------------------------------------------


def test_shares_of_local_workers(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)), raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    shares = share_devices(5, "cuda")
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0", "1", "2", "0", "1"]
    assert {share["OMP_NUM_THREADS"] for share in shares} == {"1"}
    assert share_devices(2, "cpu") == [{"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "3"}] * 2
    assert share_devices(9, "cpu")[8]["OMP_NUM_THREADS"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert share_devices(2, "cuda:1") == [{"CUDA_VISIBLE_DEVICES": "1"}] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-7,5")
    assert (list_gpus(None), list_gpus("cuda:1")) == (["4", "GPU-7", "5"], ["GPU-7"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert list_gpus(None) == []
    assert share_devices(1, None) == [{"CUDA_VISIBLE_DEVICES": ""}]
