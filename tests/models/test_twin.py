"""Twins: the same tensors and the same numbers, and hooks that are nobody else's."""

from types import MethodType

import torch
from torch import nn

from whence.models.twin import make_twin


class Odd(nn.Module):
    """Layers in a list and a table beside the registered ones, one that is used twice, a method."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.again = self.first
        self.order = [self.first, self.norm]
        self.table = {"second": (self.second, 2)}
        self.noted = []

    def forward(self, rows):
        for layer in self.order:
            rows = layer(rows)
        second, times = self.table["second"]
        return self.last(second(rows) * times)


def last(self, rows):
    return self.again(rows).relu()


def make_odd():
    torch.manual_seed(0)
    network = Odd().eval()
    network.last = MethodType(last, network)
    return network


def listen(network):
    heard = []
    for name, part in network.named_modules():
        part.register_forward_hook(lambda _, __, output, name=name: heard.append((name, output)))
    return heard


def test_hooks_of_a_twin_hear_every_call_and_the_network_has_none():
    network, rows = make_odd(), torch.randn(2, 3)
    wanted = network(rows)
    twin = make_twin(network)
    heard = listen(twin)
    assert torch.equal(twin(rows), wanted)
    assert [name for name, _ in heard] == ["first", "norm", "second", "first", ""]
    assert not any(part._forward_hooks for part in network.modules())
    network(rows)
    assert len(heard) == 5


def test_hooks_that_are_there_are_those_of_the_twin():
    network, rows = make_odd(), torch.randn(2, 3)
    heard = listen(network)
    twin = make_twin(network)
    listen(twin)
    twin(rows)
    assert [name for name, _ in heard] == ["first", "norm", "second", "first", ""]
    assert all(len(part._forward_hooks) == 1 for part in network.modules())


def test_everything_else_is_shared():
    network = make_odd()
    twin = make_twin(network)
    assert twin is not network
    assert twin.again is twin.first is twin.order[0]
    assert twin.noted is network.noted
    for one, other in (
        (network.parameters(), twin.parameters()),
        (network.buffers(), twin.buffers()),
    ):
        assert [id(tensor) for tensor in one] == [id(tensor) for tensor in other]


def test_what_a_twin_is_given_stays_with_it():
    network = make_odd()
    twin = make_twin(network)
    twin.calls, twin.first = 3, nn.Identity()
    assert not hasattr(network, "calls")
    assert isinstance(network.first, nn.Linear)
