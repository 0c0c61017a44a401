"""What commands share on the terminal: a spinner, and tables whose cells wrap."""

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest

GAP = "  "


@contextmanager
def busy(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner on the terminal (standard error) while something takes time; silent when piped.

    Gives a function that changes its text.
    """
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} …") as status:
        yield lambda text: status.update(f"{text} …")


def lines(cells: Sequence[str], widths: Sequence[int], right: frozenset[int] = frozenset()) -> list[str]:
    """One row of a table: cells wrapped to `widths`, those at `right` flush right; no spaces at line ends.

    A line break in a cell stays one; a number and its % stay together.
    """
    wrapped = [
        [
            line
            for part in cell.replace(" %", "\N{NO-BREAK SPACE}%").split("\n")
            for line in textwrap.wrap(part, width) or [""]
        ]
        for cell, width in zip(cells, widths, strict=True)
    ]
    rows = zip_longest(*wrapped, fillvalue="")
    return [
        GAP.join(
            f"{text:>{width}}" if at in right else f"{text:{width}}"
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], right: Sequence[int] = ()
) -> str:
    """A heading, a rule and the rows, as text."""
    flush = frozenset(right)
    rule = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return "\n".join(
        [*lines(head, widths, flush), rule, *(x for row in rows for x in lines(row, widths, flush))]
    )


def fill(text: str, indent: str = "", width: int = 112) -> str:
    """Every line of `text` wrapped, what continues a line set in by `indent`; a number and its % stay together."""
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.replace(" %", "\N{NO-BREAK SPACE}%").splitlines()
    )
