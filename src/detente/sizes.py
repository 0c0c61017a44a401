"""Where in its range each measure's size is taken: at its low end, at its central value, or at its high end.

One position holds for all measures of a situation together, so that a result shows what the ranges mean as a whole.
"""

from detente.errors import unknown_name

LOW, CENTRAL, HIGH = CUTS = ("low", "central", "high")


def placed(size: float | None, span: tuple[float, float] | None, cuts: str) -> float | None:
    """The size at a position of its range; the size itself where there is no range, None for a ban.

    Raises `InputError` for a position that does not exist.
    """
    if cuts not in CUTS:
        raise unknown_name("position of sizes", cuts, CUTS)
    if size is None or span is None or cuts == CENTRAL:
        return size
    return span[0] if cuts == LOW else span[1]


def sentence(cuts: str) -> str:
    """The position in words, for a scenario's sentences; empty for the central one."""
    return "" if cuts == CENTRAL else f"Every size that has a range is taken at its {cuts} end."
