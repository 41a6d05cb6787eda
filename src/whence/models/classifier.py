"""The classifier: an encoder, a head, and, once it remembers images, a bank."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from whence.data.augment import to_float
from whence.data.fingerprint import content_hashes
from whence.encoders.adopt import EncoderKind, adopt_encoder
from whence.encoders.count_features import count_features
from whence.memory import VARIANT
from whence.memory.attention import at_least_float32
from whence.memory.bank import Bank, to_pixels
from whence.memory.heads import Head, MemoryHead, Read, build_head
from whence.memory.similarity import find_similarity
from whence.models.merged import Merged
from whence.models.stamp import Stamp
from whence.records.measures import Calibration
from whence.shapes import check_batch_size, check_shape


class Classifier(nn.Module):
    """An encoder with a head; made by :func:`wrap`, which explains the arguments.

    ``model(images, memory_images)`` classifies with the memory given, as in training and in the
    paper's protocol. ``model.remember(images)`` encodes a memory once and keeps it; after that
    ``model(images)`` classifies with that bank.

    Attributes:
        encoder: maps normalised images `(B, C, H, W)` to features `(B, D)`.
        head: one from ``HEADS``.
        class_names: one name per class.
        image_shape: (C, H, W) of the images that the encoder was probed with.
        bank: the encoded memory, or None.
        pool: all that was remembered, when the bank is an edited part of it; else None.
    """

    mean: Tensor
    std: Tensor
    head: Head

    def __init__(
        self,
        encoder: nn.Module,
        head: Head,
        *,
        kind: EncoderKind,
        class_names: tuple[str, ...],
        image_shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        if not isinstance(head, Head):
            raise TypeError(
                f"head must be a whence.memory.heads.Head, such as MemoryWrap, "
                f"got {type(head).__name__}."
            )
        self.channels_last = kind.family != "module"  # a user's module may rely on view()
        if self.channels_last:
            encoder = encoder.to(memory_format=torch.channels_last)
        self.encoder = encoder
        self.head = head
        self.kind = kind
        self.class_names = class_names
        self.image_shape = image_shape
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(-1, 1, 1))
        self.bank: Bank | None = None
        self.pool: Bank | None = None
        self._calibration: Calibration | None = None
        self._stamp: Stamp | None = None
        self._merged: Merged | None = None

    @property
    def variant(self) -> str:
        """Name the kind of head."""
        return self.head.variant

    @property
    def features(self) -> int:
        """Return D, the encoder's output width."""
        return self.head.features

    @property
    def has_memory(self) -> bool:
        """Say whether answers are computed from a memory."""
        return self.head.has_memory

    @property
    def memory_head(self) -> MemoryHead:
        """Return the head of a model that has a memory.

        Raises:
            ValueError: for a standard model.
        """
        self._refuse_memory(self.has_memory)
        return cast("MemoryHead", self.head)

    def forward(
        self, images: Tensor, memory_images: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Classify images with the memory given, or with the bank.

        Args:
            images: `(B, C, H, W)` uint8 or float in [0, 1].
            memory_images: `(M, C, H, W)` likewise; None reads the bank (eval mode only).
            mask: `(B, M)` bool, True where a memory image may be used; None allows all.

        Returns:
            `(B, K)` logits.

        Raises:
            RuntimeError: without a memory and without a bank that fits the model as it is now.
        """
        mask = None if mask is None else mask.to(self.mean.device)
        if not self.has_memory:
            self._refuse_memory(memory_images is None and mask is None)
            logits: Tensor = self.head(self.encode(images))
        elif memory_images is None:
            bank, head = self.checked_bank(), self.memory_head
            logits = head.logits(
                self.encode(images), bank.features, mask, scale=bank.scale(head.similarity)
            )
        else:
            logits = self.memory_head.logits(self.encode(images), self.encode(memory_images), mask)
        return logits

    def read(
        self, images: Tensor, memory_images: Tensor | None = None, mask: Tensor | None = None
    ) -> Read:
        """Do what ``forward`` does and return logits, weights and scores."""
        head = self.memory_head
        mask = None if mask is None else mask.to(self.mean.device)
        if memory_images is None:
            bank = self.checked_bank()
            scale = bank.scale(head.similarity)
            found: Read = head(self.encode(images), bank.features, mask, scale=scale)
        else:
            found = head(self.encode(images), self.encode(memory_images), mask)
        return found

    def encode(self, images: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)` images and encode them to `(B, D)`, in the model's mode."""
        features: Tensor = self._network()(self.normalise(images))
        return features

    def _network(self) -> nn.Module:
        """Choose what encodes: the encoder, or for answers alone its faster merged copy."""
        if self.training or torch.is_grad_enabled() or self.kind.family == "module":
            return self.encoder
        if torch._C._are_functorch_transforms_active():  # the parameters may be stand-ins
            return self.encoder
        if self._merged is None or not self._merged.fits(self.encoder):
            self._merged = Merged(self.encoder, self.image_shape)
        return self._merged.network

    def normalise(self, images: Tensor) -> Tensor:
        """Check images, move them to the model and bring them to mean 0 and deviation 1.

        Raises:
            ValueError: if the shape does not fit, or a float image leaves [0, 1].
            TypeError: if the images are neither uint8 nor float.
        """
        check_shape("images", images, "B C H W", C=self.image_shape[0])
        images = to_float(images.to(self.mean.device)).to(self.mean.dtype)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        return (images - self.mean) / self.std

    def remember(
        self,
        memory_images: Tensor,
        labels: Tensor | None = None,
        indices: Tensor | None = None,
        sources: Sequence[str] | None = None,
        *,
        batch_size: int = 128,
    ) -> "Classifier":
        """Encode a memory once and keep it as the bank.

        Args:
            memory_images: `(M, C, H, W)` uint8 or float in [0, 1]. Their pixels are kept, and
                ``save`` writes them.
            labels: `(M,)` true classes; None when they are not known.
            indices: `(M,)` their places in the dataset; None numbers them 0 .. M-1.
            sources: one file per image.
            batch_size: how many images are encoded at once; changes memory use, not the result.

        Returns:
            The model itself.
        """
        self._refuse_memory(self.has_memory)
        sizes = check_shape("memory_images", memory_images, "M C H W", C=self.image_shape[0])
        if sizes["M"] == 0:
            raise ValueError("memory_images must hold at least one image, got none.")
        device = self.mean.device
        labels = torch.full((sizes["M"],), -1) if labels is None else labels
        indices = torch.arange(sizes["M"]) if indices is None else indices
        check_shape("labels", labels, "M", M=sizes["M"])
        check_shape("indices", indices, "M", M=sizes["M"])
        if int(labels.max()) >= len(self.class_names) or int(labels.min()) < -1:
            raise ValueError(
                f"labels must be below {len(self.class_names)}, the number of classes, "
                f"got {int(labels.min())} to {int(labels.max())}."
            )
        if len(indices.unique()) != sizes["M"]:
            raise ValueError("indices must name every image once, some are there twice.")
        if sources is not None and len(sources) != sizes["M"]:
            raise ValueError(f"sources must name {sizes['M']} files, got {len(sources)}.")
        features = encode_all(self, memory_images, batch_size=batch_size)
        pixels = to_pixels(memory_images.detach())
        self.attach(
            Bank(
                features=features,
                indices=indices.to(device, torch.int64),
                labels=labels.to(device, torch.int64),
                predicted=predict_left_out(self, features, batch_size=batch_size),
                hashes=content_hashes(pixels),
                images=pixels.cpu(),
                sources=None if sources is None else tuple(sources),
            )
        )
        return self

    def attach(self, bank: Bank) -> None:
        """Keep a bank that was encoded with the parameters the model has now."""
        self.bank, self.pool = bank, None
        self._calibration = None  # it was fitted to the memory before
        self._stamp = Stamp(self)

    @property
    def calibration(self) -> Calibration | None:
        """Return what turns signals of doubt into a probability of error, fitted to this model.

        None when it was never set, and once the parameters or the memory have changed since.
        """
        return self._calibration if self._is_stamped() else None

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        if calibration is not None and self.has_memory:
            with evaluating(self):
                self.checked_bank()
        elif calibration is not None:
            self._stamp = Stamp(self)
        self._calibration = calibration

    def save(self, folder: str | Path, *, pixels: bool = True) -> None:
        """Write the model and its bank to a folder; see :func:`whence.models.saved.save`.

        The bank holds the memory images themselves unless ``pixels=False``.
        """
        from whence.models.saved import save

        save(self, folder, pixels=pixels)

    def checked_bank(self) -> Bank:
        """Return the bank, or say why it cannot be used.

        Raises:
            RuntimeError: without a bank, in training mode, or when parameters changed since.
        """
        if self.bank is None:
            raise RuntimeError(
                "The model has no memory yet; call model.remember(memory_images) first, "
                "or pass memory images as the second argument."
            )
        if self.training:
            raise RuntimeError(
                "The bank can only be read in eval mode; call model.eval() first, "
                "or pass memory images as the second argument."
            )
        if not self._is_stamped():
            raise RuntimeError(
                "The parameters changed since the memory was encoded; "
                "call model.remember(memory_images) again."
            )
        return self.bank

    def _refuse_memory(self, fine: bool) -> None:
        if not fine:
            raise ValueError(
                "A standard model has no memory; leave the memory arguments out, "
                f'or build it with variant="{VARIANT}".'
            )

    def __copy__(self) -> "Classifier":
        """Share encoder, head and bank; what is set later is set in one of the two alone."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        for part in ("_parameters", "_buffers", "_modules"):
            copied.__dict__[part] = dict(self.__dict__[part])
        copied._stamp = Stamp(copied) if self._is_stamped() else None
        return copied

    def __getstate__(self) -> dict[str, Any]:
        """Lay out for a deep copy or a pickle, whose parameters will be others."""
        return {**self.__dict__, "_stamp": self._is_stamped(), "_merged": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become such a copy; its bank fits if the first one's did."""
        # torch leaves __setstate__ without types
        super().__setstate__({**state, "_stamp": None})  # type: ignore[no-untyped-call]
        self._stamp = Stamp(self) if state["_stamp"] else None

    def _is_stamped(self) -> bool:
        """Say whether parameters and statistics are what they were when the bank was made."""
        return self._stamp is not None and self._stamp.fits(self)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "Classifier":
        """Move or cast the bank together with the parameters."""
        fresh, dtype = self._is_stamped(), self.mean.dtype
        self._merged = None
        # torch leaves _apply without types
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.bank is not None:
            self.bank = self.bank.map_tensors(fn)
            self.pool = None if self.pool is None else self.pool.map_tensors(fn)
        if self._stamp is not None:
            still_fits = fresh and self.mean.dtype == dtype  # a cast would give other features
            self._stamp = Stamp(self) if still_fits else None
        return self


def wrap(
    encoder: nn.Module | str,
    classes: int | Sequence[str],
    variant: str = VARIANT,
    image_shape: tuple[int, int, int] = (3, 32, 32),
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    drop_classifier: bool | Literal["auto"] = "auto",
    *,
    similarity: str = "cosine",
    classifier: str | None = None,
) -> Classifier:
    """Turn an encoder into a classifier that reads a memory.

    La Rosa et al. (2021), arXiv:2106.01440.

    Args:
        encoder: a module that maps `(B, C, H, W)` to `(B, D)`, or a name: one of ``ENCODERS``,
            "torchvision:NAME" or "timm:NAME" (built without pretrained weights).
        classes: the number of classes K, or their names.
        variant: a name from ``HEADS``: "memory-wrap", "only-memory" or "standard".
        image_shape: (C, H, W) that the encoder is probed with.
        mean: per channel, in [0, 1] pixel units; None is 0.
        std: per channel; None is 1.
        drop_classifier: "auto" drops the classifier of torchvision and timm models and of modules
            with an attribute fc, classifier, head or heads; False keeps everything.
        similarity: "cosine", "l2" or "dot".
        classifier: the last layers, "mlp" or "linear"; None is the paper's choice: linear for
            the standard variant, mlp for the others.

    Raises:
        ValueError: if a name is unknown, the shapes do not fit, or there are under two classes.
    """
    names = tuple(str(i) for i in range(classes)) if isinstance(classes, int) else tuple(classes)
    if not all(isinstance(name, str) and name.isprintable() for name in names):
        raise ValueError(f"classes must be named by printable text, got {names[:3]!r}.")
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(f"classes must be at least 2 different names, got {len(names)}.")
    channels = image_shape[0]
    mean = [0.0] * channels if mean is None else list(mean)
    std = [1.0] * channels if std is None else list(std)
    if len(mean) != channels or len(std) != channels:
        raise ValueError(
            f"mean and std must have one number per channel ({channels}), "
            f"got {len(mean)} and {len(std)}."
        )
    if min(std) <= 0:
        raise ValueError(f"std must be positive, got {min(std)}.")
    network, kind = adopt_encoder(encoder, image_shape, drop_classifier)
    features = count_features(network, image_shape)
    head = build_head(variant, features, len(names), similarity=similarity, classifier=classifier)
    return Classifier(
        network,
        head,
        kind=kind,
        class_names=names,
        image_shape=image_shape,
        mean=mean,
        std=std,
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model in eval mode without gradients, and restore every module's mode afterwards."""
    trained = [module for module in model.modules() if module.training]
    for module in trained:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module in trained:
            module.training = True


def encode_all(model: Classifier, images: Tensor, *, batch_size: int = 128) -> Tensor:
    """Encode `(N, C, H, W)` images in eval mode, `(N, D)` on the model's device.

    Where a batch does not fit into the device's memory, half as many are encoded at once; the
    features are the same.
    """
    check_batch_size(batch_size)
    parts: list[Tensor] = []
    start = 0
    with evaluating(model):
        while start < len(images):
            try:
                parts.append(model.encode(images[start : start + batch_size]))
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                fitted = False
            else:
                fitted = True
            if fitted:
                start += batch_size
            else:  # out here, where the error does not hold the memory any more
                torch.cuda.empty_cache()
                batch_size //= 2
    return torch.cat(parts)


def check_images(model: Classifier, images: Tensor) -> None:
    """Refuse images `(B, C, H, W)` of another shape than the model was made for.

    Raises:
        ValueError: with what came.
    """
    channels, height, width = model.image_shape
    check_shape("images", images, "B C H W", C=channels, H=height, W=width)


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse true classes `(N,)` outside 0 .. classes - 1.

    Raises:
        ValueError: with what came.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels must be in 0 to {classes - 1}, got {low} to {high}.")


def predict_left_out(model: Classifier, features: Tensor, *, batch_size: int = 128) -> Tensor:
    """Classify every memory image with itself left out of the memory (a single one: on itself).

    Args:
        model: a classifier with a memory.
        features: `(M, D)` the encoded memory.
        batch_size: how many are classified at once.

    Returns:
        `(M,)` class indices.
    """
    total = len(features)
    places = torch.arange(total, device=features.device)
    measure = find_similarity(model.memory_head.similarity).scale
    scale = None if measure is None else measure(at_least_float32(features))
    predicted = []
    with evaluating(model):
        for rows in places.split(batch_size):
            mask = None if total == 1 else rows[:, None] != places
            logits = model.memory_head.logits(features[rows], features, mask, scale=scale)
            predicted.append(logits.argmax(1))
    return torch.cat(predicted)
