"""What can go wrong, in one short family.

Every message says what was given, what was expected and what to do about it. The exit code is the one the command
line ends with: 2 for input that cannot be used, 3 where no equilibrium was found or none exists.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DetenteError(Exception):
    """Anything détente refuses to do, with the reason and the mend in its message."""

    exit_code = 2


class InputError(DetenteError):
    """The input cannot be used as it stands: a wrong name, a share outside its range, a file of another kind."""


class InfeasibleError(DetenteError):
    """No equilibrium exists for this combination of shock and closure; the message says which condition fails."""

    exit_code = 3


class ConvergenceError(DetenteError):
    """The solver stopped before the equilibrium conditions held; the message gives residual, steps and advice."""

    exit_code = 3


def unknown_name(kind: str, given: str, known: Iterable[str], advice: str = "") -> InputError:
    """An `InputError` for a name that is not in `known`, with the nearest matches offered.

    `kind` is the noun shown ("country", "sector"); `advice` is appended, e.g. where the names are listed.
    """
    names = list(known)
    folded = {name.casefold(): name for name in names}
    near = get_close_matches(str(given).casefold(), folded, n=3, cutoff=0.5)
    if near:
        hint = "Did you mean " + " or ".join(f"`{folded[name]}`" for name in near) + "?"
    elif len(names) <= 12:
        hint = "Known: " + ", ".join(names) + "."
    else:
        hint = f"{len(names)} are known, for instance {', '.join(names[:5])}."
    return InputError(f"There is no {kind} `{given}`. {hint} {advice}".rstrip())
