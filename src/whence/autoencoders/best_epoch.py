"""The best epoch of an autoencoder's training, and when there will be no better one."""

import math

from torch import Tensor

from whence.autoencoders.vae import VAE
from whence.encoders.weights import copy_into
from whence.messages import quote
from whence.storage.checkpoint import Checkpoint
from whence.training.progress import Progress
from whence.training.state import find_other_layout


class BestEpoch:
    """The parameters of the epoch with the highest bound on the validation images, so far.

    Args:
        vae: that is trained.
        progress: of its training, which is stopped here.
        patience: epochs without a better bound before that; 0 never stops it.
    """

    def __init__(self, vae: VAE, progress: Progress, *, patience: int) -> None:
        self.vae = vae
        self.progress = progress
        self.patience = patience
        self.tensors: dict[str, Tensor] = {}
        self.elbo = -math.inf
        self.worse = 0  # epochs since the best

    def compare(self, elbo: float) -> None:
        """Take the parameters as they are if their bound is the highest, or stop the training."""
        if elbo > self.elbo:
            self.elbo, self.worse = elbo, 0
            self.tensors = {name: tensor.clone() for name, tensor in self.vae.state_dict().items()}
            return
        self.worse += 1
        self.progress.stopped = self.patience > 0 and self.worse >= self.patience

    def restore(self) -> None:
        """Copy the best parameters into the autoencoder, if an epoch was compared."""
        copy_into(self.vae, self.tensors)

    def pack(self) -> Checkpoint:
        """Name every tensor ``best.NAME``; without any the bound is None."""
        numbers = {
            "best_elbo": self.elbo if self.tensors else None,
            "worse": self.worse,
            "stopped": self.progress.stopped,
        }
        return Checkpoint({f"best.{name}": t for name, t in self.tensors.items()}, numbers)

    def find_misfit(self, checkpoint: Checkpoint) -> str | None:
        """Check the numbers, and the best parameters if there are any."""
        numbers = checkpoint.numbers
        if type(numbers.get("worse")) is not int or type(numbers.get("stopped")) is not bool:
            return "the epochs since the best one"
        best = numbers.get("best_elbo", "nothing")
        if best is None:
            return None
        if type(best) is not float or not math.isfinite(best):
            return f"the best bound, got {quote(best)}"
        return find_other_layout("best", checkpoint, self.vae.state_dict())

    def unpack(self, checkpoint: Checkpoint) -> None:
        """Take numbers and parameters back."""
        numbers, device = checkpoint.numbers, self.vae.variance.device
        self.worse, self.progress.stopped = numbers["worse"], numbers["stopped"]
        if numbers["best_elbo"] is not None:
            self.elbo = numbers["best_elbo"]
            names = self.vae.state_dict()
            self.tensors = {name: checkpoint.tensors[f"best.{name}"].to(device) for name in names}
