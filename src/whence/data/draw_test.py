"""Draw the test images of data that name none."""

from torch import Tensor

from whence.data.group_draw import draw_groups
from whence.data.stratify import stratified
from whence.messages import quote
from whence.seeds import make_generator

TEST_SHARE = 0.2
"""Fraction of the images that is kept for the test where the data name no test images."""


def draw_test(
    labels: Tensor,
    class_names: tuple[str, ...],
    where: str,
    *,
    groups: Tensor | None = None,
    seed: int,
) -> Tensor:
    """Draw a fifth of the images, stratified, at least one of every class on each side.

    Args:
        labels: `(N,)` classes.
        class_names: K names.
        where: the images come from, for messages.
        groups: `(N,)` number of the group of each; whole groups are drawn then, as near to a fifth
            and to the classes' shares as they go.
        seed: of the draw.

    Returns:
        Positions in ``labels``, ascending.

    Raises:
        ValueError: if a class has too few images, or all images are of one group.
    """
    counts = labels.bincount(minlength=len(class_names))
    if (counts < 2).any():
        name, found = class_names[int(counts.argmin())], int(counts.min())
        raise ValueError(
            f"Class {quote(name)} in {where} must have at least 2 images, one to train and one to "
            f"test, it has {found}; add images or remove the class."
        )
    examples = max(len(counts), round(TEST_SHARE * len(labels)))
    if groups is not None:
        if len(groups.unique()) < 2:
            raise ValueError(
                f"{where} must have at least two groups, so that some are kept for the test, all "
                f"{len(labels):,} images are of one; leave the groups out, or say in a column "
                "split which images are for the test."
            )
        return draw_groups(labels, groups, examples, seed=seed, class_names=class_names)
    return stratified(labels, examples, generator=make_generator(seed)).sort().values
