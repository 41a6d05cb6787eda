"""Generators from seeds of up to 64 bits; nothing else seeds anything."""

import numpy as np
import torch

from whence.bounds import check_number

WORD = 2**32
"""Seeds below it are torch's own; of a larger one its CPU generator sees the low bits alone."""

STATE_WORDS = slice(24, 24 + 8 * 624)
"""Bytes of a CPU generator's state with the 624 words of its Mersenne Twister, 8 bytes each."""


def make_generator(seed: int) -> torch.Generator:
    """Make a generator on the CPU whose numbers depend on every bit of a seed.

    Args:
        seed: in 0 to 2**63 - 1. Below 2**32 the numbers are those of torch's ``manual_seed``.

    Raises:
        TypeError: if it is no whole number.
        ValueError: if it is out of these bounds.
    """
    check_number("seed", seed)
    generator = torch.Generator()
    seed_words(generator, seed)
    return generator


def seed_global(seed: int) -> None:
    """Seed the global generators of all devices with every bit of a seed.

    Args:
        seed: in 0 to 2**63 - 1. Below 2**32 the numbers are those of torch's ``manual_seed``.
    """
    torch.manual_seed(seed)  # those of GPUs see all bits
    seed_words(torch.default_generator, seed)


def seed_words(generator: torch.Generator, seed: int) -> None:
    """Seed a generator on the CPU; with two words, low and high, where one does not hold the seed.

    Matsumoto and Nishimura (2002), ``init_by_array``, as NumPy's ``RandomState`` has it.
    """
    generator.manual_seed(seed)
    if seed < WORD:
        return
    words = np.random.RandomState([seed % WORD, seed // WORD]).get_state(legacy=False)
    state = generator.get_state()
    keys = words["state"]["key"].astype("<u8")  # (624,)
    state[STATE_WORDS] = torch.from_numpy(keys.view(np.uint8))
    generator.set_state(state)


def make_numpy_generator(seed: int) -> np.random.Generator:
    """Make a generator of NumPy's from a seed of at least 0."""
    return np.random.default_rng(seed)
