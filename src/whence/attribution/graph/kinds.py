"""Which operations are of one kind, whatever a method does with that kind."""

from whence.attribution.graph.node import Slot, aten

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
        aten.copy,
        aten.alias,
        aten.constant_pad_nd,
        aten.reflection_pad1d,
        aten.reflection_pad2d,
        aten.replication_pad1d,
        aten.replication_pad2d,
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
        aten.topk,
        aten.sort,
        aten.max_pool2d_with_indices,
        aten.max_pool3d_with_indices,
        aten.adaptive_max_pool2d,
        aten.amax,
        aten.amin,
        aten.max,
        aten.min,
        aten.maximum,
        aten.minimum,
        aten.where,
        aten.masked_fill,
    }
)
"""Every number that comes out is one that went in, or a constant."""

FILLING = frozenset({aten.constant_pad_nd, aten.masked_fill, aten.where})
"""Routes that may put a number of their own beside those that went in."""

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
    }
)
"""Numbers are sums of numbers, with constant factors."""

PRODUCTS = frozenset(
    {
        aten.convolution,
        aten.mm,
        aten.bmm,
        aten.mv,
        aten.dot,
        aten.addmm,
        aten.addmv,
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
