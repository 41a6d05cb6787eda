"""Classes that a model was not trained for come to its memory, and go again."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.evidence.test_edit_more import LABELS, NAMES, SHAPE, assert_same_answers, make
from tests.helpers.whitening import whiten_slowly
from whence.memory.keys import find_even_directions
from whence.memory.votes import Votes
from whence.models.as_image_set import as_image_set

MESSAGE = "learned without dog"


def draw(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


@pytest.fixture
def model():
    return make().remember(draw(24, 0), LABELS)


@pytest.fixture
def grown(model):
    with pytest.warns(UserWarning, match=MESSAGE):
        return whence.edit(model, add=(draw(5, 1), ["dog"] * 4 + ["bee"]), new_classes=["dog"])


def slow(model, images, labels):
    """A model of four classes with the same keys, which remembers all anew."""
    torch.manual_seed(0)
    other = whence.wrap("small_cnn", [*NAMES, "dog"], variant="votes", image_shape=SHAPE).eval()
    state = model.state_dict()
    state.pop("head.even_directions", None)
    other.load_state_dict(state)
    other.head.plain_share = 1.0
    first = other.encode_features(draw(24, 0).float() / 255)
    whitening = whiten_slowly(other.head.level(first.detach()), LABELS)
    plain = other.head.embed

    def embed(features):  # the length of what is whitened does not matter
        keys = plain(features)[..., :128]
        even = other.head.level(features) @ whitening
        return torch.cat([keys, other.head.scale_keys(even)], -1)

    other.head.embed = embed
    return other.remember(images, labels)


def test_the_answers_are_those_of_a_model_that_always_had_the_class(model, grown):
    images = torch.cat([draw(24, 0), draw(5, 1)])
    labels = torch.cat([LABELS, torch.tensor([3, 3, 3, 3, 1])])
    expected = slow(model, images, labels)
    assert grown.class_names == (*NAMES, "dog")
    asked = torch.cat([draw(6, 2), draw(5, 1)[:2]])
    assert_close(grown(asked), expected(asked), atol=2e-4, rtol=0)
    assert_same_answers(grown, expected, asked, atol=1e-4)
    assert grown.bank.predicted[24:].tolist() == expected.bank.predicted[24:].tolist()
    assert grown(draw(5, 1)).argmax(1).tolist() == [3, 3, 3, 3, 1]


def test_the_model_itself_stays_as_it_was(model, grown):
    assert model.class_names == NAMES
    assert model.head.classes == 3
    assert model(draw(4, 2)).shape == (4, 3)
    assert grown(draw(4, 2)).shape == (4, 4)
    assert grown.head.keys is model.head.keys


def test_forgetting_is_exact(grown):
    """Without its images the new class has no probability, as if they had never come."""
    gone = whence.edit(grown, keep=lambda stored: stored.label != 3 and stored.index < 24)
    asked = draw(6, 2)
    never = slow(
        grown, torch.cat([draw(24, 0), draw(1, 9)]), torch.cat([LABELS, torch.tensor([3])])
    )
    never = whence.edit(never, keep=lambda stored: stored.index < 24)
    assert_close(gone(asked), never(asked), atol=2e-4, rtol=0)
    assert (gone.head.probabilities(gone(asked))[:, 3] == 0).all()


def test_a_score_is_the_cosine_of_keys_and_that_of_features():
    torch.manual_seed(0)
    head, features = Votes(6, 2).eval(), torch.randn(5, 6)
    head.fit_features(features)
    head.sharpness.fill_(7)
    labels = torch.tensor([0, 1, 0, 1, 1])
    grown = head.with_classes(3, features, labels)
    level = head.level(features)
    keys = torch.nn.functional.normalize(head.keys(level), dim=1)
    plain = torch.nn.functional.normalize(level @ whiten_slowly(level, labels), dim=1)
    wanted = keys @ keys.T + plain @ plain.T
    embedded = grown.embed(features)
    assert embedded.shape == (5, grown.width)
    assert_close(embedded @ embedded.T, 7 * wanted, atol=1e-4, rtol=0)
    assert_close(grown.unscale(embedded @ embedded.T), wanted / 2, atol=1e-5, rtol=0)
    assert head.embed(features).shape == (5, head.width)


def test_whitened_features_have_what_is_left_of_their_variance():
    """Along a direction of variance s within classes, s m / (s + m); across all they stay."""
    torch.manual_seed(0)
    features = torch.randn(400, 5) * torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    for label in (0, 1):
        features[label::2] -= features[label::2].mean(0)
    labels = torch.arange(400) % 2
    even = find_even_directions(features + 30 * labels[:, None], labels)
    assert even.shape == (4, 5)  # the last one does not vary within classes
    whitened = features - (features @ even.T) @ even
    principal, directions = torch.linalg.eigh(features.double().T.cov(correction=0))
    mean = principal.mean()
    found = (whitened.double() @ directions).T.cov(correction=0)
    assert_close(found, torch.diag(principal * mean / (principal + mean)), atol=1e-4, rtol=0)
    assert_close(whitened[:, 4], features[:, 4])
    assert find_even_directions(labels[:, None] * torch.ones(5), labels) is None
    many = find_even_directions(torch.randn(700, 600), torch.zeros(700).long())
    assert many.shape == (512, 600)


@pytest.mark.parametrize("count", [0, True, "1", 10**6, 1.5])
def test_a_damaged_number_of_directions_is_refused(grown, tmp_path, count):
    whence.save(grown, tmp_path / "grown")
    mark = tmp_path / "grown" / "whence.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "even_directions": count}))
    with pytest.raises(ValueError, match=r"must have 1 to \d+ even_directions, or null"):
        whence.load(tmp_path / "grown")


def test_directions_without_a_share_or_of_another_number_are_refused(grown, tmp_path):
    whence.save(grown, tmp_path / "grown")
    mark = tmp_path / "grown" / "whence.json"
    about = json.loads(mark.read_text())
    mark.write_text(json.dumps({**about, "plain_share": None}))
    with pytest.raises(ValueError, match="must have even_directions with a plain_share alone"):
        whence.load(tmp_path / "grown")
    mark.write_text(json.dumps({**about, "even_directions": about["even_directions"] - 1}))
    with pytest.raises(ValueError, match=r"head\.even_directions"):
        whence.load(tmp_path / "grown")


def test_a_grown_model_of_before_compares_features_as_they_are(grown, tmp_path):
    """It has a share, and no directions."""
    before = copy.copy(grown)
    before.head = copy.copy(grown.head)
    before.head._buffers = {**grown.head._buffers, "even_directions": None}
    images, labels = grown.bank.images, grown.bank.labels
    before.remember(images, labels)
    whence.save(before, tmp_path / "before")
    again = whence.load(tmp_path / "before")
    assert again.head.width == 128 + again.head.features
    assert torch.equal(again(draw(6, 2)), before(draw(6, 2)))


def test_it_is_saved_and_read_as_it_is(grown, tmp_path):
    whence.save(grown, tmp_path / "grown")
    again = whence.load(tmp_path / "grown")
    assert again.class_names == grown.class_names
    assert again.head.plain_share == 1.0
    assert torch.equal(again(draw(6, 2)), grown(draw(6, 2)))


def test_handicaps_and_thresholds_stay_those_of_the_old_classes():
    head = Votes(4, 2).eval()
    head.handicaps = torch.tensor([0.5, 0.25])
    grown = head.with_classes(3, torch.randn(5, 4), torch.tensor([0, 1, 0, 1, 1]))
    assert grown.handicaps.tolist() == [0.5, 0.25, 0]
    assert head.handicaps.tolist() == [0.5, 0.25]
    assert [name for name, _ in grown.named_parameters()] == [n for n, _ in head.named_parameters()]
    assert grown.log_scale is head.log_scale


def test_what_cannot_grow_is_one_sentence(model):
    with pytest.raises(ValueError, match="new_classes must come with images of them"):
        whence.edit(model, new_classes=["dog"])
    with pytest.raises(TypeError, match="new_classes must be a list, got 'dog'"):
        whence.edit(model, add=(draw(1, 1), ["dog"]), new_classes="dog")
    with pytest.raises(ValueError, match="different names, got 'bee' twice"):
        whence.edit(model, add=(draw(1, 1), ["bee"]), new_classes=["bee"])
    with (
        pytest.warns(UserWarning, match="without dog, owl"),
        pytest.raises(ValueError, match="none is of owl"),
    ):
        whence.edit(model, add=(draw(1, 1), ["dog"]), new_classes=["dog", "owl"])
    with pytest.raises(ValueError, match="labels must be names of classes"):
        whence.edit(model, add=(draw(1, 1), ["dog"]))
    blind = make().remember(draw(24, 0), LABELS)
    blind.attach(replace(blind.bank, images=None))
    with pytest.raises(ValueError, match="New classes need the pixels of the stored images"):
        whence.edit(blind, add=(draw(1, 1), ["dog"]), new_classes=["dog"])
    other = make("memory-wrap").remember(draw(24, 0), LABELS)
    with pytest.raises(ValueError, match="memory-wrap has learned its classes"):
        whence.edit(other, add=(draw(1, 1), ["dog"]), new_classes=["dog"])


@pytest.mark.parametrize("share", [-1, 0, True, "1", 1e4, [1]])
def test_a_damaged_share_is_refused(grown, tmp_path, share):
    whence.save(grown, tmp_path / "grown")
    mark = tmp_path / "grown" / "whence.json"
    mark.write_text(json.dumps({**json.loads(mark.read_text()), "plain_share": share}))
    with pytest.raises(ValueError, match="must have a plain_share above 0 and at most 1000"):
        whence.load(tmp_path / "grown")


def test_classes_that_count_are_found_by_name_where_all_are_there():
    """A model whose classes are "1", "0" does not take "0" for "1"."""
    model = whence.wrap("small_cnn", ["1", "0"], image_shape=SHAPE)
    given = whence.ImageSet(draw(3, 0), torch.tensor([0, 1, 1]), ("0", "1"))
    assert as_image_set(given, model).labels.tolist() == [1, 0, 0]
