"""Classes of other images are found among those of a model, by their names."""

from collections.abc import Mapping, Sequence

from whence.data.names import compose
from whence.messages import quote, shorten_text
from whence.records.labels import list_names


def match_classes(
    where: str, found: Sequence[str], class_names: Sequence[str], renamed: Mapping[str, str]
) -> dict[str, int]:
    """Find the label of each class that was found, by its name or by the name it is mapped to.

    Names are compared as they are read, whether an umlaut is one character or two.

    Args:
        where: they were found, for messages.
        found: names.
        class_names: of the model.
        renamed: names that were found to names of the model.

    Raises:
        ValueError: if a name is not one of the model's, or a name to be mapped was not found.
    """
    labels = {compose(name): label for label, name in enumerate(class_names)}
    mapped = {compose(name): compose(new) for name, new in renamed.items()}
    for name, new in mapped.items():
        if name not in map(compose, found):
            raise ValueError(
                f"map must name classes of {where} ({list_names(found)}), got {quote(name)}."
            )
        if new not in labels:
            raise ValueError(
                f"map must lead to classes of the model ({list_names(class_names)}), got "
                f"{quote(new)}."
            )
    wanted = {name: mapped.get(compose(name), compose(name)) for name in found}
    unknown = [name for name, new in wanted.items() if new not in labels]
    if unknown:
        raise ValueError(
            f"{where} must have the classes of the model ({list_names(class_names)}), got "
            f"{list_names(unknown)}; say which is which with --map {shorten_text(unknown[0])}="
            f"{class_names[0]}, or take it out."
        )
    return {name: labels[new] for name, new in wanted.items()}
