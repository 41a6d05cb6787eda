"""The memory of a model, what was fitted to both, and whether they still belong together."""

import copy
from typing import cast

import torch
from torch import nn

from whence.memory import VARIANT
from whence.memory.bank import Bank
from whence.memory.heads import Head, MemoryHead
from whence.messages import quote
from whence.models.stamp import Stamp
from whence.records.decision import Decision
from whence.records.labels import list_names
from whence.records.measures import Calibration

NO_MEMORY = (
    "The model has no memory yet; call model.remember(memory_images) first, "
    "or pass memory images as the second argument."
)

REPLACED = (
    "model.encoder is another module than the one that encoded the memory; call "
    "model.remember(memory_images) again, or, to compile the encoder that it was, "
    "model.encoder.compile()."
)


class Remembering(nn.Module):
    """A model that may keep an encoded memory.

    Attributes:
        encoder: maps normalised images to features.
        head: answers from features.
        class_names: one name per class.
        bank: the encoded memory, or None.
        pool: all that was remembered, when the bank is an edited part of it; else None.
    """

    encoder: nn.Module
    head: Head
    class_names: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self.bank: Bank | None = None
        self.pool: Bank | None = None
        self._calibration: Calibration | None = None
        self._stamp: Stamp | None = None

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
            self.fitting_bank()
        elif calibration is not None:
            self._stamp = Stamp(self)
        self._calibration = calibration

    @property
    def decision(self) -> Decision | None:
        """Return the class that is answered from a threshold on; None: the most probable class.

        ``whence.fit`` ends it, because it was chosen for the parameters before; another memory does
        not. It changes answers alone: the own classes of stored images are the most probable ones.
        """
        return self.head.decision

    @decision.setter
    def decision(self, decision: Decision | None) -> None:
        if decision is not None and (
            not 0 <= decision.place < len(self.class_names)
            or self.class_names[decision.place] != decision.validation.name
        ):
            raise ValueError(
                f"decision must be for a class of this model ({list_names(self.class_names)}), "
                f"got {quote(decision.validation.name)}."
            )
        if decision == self.head.decision:
            return
        fitting = self._is_stamped()
        self.head = copy.copy(self.head)  # an edited model shares the head and keeps its own rule
        self.head.decision = decision
        self._stamp = Stamp(self) if fitting else self._stamp
        self._calibration = None  # it was fitted to the answers before

    def checked_bank(self) -> Bank:
        """Return the bank, or say why it cannot be used.

        Raises:
            RuntimeError: without a bank, in training mode, or when parameters changed since.
        """
        if self.bank is not None and self._is_in_training():
            raise RuntimeError(
                "The bank can only be read in eval mode; call model.eval() first, "
                "or pass memory images as the second argument."
            )
        return self.fitting_bank()

    def fitting_bank(self) -> Bank:
        """Return the bank, in any mode, or say why it is none of this model.

        Raises:
            RuntimeError: without a bank, or when parameters changed since.
        """
        if self.bank is None:
            raise RuntimeError(NO_MEMORY)
        if not self._is_stamped():
            if self._stamp is not None and self.encoder not in self._stamp.modules:
                raise RuntimeError(REPLACED)
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

    def _is_in_training(self) -> bool:
        """Say whether the model, or a layer that was there when the bank was made, is training."""
        stamp = self._stamp
        return self.training or (stamp is not None and any(m.training for m in stamp.modules))

    def _is_stamped(self) -> bool:
        """Say whether parameters and statistics are what they were when the bank was made.

        While a graph is made of the model, stand-ins are in their place; those they stand for are
        looked at.
        """
        if self._stamp is None or not torch.compiler.is_exporting():
            return self._stamp is not None and self._stamp.fits(self)
        return self._stamp.is_untouched()
