"""What is asked of torch, and how large it is: cost that can be counted from outside."""

import torch
from torch.overrides import TorchFunctionMode


class TorchCalls(TorchFunctionMode):
    """Notes every function of torch that is called within, by name, with its result's shape.

    >>> with TorchCalls() as calls:
    ...     _ = torch.ones(2, 3).sum(1)
    >>> calls.found
    [('ones', (2, 3)), ('sum', (2,))]
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        shape = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        self.found.append((getattr(function, "__name__", str(function)), shape))
        return result

    def shapes(self, name=None):
        """The shapes of all tensors that were made, or of those by one function."""
        return [shape for made_by, shape in self.found if shape and name in (None, made_by)]
