"""Figures for papers, made by hand."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.pages import (
    CLASSES,
    answer,
    evidence,
    explanation,
    relevance,
)
from whence.records.explained import Stored
from whence.records.picture import (
    NEGATIVE,
    POSITIVE,
)
from whence.report.figures import draw_evidence, draw_relevance


def read_figure(content):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB")))


def count_colour(pixels, colour):
    return int((pixels == torch.tensor(colour, dtype=torch.uint8)).all(-1).sum())


def flat(number):
    """One colour for each image, to be found again in a figure."""
    return torch.tensor([number, 255 - number, 7], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)


def figure_answer(amount, **changes):
    items = tuple(evidence(place, 1 / amount, place % 2) for place in range(amount))
    stored = {place: Stored(0, place % 2, None, flat(place)) for place in range(amount)}
    found = explanation(items)
    return answer(found, stored=stored, image=flat(200), **changes)


def test_the_evidence_figure_shows_the_image_and_all_active_memory_images():
    found = read_figure(draw_evidence([figure_answer(11), figure_answer(3)], CLASSES))
    area = 187.5**2  # 1.25 inches of 150 dots
    for number in (*range(11), 200):
        times = 2 if number in (0, 1, 2, 200) else 1
        colour = (number, 255 - number, 7)
        assert count_colour(found, colour) == pytest.approx(times * area, rel=0.03)
    assert count_colour(found, (11, 244, 7)) == 0
    lines = [(found == torch.tensor((n, 255 - n, 7))).all(-1).nonzero()[-1] for n in (0, 8)]
    assert lines[0][1] == lines[1][1]  # the ninth image begins a new line
    one = read_figure(draw_evidence([figure_answer(3)], CLASSES))
    assert found.shape[0] == 3 * one.shape[0]  # two lines for eleven images


def test_the_evidence_figure_counts_what_it_does_not_show():
    many = read_figure(draw_evidence([figure_answer(60)], CLASSES))
    assert count_colour(many, (47, 208, 7)) > 100 * 100
    assert count_colour(many, (48, 207, 7)) == 0


def test_the_figure_of_relevance_shows_positive_relevance_only():
    found = figure_answer(4)
    shown = relevance(found.explanation, (3, 8, 8))
    shown.images[0, :, :4] *= -1
    pixels = read_figure(draw_relevance([replace(found, relevance=shown)], CLASSES))
    red = count_colour(pixels, POSITIVE)
    assert count_colour(pixels, (200, 55, 7)) == pytest.approx(2 * red, rel=0.05)
    assert count_colour(pixels, NEGATIVE) == 0
    assert count_colour(pixels, (1, 254, 7)) > 100 * 100  # the example
    assert count_colour(pixels, (0, 255, 7)) > 100 * 100  # the counterfactual
    assert count_colour(pixels, (2, 253, 7)) == 0
    plain = read_figure(draw_relevance([found], CLASSES))
    assert count_colour(plain, POSITIVE) == 0


def test_figures_of_grey_images_without_counterfactual_pixels_or_memory():
    grey = answer(explanation((evidence(1, 1.0, 1),)), shape=(1, 8, 8), name="$a_b$ and ^")
    empty = answer(explanation((), without=torch.zeros(0, 3)))
    for shown in (grey, answer(pixels=False), empty):
        for draw in (draw_evidence, draw_relevance):
            assert read_figure(draw([shown], CLASSES)).shape[0] > 100
