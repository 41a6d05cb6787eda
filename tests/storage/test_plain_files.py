"""JSON from files that are trusted with nothing."""

import pytest

from whence.storage.plain_files import read_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": [1e999]}', "1e999 is too large"),
        ('{"a": -1e309}', "-1e309 is too large"),
        ('{"a": 1' + "0" * 400 + ".0}", "1" + "0" * 19 + " is too large"),
        ('{"a": 1, "a": 2}', "a key comes twice"),
        ("[" * 100_000, "recursion"),
        ("{", "Expecting"),
    ],
)
def test_what_is_not_json_is_refused_naming_the_file(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a.json must be JSON, it is damaged \(.*" + message):
        read_json(tmp_path / "a.json")


def test_large_and_small_numbers_are_read_to_the_bit(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1.7976931348623157e308, "b": 5e-324, "c": 0.1}')
    assert read_json(tmp_path / "a.json") == {"a": 1.7976931348623157e308, "b": 5e-324, "c": 0.1}
