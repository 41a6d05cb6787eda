"""The records of ways refuse what does not fit."""

import re
from dataclasses import replace

import pytest
import torch

from tests.helpers.morph_pages import along, mask, morph, picture


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda: along(images=picture(1)), "images must be (S, C, H, W)"),
        (lambda: along(entropies=torch.zeros(12)), "entropies must be (S) with S=13"),
        (lambda: along(gradients=torch.zeros(13, 1)), "gradients must be (S), got shape (13, 1)"),
        (lambda: mask(increase=torch.zeros(8, 9)), "increase must be (H, W) with W=10"),
        (lambda: mask(full_gains=torch.zeros(11)), "full_gains must be (S) with S=12"),
        (lambda: morph(image=torch.zeros(8, 10)), "image must be (C, H, W)"),
        (lambda: replace(morph(), ways=()), "ways must hold at least one way, got none."),
    ],
)
def test_records_refuse_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change()
