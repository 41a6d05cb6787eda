"""Attention by its plain form, in this thread alone.

Fused attention has no forward-mode derivative. PyTorch's own switch, ``sdpa_kernel``, is one for
the whole process: the answers that another thread computes meanwhile would change their last bits.
"""

from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class PlainAttention(TorchFunctionMode):
    """Compute attention step by step within a ``with`` block, wherever this thread calls for it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function; attention in a form that has every derivative."""
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_attention_math(*args, **kwargs)[0]
        if func is F.multi_head_attention_forward and not kwargs.get("need_weights", True):
            # it calls attention where no mode looks on, unless its weights are wanted
            return func(*args, **kwargs | {"need_weights": True})[0], None
        return func(*args, **kwargs)
