"""The classifier: an encoder, a head, and, once it remembers images, a bank."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.data.augment import to_float
from whence.encoders.adopt import EncoderKind
from whence.kinds import check_kind
from whence.memory.bank import Bank
from whence.memory.heads import Head, Read
from whence.models.evaluating import check_mode
from whence.models.merged import Merged
from whence.models.remembered import make_bank, read_remembered
from whence.models.remembering import Remembering
from whence.models.sound import check_given_features, check_outputs
from whence.models.stamp import Stamp
from whence.records.labels import check_every_label, list_names, read_labels
from whence.records.notebook import NOTEBOOK_VIEWS


class Classifier(Remembering):
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
        pretrained: its encoder began with weights that were learned before.
    """

    mean: Tensor
    std: Tensor

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
        self.pretrained = False
        self._merged: Merged | None = None

    @property
    def variant(self) -> str:
        """Name the kind of head."""
        return self.head.variant

    @property
    def features(self) -> int:
        """Return D, the encoder's output width."""
        return self.head.features

    def _repr_html_(self) -> str:
        html: str = NOTEBOOK_VIEWS["classifier"](self)
        return html

    def forward(
        self,
        images: Images,
        memory_images: Images | None = None,
        mask: Tensor | None = None,
        memory_labels: Tensor | None = None,
    ) -> Tensor:
        """Classify images with the memory given, or with the bank.

        Args:
            images: `(B, C, H, W)` uint8 or float in [0, 1], or what else ``predict`` takes.
            memory_images: `(M, C, H, W)`, or such others; None reads the bank (eval mode only).
            mask: `(B, M)` bool, True where a memory image may be used; None allows all.
            memory_labels: `(M,)` of the memory given, which the head of votes needs.

        Returns:
            `(B, K)` logits.

        Raises:
            RuntimeError: without a memory and without a bank that fits the model as it is now.
            ValueError: if images are of another shape, or, in eval mode, what comes out is not
                finite.
        """
        logits = self.logits(images, memory_images, mask, memory_labels)
        self._check_outputs("logits", logits)
        return logits

    def logits(
        self,
        images: Images,
        memory_images: Images | None = None,
        mask: Tensor | None = None,
        memory_labels: Tensor | None = None,
    ) -> Tensor:
        """Compute the logits `(B, K)` of ``forward``; what is not finite is the caller's to find.

        For searches, where one image that goes wrong must not end those of the others.
        """
        mask = self._place_mask(mask)
        if not self.has_memory:
            self._refuse_memory(memory_images is None and mask is None)
            logits: Tensor = self.head(self._encode(images))
            return logits
        queries, memory, labels, scale = self._encode_both(images, memory_images, memory_labels)
        return self.memory_head.logits(queries, memory, mask, labels=labels, scale=scale)

    def read(
        self,
        images: Images,
        memory_images: Images | None = None,
        mask: Tensor | None = None,
        memory_labels: Tensor | None = None,
    ) -> Read:
        """Do what ``forward`` does and return logits, weights and scores."""
        head = self.memory_head
        mask = self._place_mask(mask)
        queries, memory, labels, scale = self._encode_both(images, memory_images, memory_labels)
        found: Read = head(queries, memory, mask, labels=labels, scale=scale)
        self._check_outputs("logits", found.logits)
        return found

    def encode(self, images: Images) -> Tensor:
        """Normalise `(B, C, H, W)` images and make of them what the head compares, `(B, E)`.

        In the model's mode. E is ``head.width``, which is D, the encoder's output width, unless
        the head makes keys of it.

        Raises:
            ValueError: if images are of another shape, or, in eval mode, features are not finite.
        """
        features = self._encode(images)
        self._check_outputs("features", features)
        return features

    def _encode(self, images: Images) -> Tensor:
        return self.head.embed(self.encode_features(images))

    def encode_features(self, images: Images) -> Tensor:
        """Normalise `(B, C, H, W)` images and encode them to `(B, D)`; the head sees nothing."""
        features: Tensor = self._network()(self.normalise(images))
        return features

    def _encode_both(
        self, images: Images, memory_images: Images | None, labels: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Encode images, and memory images unless the bank has them; with its labels and scale.

        Images come first: the running statistics of BatchNorm depend on the order.
        """
        if memory_images is not None:
            stored = as_images(memory_images, self, name="memory_images")
            known = None if labels is None else self._place_labels(labels, len(stored))
            return self._encode(images), self._encode(stored), known, None
        if labels is not None:
            raise ValueError(
                "memory_labels are of memory_images, which are missing; the stored images have "
                "their own."
            )
        bank = self.checked_bank()
        exporting = torch.compiler.is_exporting()  # what is computed then is no number to keep
        scale = None if exporting else bank.scale(self.memory_head.similarity)
        return self._encode(images), bank.features, bank.labels, scale

    def _place_mask(self, mask: Tensor | None) -> Tensor | None:
        check_kind("mask", mask, (Tensor, type(None)))
        return None if mask is None else mask.to(self.mean.device)

    def _place_labels(self, labels: Tensor, total: int) -> Tensor:
        """Check labels `(M,)` of a memory; their numbers only where nothing would wait for them."""
        if isinstance(labels, Tensor) and (self.training or torch.compiler.is_compiling()):
            return labels.to(self.mean.device)
        return read_labels(labels, self.class_names, total).to(self.mean.device)

    def _check_outputs(self, name: str, outputs: Tensor) -> None:
        """Refuse NaN in eval mode; a step of training does not wait for its numbers."""
        if not self.training and not torch.compiler.is_exporting():  # a graph has no numbers
            check_outputs(name, outputs, self)

    def _network(self) -> nn.Module:
        """Choose what encodes: the encoder, or for answers alone its faster merged copy."""
        if self.training or torch.is_grad_enabled() or self.kind.family == "module":
            return self.encoder
        if torch._C._are_functorch_transforms_active() or torch.compiler.is_exporting():
            return self.encoder  # the parameters may be stand-ins
        if self._merged is None or not self._merged.fits(self.encoder):
            self._merged = Merged(self.encoder, self.image_shape)
        return self._merged.network

    def normalise(self, images: Images) -> Tensor:
        """Check images, move them to the model and bring them to mean 0 and deviation 1.

        Raises:
            ValueError: if the shape does not fit, or a float image leaves [0, 1].
            TypeError: if the images are neither uint8 nor float.
        """
        pixels = as_images(images, self)
        pixels = to_float(pixels.to(self.mean.device)).to(self.mean.dtype)
        if self.channels_last:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        return (pixels - self.mean) / self.std

    def remember(
        self,
        memory_images: Images | Dataset[Any],
        labels: Tensor | Sequence[int] | Sequence[str] | None = None,
        indices: Tensor | Sequence[int] | None = None,
        sources: Sequence[str] | None = None,
        *,
        features: Tensor | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> "Classifier":
        """Encode a memory once and keep it as the bank.

        Args:
            memory_images: `(M, C, H, W)` uint8 or float in [0, 1], or what else ``predict`` takes;
                an ``ImageSet`` or a data set of (image, label) brings its labels and files. Their
                pixels are kept, and ``save`` writes them.
            labels: `(M,)` true classes by index, -1 where not known, or by name; None when none is
                known.
            indices: `(M,)` their places in the dataset; None numbers them 0 .. M-1.
            sources: one file per image.
            features: `(M, D)` of the images by this encoder in eval mode; None encodes them.
            batch_size: how many images are encoded at once; changes memory use, not the result.

        Returns:
            The model itself.

        Raises:
            RuntimeError: if the model is in training mode.
            ValueError: if shapes or numbers do not fit, or what comes out is not finite, or votes
                would have no stored image of a class.
        """
        bank = self.encode_bank(
            memory_images, labels, indices, sources, features=features, batch_size=batch_size
        )
        if self.memory_head.reads_labels:
            check_every_label("labels", bank.labels, self.class_names)
        self.attach(bank)
        return self

    def encode_bank(
        self,
        memory_images: Images | Dataset[Any],
        labels: Tensor | Sequence[int] | Sequence[str] | None = None,
        indices: Tensor | Sequence[int] | None = None,
        sources: Sequence[str] | None = None,
        *,
        features: Tensor | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Bank:
        """Encode a memory as ``remember`` does, whose arguments these are, and keep it nowhere."""
        self._refuse_memory(self.has_memory)
        check_mode(self)
        head = self.memory_head
        known = read_remembered(
            memory_images,
            self,
            labels=labels,
            indices=indices,
            sources=sources,
            reads_labels=head.reads_labels,
        )
        if features is not None:
            check_given_features("features", features, total=len(known.pixels), width=self.features)
        return make_bank(
            known,
            head,
            self.encode,
            features=features,
            device=self.mean.device,
            batch_size=batch_size,
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

    def __repr__(self) -> str:
        """Name what the model is for, in one line; ``print(model.encoder)`` lists the layers."""
        memory = ""
        if self.has_memory:
            memory = ", no memory yet" if self.bank is None else f", {len(self.bank)} stored images"
        return (
            f"Classifier({self.kind.name}, {self.variant}, {len(self.class_names)} classes "
            f"({list_names(self.class_names)}), images {self.image_shape}{memory})"
        )

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
