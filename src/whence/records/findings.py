"""What a study found, ours beside what was published."""

from dataclasses import dataclass

Entry = str | int | float | None
"""One entry of a table; None where there is nothing to say."""


@dataclass(frozen=True)
class Findings:
    """The table of a study, and what it says of the study's claim.

    Attributes:
        columns: one name per column.
        rows: entries in the order of the columns; fractions, not percent.
        holds: the claim was borne out.
        verdict: one sentence that says so, with the numbers that decide.
        page: HTML that shows what the numbers are of; "" for none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    holds: bool
    verdict: str
    page: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows must have {len(self.columns)} entries, one per column, got {len(row)}."
                )
