"""Which rule of layer-wise relevance propagation is for which layers; loads no torch."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from whence.messages import quote


class Composite(NamedTuple):
    """Names of rules."""

    first: str  # for layers with weights that no other such layer comes before
    convolution: str
    dense: str


COMPOSITES: Mapping[str, Composite] = MappingProxyType(
    {
        "epsilon_plus": Composite("z_plus", "z_plus", "epsilon"),
        "epsilon_plus_flat": Composite("flat", "z_plus", "epsilon"),
        "epsilon_alpha2_beta1": Composite("alpha_beta", "alpha_beta", "epsilon"),
        "epsilon_alpha2_beta1_flat": Composite("flat", "alpha_beta", "epsilon"),
        "epsilon_gamma_box": Composite("box", "gamma", "epsilon"),
    }
)
"""Composites by name, as zennit calls them."""

SINGLE: Mapping[str, Composite] = MappingProxyType(
    {
        name: Composite(name, name, name)
        for name in ("epsilon", "alpha_beta", "z_plus", "gamma", "w_squared", "flat")
    }
    | {"box": Composite("box", "z_plus", "z_plus")}
)
"""The same rule everywhere; the box is for the first layers alone."""


def choose_rules(rule: str | None, composite: str | None) -> Composite:
    """Choose by the name of a rule or of a composite.

    Raises:
        ValueError: if there is none of this name, or both are given.
    """
    if rule is not None and composite is not None:
        raise ValueError(
            f"rule must be left out where there is a composite, got {quote(rule)} and "
            f"{quote(composite)}."
        )
    family, table, name = (
        ("rule", SINGLE, rule or "epsilon")
        if composite is None
        else ("composite", COMPOSITES, composite)
    )
    if name not in table:
        raise ValueError(f"Unknown {family} {quote(name)}. Choose from: {', '.join(table)}.")
    return table[name]
