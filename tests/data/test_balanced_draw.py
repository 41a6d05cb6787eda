"""Draws in which every class has the same share."""

from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from whence.data.balanced_draw import ClassPlaces, draw_alike, draw_memory_alike, weigh_classes
from whence.seeds import make_generator

LABELS = torch.tensor([4, 0, 0, 2, 0, 0, 0, 2, 0, 4, 0])  # 7 of class 0, 2 of 2, 2 of 4


def count_of(places):
    return Counter(LABELS[places].tolist())


def test_places_stand_class_by_class():
    places = ClassPlaces.of(LABELS)
    assert places.order.tolist() == [1, 2, 4, 5, 6, 8, 10, 3, 7, 0, 9]
    assert places.counts.tolist() == [7, 2, 2]
    assert places.first.tolist() == [0, 7, 9]


def test_every_class_is_drawn_equally_often_and_every_image_of_it():
    places, generator = ClassPlaces.of(LABELS), make_generator(0)
    drawn = torch.cat(
        [draw_alike(places, torch.arange(12), generator=generator) for _ in range(700)]
    )
    assert count_of(drawn) == {0: 2800, 2: 2800, 4: 2800}
    counts = Counter(drawn.tolist())
    assert set(counts) == set(range(11))
    assert all(330 < counts[place] < 470 for place in (1, 2, 4, 5, 6, 8, 10))
    assert all(1300 < counts[place] < 1500 for place in (0, 3, 7, 9))


def test_the_number_says_whose_turn_it_is():
    places = ClassPlaces.of(LABELS)
    drawn = draw_alike(places, torch.tensor([2, 5, 0, 4]), generator=make_generator(1))
    assert LABELS[drawn].tolist() == [4, 4, 0, 2]


@pytest.mark.parametrize(
    ("memory_size", "wanted"),
    [(3, {0: 1, 2: 1, 4: 1}), (6, {0: 2, 2: 2, 4: 2}), (9, {0: 5, 2: 2, 4: 2})],
)
def test_a_memory_has_as_many_images_of_each_class_as_there_are(memory_size, wanted):
    places, generator = ClassPlaces.of(LABELS), make_generator(0)
    for _ in range(20):
        drawn = draw_memory_alike(places, memory_size, generator=generator)
        assert len(drawn.unique()) == memory_size
        assert count_of(drawn) == wanted


def test_what_is_left_over_goes_to_any_class_and_any_image_is_drawn():
    places, generator = ClassPlaces.of(LABELS), make_generator(3)
    memories = [draw_memory_alike(places, 4, generator=generator) for _ in range(300)]
    more = Counter(kind for one in memories for kind, n in count_of(one).items() if n == 2)
    assert sum(more.values()) == 300
    assert all(70 < more[kind] < 130 for kind in (0, 2, 4))
    assert set(torch.cat(memories).tolist()) == set(range(11))


def test_a_memory_of_no_or_too_many_images_is_refused():
    for size in (0, 12):
        with pytest.raises(ValueError, match=f"memory_size must be in 1 to 11, got {size}"):
            draw_memory_alike(ClassPlaces.of(LABELS), size, generator=make_generator(0))


def test_draws_are_the_same_with_the_same_seed_and_others_with_another():
    places = ClassPlaces.of(LABELS)
    for draw in (
        lambda seed: draw_memory_alike(places, 5, generator=make_generator(seed)).tolist(),
        lambda seed: draw_alike(places, torch.arange(9), generator=make_generator(seed)).tolist(),
    ):
        assert draw(1) == draw(1) != draw(2)


def test_classes_count_alike_and_images_once_on_average():
    weights = weigh_classes(LABELS, 6)
    assert_close(weights, torch.tensor([11 / 21, 0, 11 / 6, 0, 11 / 6, 0]))
    assert_close(weights[LABELS].mean(), torch.tensor(1.0))
