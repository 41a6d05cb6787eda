"""Labelled images from datasets and folders, split, augmented and drawn for the memory."""

from whence.table import Table

DATASETS = Table(
    "dataset",
    {
        "digits": "whence.data.digits:digits",
        "mnist": "whence.data.mnist:mnist",
        "fashion_mnist": "whence.data.mnist:fashion_mnist",
        "notmnist": "whence.data.notmnist:notmnist",
        "cifar10": "whence.data.cifar10:cifar10",
        "svhn": "whence.data.svhn:svhn",
        "cinic10": "whence.data.cinic10:cinic10",
    },
)
"""Every dataset by name; anything else that a user names is an image folder."""

AUGMENTATIONS = Table(
    "augmentation",
    {
        "none": "whence.data.augment:none",
        "flip": "whence.data.augment:flip",
        "crop_flip": "whence.data.augment:crop_flip",
        "shift": "whence.data.augment:shift",
        "shift_flip": "whence.data.augment:shift_flip",
    },
)
"""Every augmentation by name, called as ``AUGMENTATIONS[name](images, generator=generator)``."""

MIXINGS = Table(
    "mixing", {"mixup": "whence.data.mixing:mixup", "cutmix": "whence.data.mixing:cutmix"}
)
"""Every way to put pairs of training images together by name; called as augmentations are."""

__all__ = ["AUGMENTATIONS", "DATASETS", "MIXINGS"]
