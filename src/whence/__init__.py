"""Image classifiers that show the training images every answer was computed from.

The names of the package are imported when they are first used, so that ``import whence`` and
``whence --help`` load no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whence import compat, encoders
    from whence.attribution.attribute import attribute
    from whence.attribution.baselines import BASELINES
    from whence.attribution.why_similar import why_similar
    from whence.autoencoders import VAES
    from whence.autoencoders.fit_vae import VAEPlan, fit_vae
    from whence.autoencoders.saved_vae import load_vae, save_vae
    from whence.checks.check import check
    from whence.data.load import load_dataset
    from whence.data.near_duplicates import find_near_duplicates
    from whence.data.read_images import read_images
    from whence.data.sample import load_sample
    from whence.deploy.export_onnx import export_onnx
    from whence.estimators.evidence_classifier import EvidenceClassifier
    from whence.evidence.calibrate import calibrate
    from whence.evidence.choose_threshold import choose_threshold
    from whence.evidence.design_memory import design_memory
    from whence.evidence.edit import edit
    from whence.evidence.erase_groups import erase_groups
    from whence.evidence.evaluate import evaluate
    from whence.evidence.explain import explain
    from whence.evidence.learn_again import learn_again
    from whence.evidence.predict import predict
    from whence.evidence.removal import find_removals
    from whence.evidence.suspicious import find_suspicious
    from whence.evidence.trace_sizes import trace_sizes
    from whence.gather.viewed import view
    from whence.memory import HEADS, SIMILARITIES
    from whence.memory.attend import attend
    from whence.memory.feature_heads import MemoryWrap, OnlyMemory
    from whence.memory.sparsemax import sparsemax
    from whence.models.classifier import Classifier
    from whence.models.load import load
    from whence.models.save import save
    from whence.models.whole_graph import as_graph
    from whence.models.wrap import wrap
    from whence.morphing import OTHERS, PATHS
    from whence.morphing.morph import morph
    from whence.morphing.path_mask import MaskPlan
    from whence.morphing.stored_codes import store_codes
    from whence.morphing.walk import MorphPlan
    from whence.records.images import ImageSet
    from whence.runs.load_parts import load_parts
    from whence.selections import SELECTIONS
    from whence.sharing.push import push
    from whence.training.fit import fit
    from whence.training.plan import Plan
    from whence.training.recipes import RECIPES, Recipe

PLACES = {
    "BASELINES": "whence.attribution.baselines",
    "Classifier": "whence.models.classifier",
    "EvidenceClassifier": "whence.estimators.evidence_classifier",
    "HEADS": "whence.memory",
    "ImageSet": "whence.records.images",
    "MaskPlan": "whence.morphing.path_mask",
    "MemoryWrap": "whence.memory.feature_heads",
    "MorphPlan": "whence.morphing.walk",
    "OTHERS": "whence.morphing",
    "OnlyMemory": "whence.memory.feature_heads",
    "PATHS": "whence.morphing",
    "Plan": "whence.training.plan",
    "RECIPES": "whence.training.recipes",
    "Recipe": "whence.training.recipes",
    "SELECTIONS": "whence.selections",
    "SIMILARITIES": "whence.memory",
    "VAEPlan": "whence.autoencoders.fit_vae",
    "VAES": "whence.autoencoders",
    "as_graph": "whence.models.whole_graph",
    "attend": "whence.memory.attend",
    "attribute": "whence.attribution.attribute",
    "calibrate": "whence.evidence.calibrate",
    "check": "whence.checks.check",
    "choose_threshold": "whence.evidence.choose_threshold",
    "design_memory": "whence.evidence.design_memory",
    "edit": "whence.evidence.edit",
    "erase_groups": "whence.evidence.erase_groups",
    "evaluate": "whence.evidence.evaluate",
    "explain": "whence.evidence.explain",
    "export_onnx": "whence.deploy.export_onnx",
    "find_near_duplicates": "whence.data.near_duplicates",
    "find_removals": "whence.evidence.removal",
    "find_suspicious": "whence.evidence.suspicious",
    "fit": "whence.training.fit",
    "fit_vae": "whence.autoencoders.fit_vae",
    "learn_again": "whence.evidence.learn_again",
    "load": "whence.models.load",
    "load_dataset": "whence.data.load",
    "load_parts": "whence.runs.load_parts",
    "load_sample": "whence.data.sample",
    "load_vae": "whence.autoencoders.saved_vae",
    "morph": "whence.morphing.morph",
    "predict": "whence.evidence.predict",
    "push": "whence.sharing.push",
    "read_images": "whence.data.read_images",
    "save": "whence.models.save",
    "save_vae": "whence.autoencoders.saved_vae",
    "sparsemax": "whence.memory.sparsemax",
    "store_codes": "whence.morphing.stored_codes",
    "trace_sizes": "whence.evidence.trace_sizes",
    "view": "whence.gather.viewed",
    "why_similar": "whence.attribution.why_similar",
    "wrap": "whence.models.wrap",
}
MODULES = ("compat", "encoders")

__all__ = [
    "BASELINES",
    "HEADS",
    "OTHERS",
    "PATHS",
    "RECIPES",
    "SELECTIONS",
    "SIMILARITIES",
    "VAES",
    "Classifier",
    "EvidenceClassifier",
    "ImageSet",
    "MaskPlan",
    "MemoryWrap",
    "MorphPlan",
    "OnlyMemory",
    "Plan",
    "Recipe",
    "VAEPlan",
    "as_graph",
    "attend",
    "attribute",
    "calibrate",
    "check",
    "choose_threshold",
    "compat",
    "design_memory",
    "edit",
    "encoders",
    "erase_groups",
    "evaluate",
    "explain",
    "export_onnx",
    "find_near_duplicates",
    "find_removals",
    "find_suspicious",
    "fit",
    "fit_vae",
    "learn_again",
    "load",
    "load_dataset",
    "load_parts",
    "load_sample",
    "load_vae",
    "morph",
    "predict",
    "push",
    "read_images",
    "save",
    "save_vae",
    "sparsemax",
    "store_codes",
    "trace_sizes",
    "view",
    "why_similar",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in MODULES:
        return import_module(f"whence.{name}")
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'whence' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
