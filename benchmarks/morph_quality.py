"""How good codes, morphs, masks and the three kinds of other are on real images.

Claims (docs/results.md, "Morphing"): nearly every image has a code that keeps the classifier's two
top classes; nearly every such code can be morphed; the gradient grows with entropy.

    python -m benchmarks.morph_quality RUN VAE SECOND [--images 1000] [--parts codes morphs ...]

RUN and SECOND are folders of ``whence train`` on the same images, VAE one of ``whence train-vae``.
The images are drawn from RUN's test images by the seed, the stored images are those that RUN was
trained on. Prints Markdown tables; "a ± b" is a mean and 1.96 standard errors, "a (b to c)" a share
with Wilson's interval of 95 %.
"""

import argparse
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

import whence
from benchmarks.class_autoencoders import Autoencoders, measure_realism, train_autoencoders
from benchmarks.sides import machine
from whence.data.augment import to_float
from whence.experiments.finished import load_run_data, read_run, read_settings
from whence.experiments.prepare import split_data
from whence.explanation.morph.answers import classify_images
from whence.explanation.morph.code import SAMPLES, Codes, find_codes
from whence.explanation.morph.entropy import Correlation, correlate, group_windows, measure_path
from whence.explanation.morph.gain import (
    gain_kept,
    integrate_gradients,
    plain_gradient,
    random_order,
)
from whence.explanation.morph.improve import Descent
from whence.explanation.morph.interpolate import decode_path, radial
from whence.explanation.morph.mistakes import find_mistakes
from whence.explanation.morph.morphing import NORM_WEIGHTS, MorphPlan
from whence.explanation.morph.others import (
    OTHERS,
    Asked,
    Others,
    Stored,
    choose_classes,
    store_codes,
)
from whence.explanation.morph.path_mask import path_masks
from whence.explanation.morph.quality import (
    code_proximity,
    distance_to_real,
    pixel_proximity,
    sparsity,
    validity,
)
