"""The authors' names lead to what there is."""

from tests.helpers import authors
from whence.compat.names import AUTHORS_DATASETS, AUTHORS_MODELS, MODALITIES
from whence.compat.preparation import PREPARATIONS, VIT_PREPARATIONS
from whence.data import DATASETS
from whence.encoders import ENCODERS
from whence.memory import HEADS


def test_tables_name_what_exists():
    assert set(AUTHORS_MODELS.values()) == set(authors.ENCODER_OF.values()) <= set(ENCODERS)
    assert set(MODALITIES.values()) <= set(HEADS)
    assert set(AUTHORS_DATASETS.values()) <= set(DATASETS)
    assert AUTHORS_DATASETS.keys() == PREPARATIONS.keys() == VIT_PREPARATIONS.keys()
