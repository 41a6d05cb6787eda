"""Tables of labels beside small images."""

from tests.helpers.image_folders import write_images


def name_columns(folder):
    """Write a table of 24 images of two classes, whose columns have names of their own."""
    write_images(folder / "photos", {"cat": 12, "dog": 12})
    rows = [f"photos/{kind}/{k}.png,{kind}" for kind in ("cat", "dog") for k in range(12)]
    table = folder / "labels.csv"
    table.write_text("file,kind\n" + "\n".join(rows) + "\n")
    return table
