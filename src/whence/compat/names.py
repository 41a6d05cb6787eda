"""The authors' names of networks, variants and datasets, and ours; loads no torch."""

from types import MappingProxyType

AUTHORS_MODELS = MappingProxyType(
    {
        "mobilenet": "mobilenet_v2",
        "efficientnet": "efficientnet_b0",
        "resnet18": "resnet18",
        "googlenet": "googlenet",
        "densenet": "densenet",
        "densenet169": "densenet",  # their code builds the small one under this name too
        "shufflenet": "shufflenet_v2",
        "wide-resnet": "wide_resnet_28_10",
    }
)
"""Their model names and the names in ``ENCODERS``."""

MODALITIES = MappingProxyType(
    {"std": "standard", "memory": "only-memory", "encoder_memory": "memory-wrap"}
)
"""Their ``--modality`` and the names in ``HEADS``."""

AUTHORS_DATASETS = MappingProxyType({"SVHN": "svhn", "CIFAR10": "cifar10", "CINIC10": "cinic10"})
"""Their dataset names and the names in ``DATASETS``."""
