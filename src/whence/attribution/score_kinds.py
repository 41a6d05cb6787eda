"""What a score can be of: loads no torch."""

from typing import Literal, get_args

ScoreKind = Literal["logit", "similarity"]
"""What logits say, or, of votes, the log-odds of two classes by the similarities behind them."""

SCORE_KINDS: tuple[str, ...] = get_args(ScoreKind)
