"""The code of an image: one whose decoding the classifier sees as it sees the image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whence.autoencoders.vae import VAE, absolute_distance, encode_images
from whence.bounds import BATCH_SIZE
from whence.data.as_images import Images, as_images
from whence.data.augment import to_float
from whence.memory.attention import at_least_float32
from whence.models.classifier import Classifier
from whence.morphing.answers import check_fit, classify_codes, classify_images, top_two
from whence.morphing.improve import Descent, improve_codes, lack_of_order
from whence.records.show import show_record
from whence.shapes import check_batch_size

SAMPLES = 40


@dataclass(frozen=True, eq=False, repr=False)
class Codes:
    """Codes of images and how each was found; on the CPU.

    Attributes:
        codes: `(B, Z)`; of an image without a code, the nearest miss.
        decoded: `(B, C, H, W)` their decodings, in [0, 1].
        distances: `(B,)` mean absolute difference of a decoding from its image, in [0, 1].
        classes: `(B, 2)` the classifier's two top classes for the image, the first one first.
        decoded_classes: `(B, 2)` those for the decoding.
        how: per image "sampled", "optimised", or "none" if it has no code.
        reasons: per image None, or a sentence that says why it has no code.
    """

    codes: Tensor
    decoded: Tensor
    distances: Tensor
    classes: Tensor
    decoded_classes: Tensor
    how: tuple[str, ...]
    reasons: tuple[str | None, ...]

    __repr__ = show_record

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Sequence[int]) -> "Codes":
        """Keep the codes of some images, in that order."""
        chosen = torch.tensor(rows, dtype=torch.int64)
        return Codes(
            codes=self.codes[chosen],
            decoded=self.decoded[chosen],
            distances=self.distances[chosen],
            classes=self.classes[chosen],
            decoded_classes=self.decoded_classes[chosen],
            how=tuple(self.how[row] for row in rows),
            reasons=tuple(self.reasons[row] for row in rows),
        )

    @property
    def found(self) -> Tensor:
        """Return `(B,)` bool, True where the image has a code."""
        return torch.tensor([how != "none" for how in self.how], dtype=torch.bool)


@dataclass
class Picked:
    """The best code of each image so far, `(b, Z)`, and whether it keeps the classes, `(b,)`."""

    codes: Tensor
    keeps: Tensor


def find_codes(
    model: Classifier,
    vae: VAE,
    images: Images,
    *,
    generator: torch.Generator,
    samples: int = SAMPLES,
    descent: Descent | None = None,
    batch_size: int = BATCH_SIZE,
) -> Codes:
    """Find the code of each image: sample, and improve one by descent where no sample will do.

    Sampling is section 5.1 of the thesis: of the codes that the encoder's distribution gives, those
    count whose decoding has the same two top classes as the image, in the same order; the one whose
    decoding is closest to the image in L1 is taken. Where there is none, the code that lacks least,
    of the samples and the mean, is improved (``improve_codes``), which the thesis does not do.

    Args:
        model: any classifier, with its bank if it has a memory. An image that is in the bank is
            classified with itself left out, as ``explain`` does. Nothing in the model changes.
        vae: of images of the same size.
        images: `(B, C, H, W)` uint8 or float in [0, 1].
        generator: of the samples; each image draws its own, one after the other, so that the batch
            size changes nothing.
        samples: codes drawn for each image.
        descent: how to improve codes; ``Descent(steps=0)`` does not, which is the thesis's way.
        batch_size: codes decoded and classified at once.

    Returns:
        One code per image, with the reason where there is none.

    Raises:
        ValueError: if the sizes do not fit, or ``samples`` is below 1.
        RuntimeError: if the model has no bank that fits it.
    """
    check_fit(model, vae)
    check_batch_size(batch_size)
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}.")
    descent = descent or Descent()
    asked = as_images(images, model)
    logits = classify_images(model, asked, batch_size=batch_size)
    device = vae.variance.device
    wanted = top_two(logits).to(device)  # (B, 2)
    pixels = to_float(asked.to(device)).to(vae.variance.dtype)
    picked = sample_codes(
        model, vae, pixels, wanted, samples=samples, generator=generator, batch_size=batch_size
    )
    codes, how = picked.codes, ["sampled" if keeps else "none" for keeps in picked.keeps.tolist()]
    missing = (~picked.keeps).nonzero().squeeze(1)
    if descent.steps > 0 and len(missing) > 0:
        improved = improve_codes(
            model,
            vae,
            pixels[missing],
            codes[missing],
            wanted[missing],
            descent=descent,
            batch_size=batch_size,
        )
        codes[missing] = improved.codes
        for row, found in zip(missing.tolist(), improved.found.tolist(), strict=True):
            how[row] = "optimised" if found else "none"
    decoded, again = classify_codes(model, vae, codes, batch_size=batch_size)
    seen, distances = top_two(again), absolute_distance(decoded, pixels)
    return Codes(
        codes=codes.cpu(),
        decoded=decoded.cpu(),
        distances=distances.cpu(),
        classes=wanted.cpu(),
        decoded_classes=seen.cpu(),
        how=tuple(how),
        reasons=explain_misses(
            model.class_names, how, wanted, seen, distances, samples, descent.steps
        ),
    )


def sample_codes(
    model: Classifier,
    vae: VAE,
    images: Tensor,
    wanted: Tensor,
    *,
    samples: int,
    generator: torch.Generator,
    batch_size: int,
) -> Picked:
    """Draw codes from the encoder's distributions and pick the best of each image.

    Args:
        model: any classifier, with its bank if it has a memory.
        vae: of images of the same size.
        images: `(B, C, H, W)` float in [0, 1], on the autoencoder's device.
        wanted: `(B, 2)` the two classes to keep, on the same device.
        samples: S, codes per image.
        generator: of the samples.
        batch_size: codes decoded and classified at once.

    Returns:
        The closest code in L1 that keeps the classes, or of the samples and the mean the one that
        lacks least.
    """
    means, deviations = map(at_least_float32, encode_images(vae, images, batch_size=batch_size))
    together = max(1, batch_size // (samples + 1))  # images
    codes, keeps = [], []
    for first in range(0, len(images), together):
        mean, deviation = means[first : first + together], deviations[first : first + together]
        some, two = images[first : first + together], wanted[first : first + together]
        noise = [
            torch.randn(samples, vae.codes, generator=generator, device=generator.device)
            for _ in mean
        ]
        drawn = mean[:, None] + deviation[:, None] * torch.stack(noise).to(mean)
        tried = torch.cat([drawn, mean[:, None]], 1)  # (b, S + 1, Z)
        picked = pick(model, vae, some, two, tried, batch_size=batch_size)
        codes.append(picked.codes)
        keeps.append(picked.keeps)
    return Picked(torch.cat(codes), torch.cat(keeps))


def pick(
    model: Classifier, vae: VAE, images: Tensor, wanted: Tensor, tried: Tensor, *, batch_size: int
) -> Picked:
    """Pick of `(b, S + 1, Z)` codes, the last of them the mean, as ``sample_codes`` says."""
    count = tried.shape[1]
    decoded, logits = classify_codes(model, vae, tried.flatten(0, 1), batch_size=batch_size)
    logits = logits.to(decoded.device)
    repeated = wanted.repeat_interleave(count, 0)  # (b * (S + 1), 2)
    same = (top_two(logits) == repeated).all(1).view(-1, count)
    whole = logits.isfinite().all(1).view(-1, count)
    same &= whole
    same[:, -1] = False  # the mean is a place to start from, not a sample
    distances = absolute_distance(decoded, images.repeat_interleave(count, 0)).view(-1, count)
    lacking = lack_of_order(logits, repeated).view(-1, count)
    keeps = same.any(1)
    lacking = lacking.masked_fill(~whole, torch.inf)
    worth = torch.where(keeps[:, None], distances.masked_fill(~same, torch.inf), lacking)
    best = worth.argmin(1)
    return Picked(tried[torch.arange(len(tried), device=tried.device), best], keeps)


def explain_misses(
    names: tuple[str, ...],
    how: list[str],
    wanted: Tensor,
    seen: Tensor,
    distances: Tensor,
    samples: int,
    steps: int,
) -> tuple[str | None, ...]:
    """Say of each image without a code how the autoencoder fails on it, and what to do."""
    tried = f"none of {samples} samples"
    if steps > 0:
        tried += f" and {steps} steps of improving one"
    reasons: list[str | None] = []
    columns = zip(how, wanted.tolist(), seen.tolist(), distances.tolist(), strict=True)
    for one, two, there, distance in columns:
        first, second, *nearest = (names[place] for place in (*two, *there))
        miss = "The nearest decodes to NaN or infinity."
        if math.isfinite(distance):
            miss = (
                f"The nearest is off by {distance:.1%} of the range of a pixel on average, and the "
                f"model sees {nearest[0]} before {nearest[1]} in it."
            )
        reasons.append(
            f"The autoencoder is not good enough for this image: in {tried} does the model clearly "
            f"see {first} before {second}, as in the image. {miss} Train the autoencoder longer."
            if one == "none"
            else None
        )
    return tuple(reasons)
