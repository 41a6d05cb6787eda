"""Which operations are of one kind, whatever a method does with that kind."""

from whence.attribution.graph.node import Slot, aten
from whence.attribution.graph.overwritten import lay_over, replace_numbers

RESHAPED = frozenset({aten.view, aten._unsafe_view, aten.reshape, aten.unsqueeze, aten.squeeze})
"""They keep the numbers in order."""

MOVED_ABOUT = frozenset(
    {
        aten.permute,
        aten.transpose,
        aten.t,
        aten.expand,
        aten.select,
        aten.slice,
        aten.split,
        aten.split_with_sizes,
        aten.unsafe_split,
        aten.unsafe_split_with_sizes,
        aten.unbind,
        aten.cat,
        aten.stack,
        aten.index,
        aten.index_select,
        aten.gather,
        aten.flip,
        aten.roll,
        aten.repeat,
        aten.unfold,
        aten.diagonal,
        aten.rot90,
        aten.channel_shuffle,
        aten.masked_select,
        aten.scatter,
        aten.index_copy,
        aten.index_fill,
        aten.index_put,
        aten.select_scatter,
        aten.slice_scatter,
        aten.diag_embed,
        lay_over,
        replace_numbers,
    }
)
"""They move numbers, and leave some out, whatever the numbers are."""

ROUTES = (
    RESHAPED
    | MOVED_ABOUT
    | {
        aten.as_strided,
        aten.clone,
        aten._to_copy,
        aten.alias,
        aten.constant_pad_nd,
        aten.reflection_pad1d,
        aten.reflection_pad2d,
        aten.reflection_pad3d,
        aten.replication_pad1d,
        aten.replication_pad2d,
        aten.replication_pad3d,
        aten.pixel_shuffle,
        aten.pixel_unshuffle,
        aten.upsample_nearest1d,
        aten.upsample_nearest2d,
        aten.upsample_nearest3d,
        aten._upsample_nearest_exact1d,
        aten._upsample_nearest_exact2d,
        aten.im2col,
        aten.max_unpool2d,
        aten.tril,
        aten.triu,
        aten.fill,
        aten.zero,
        aten.topk,
        aten.sort,
        aten.max_pool2d_with_indices,
        aten.max_pool3d_with_indices,
        aten.adaptive_max_pool2d,
        aten.adaptive_max_pool3d,
        aten.amax,
        aten.amin,
        aten.max,
        aten.min,
        aten.median,
        aten.nanmedian,
        aten.mode,
        aten.kthvalue,
        aten.cummax,
        aten.cummin,
        aten.maximum,
        aten.minimum,
        aten.where,
        aten.masked_fill,
    }
)
"""Every number that comes out is one that went in, or a constant."""

FILLING = frozenset(
    {
        aten.constant_pad_nd,
        aten.masked_fill,
        aten.where,
        aten.scatter,
        aten.index_fill,
        aten.diag_embed,
        aten.fill,
        aten.zero,
    }
)
"""Routes that may put a number of their own beside those that went in."""

CONSTANTS = frozenset(
    {
        aten.zeros_like,
        aten.ones_like,
        aten.full_like,
        aten.empty_like,
        aten.rand_like,
        aten.randn_like,
        aten.new_zeros,
        aten.new_ones,
        aten.new_full,
        aten.new_empty,
        aten.new_empty_strided,
    }
)
"""They read nothing of a tensor but its shape, type and place."""

SUMS = frozenset(
    {
        aten.mean,
        aten.sum,
        aten.avg_pool2d,
        aten.avg_pool3d,
        aten._adaptive_avg_pool2d,
        aten._adaptive_avg_pool3d,
        aten.upsample_linear1d,
        aten.upsample_bilinear2d,
        aten.upsample_bicubic2d,
        aten.upsample_trilinear3d,
        aten._upsample_bilinear2d_aa,
        aten._upsample_bicubic2d_aa,
        aten.col2im,
        aten.cumsum,
        aten.trace,
    }
)
"""Numbers are sums of numbers, with constant factors."""

ADDITIONS_TO = frozenset({aten.scatter_add, aten.index_add})
"""Numbers are added to some of others."""

PRODUCTS = frozenset(
    {
        aten.convolution,
        aten.mm,
        aten.bmm,
        aten.mv,
        aten.dot,
        aten.linalg_cross,
        aten.addmm,
        aten.addmv,
        aten.addr,
        aten.addbmm,
        aten.baddbmm,
        aten.addcmul,
        aten._trilinear,
    }
)
"""Sums of products of two, to which something may be added; linear in each of the two."""

RECTIFIERS = frozenset(
    {
        aten.relu,
        aten.hardtanh,
        aten.leaky_relu,
        aten._prelu_kernel,
        aten.elu,
        aten.celu,
        aten.silu,
        aten.gelu,
        aten.mish,
        aten.hardswish,
        aten.threshold,
        aten.clamp_min,
    }
)
"""Activations that let through what is above 0, more or less, and hold back what is below."""

ACTIVATIONS = RECTIFIERS | {
    aten.softplus,
    aten.tanh,
    aten.sigmoid,
    aten.hardsigmoid,
    aten.clamp,
    aten.clamp_max,
    aten.abs,
    aten.pow,
    aten.sqrt,
    aten.rsqrt,
    aten.reciprocal,
    aten.exp,
    aten.expm1,
    aten.log1p,
    aten.erf,
    aten.sin,
    aten.cos,
    aten.tan,
    aten.asin,
    aten.acos,
    aten.atan,
    aten.sinh,
    aten.cosh,
    aten.asinh,
    aten.acosh,
    aten.atanh,
    aten.erfc,
    aten.log,
    aten.log2,
    aten.log10,
    aten.logit,
    aten.log_sigmoid_forward,
    aten.sign,
    aten.round,
    aten.floor,
    aten.ceil,
    aten.trunc,
    aten.frac,
    aten.fmod,
    aten.remainder,
    aten.nan_to_num,
    aten.hardshrink,
    aten.softshrink,
}
"""Every number that comes out is a function of one number that went in."""

GATES = frozenset({aten.sigmoid, aten.hardsigmoid, aten.rsqrt, aten.reciprocal})
"""What is multiplied by their output is let through, or brought to a length."""


def find_gate(slots: list[Slot]) -> int | None:
    """Find which of two factors is a gate of the other; None for neither."""
    return next((place for place in (1, 0) if is_gate(slots[place])), None)


def is_gate(slot: Slot) -> bool:
    """Say whether a value is a gate, or a product of gates, whatever its shape."""
    maker = slot.maker
    if maker is None or maker.operation in GATES:
        return maker is not None
    through = maker.operation in ROUTES or maker.operation is aten.mul
    return through and all(map(is_gate, maker.inputs))
