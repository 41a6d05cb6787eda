"""The test images that are worth a look."""

import pytest
import torch

from whence.gather.overview import (
    choose_hard,
)
from whence.records.overview import Hard

PREDICTED = torch.tensor([0, 1, 2, 0, 1, 2, 0])


TRUTHS = torch.tensor([0, 0, 2, 2, 1, 0, 0])  # 1, 3 and 5 are wrong


UNSURE = torch.tensor([0.1, 0.3, 0.6, 0.2, 0.5, 0.3, 0.6]).double()


def places(hard, errors=None):
    found = choose_hard(PREDICTED, TRUTHS, 1 - UNSURE, UNSURE, errors, hard=hard)
    return [(one.place, one.kind) for one in found]


def test_hard_cases_are_sure_errors_and_then_the_most_doubtful():
    assert places(4) == [(3, "sure"), (1, "sure"), (2, "doubtful"), (6, "doubtful")]
    assert places(3) == [(3, "sure"), (1, "sure"), (2, "doubtful")]
    assert places(1) == [(3, "sure")]
    assert places(0) == []
    assert [place for place, _ in places(99)] == [3, 1, 5, 2, 6, 4, 0]
    errors = torch.tensor([0.9, 0.8, 0.1, 0.7, 0.6, 0.2, 0.0])
    assert places(4, errors)[2:] == [(0, "doubtful"), (4, "doubtful")]  # 1 and 3 are there already
    assert len(places(7, errors)) == len(set(places(7, errors))) == 7
    with pytest.raises(ValueError, match=r"hard must be at least 0, got -1\."):
        places(-1)
    with pytest.raises(ValueError, match=r"errors must be \(N\) with N=7, got shape \(6,\)"):
        places(4, errors[1:])


def test_fewer_errors_leave_room_for_doubtful_answers():
    found = choose_hard(PREDICTED, PREDICTED, 1 - UNSURE, UNSURE, None, hard=3)
    assert [one.kind for one in found] == ["doubtful"] * 3
    one = choose_hard(PREDICTED, TRUTHS, UNSURE / 5, UNSURE, UNSURE / 2, hard=1)[0]
    assert one == Hard(3, "sure", 2, 0, pytest.approx(0.04), pytest.approx(0.1))
    assert found[0].error_probability is None
