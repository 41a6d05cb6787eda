"""Find images that are both trained on and tested on."""

from whence.data.fingerprint import content_hashes
from whence.records.images import ImageSet


def overlap_notes(train: ImageSet, test: ImageSet, name: str = "test") -> tuple[str, ...]:
    """Say in one sentence which test images are also training images, by equal pixels.

    Args:
        train: images to learn from.
        test: images to measure on.
        name: of these.

    Returns:
        One sentence, or nothing where no image is in both.
    """
    where = {digest: index for index, digest in enumerate(content_hashes(train.images))}
    both = [
        (where[digest], index)
        for index, digest in enumerate(content_hashes(test.images))
        if digest in where
    ]
    if not both:
        return ()
    first_train, first_test = _name(train, both[0][0]), _name(test, both[0][1])
    verb = "image is" if len(both) == 1 else "images are"
    return (
        f"{len(both)} {verb} in both training and {name} (first: {first_train} = {first_test}); "
        "accuracy on them says nothing about new images.",
    )


def _name(images: ImageSet, index: int) -> str:
    return f"image {index}" if images.sources is None else images.sources[index]
