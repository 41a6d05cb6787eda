"""Relevance of pixels: of an image, and of the stored images that its answer was computed from."""

from whence.table import Table

FILES = "whence.attribution.methods"

METHODS = Table(
    "attribution method",
    {
        "integrated_gradients": f"{FILES}.integrated_gradients:INTEGRATED_GRADIENTS",
        "path_integrated_gradients": f"{FILES}.path_integrated_gradients:PATH_INTEGRATED_GRADIENTS",
        "expected_gradients": f"{FILES}.expected_gradients:EXPECTED_GRADIENTS",
        "gradient": f"{FILES}.gradient:GRADIENT",
        "gradient_x_input": f"{FILES}.gradient_x_input:GRADIENT_X_INPUT",
        "smoothgrad": f"{FILES}.smoothgrad:SMOOTHGRAD",
        "occlusion": f"{FILES}.occlusion:OCCLUSION",
        "lime": f"{FILES}.lime:LIME",
        "kernel_shap": f"{FILES}.kernel_shap:KERNEL_SHAP",
        "mask": f"{FILES}.mask:MASK",
        "grad_cam": f"{FILES}.grad_cam:GRAD_CAM",
        "taylor": f"{FILES}.taylor:TAYLOR",
        "edges": f"{FILES}.edges:EDGES",
        "lrp": f"{FILES}.lrp:LRP",
        "deep_taylor": f"{FILES}.deep_taylor:DEEP_TAYLOR",
        "deeplift": f"{FILES}.deeplift:DEEPLIFT",
        "excitation_backprop": f"{FILES}.excitation_backprop:EXCITATION_BACKPROP",
        "guided_backprop": f"{FILES}.guided_backprop:GUIDED_BACKPROP",
        "deconvnet": f"{FILES}.deconvnet:DECONVNET",
        "cam": f"{FILES}.cam:CAM",
        "random": f"{FILES}.random:RANDOM",
    },
)
"""Every attribution method by name, a ``Method``: ``METHODS[name](score, images, option=...)``.

``score`` is a ``Score`` of B images, ``images`` are these `(B, C, H, W)`, options are given by
name; the answer is a ``FoundRelevance``. A method knows nothing of models, targets or memories.
"""

__all__ = ["METHODS"]
