"""How a scenario may end: possible outcomes, each with its probability and with what is done in it."""

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

from detente.errors import InputError
from detente.scenario_file import Source
from detente.steps import Step, read_steps

EXPECTED = "expected"  # what tables call the mean over the outcomes
SUM_TOLERANCE = 1e-9  # 0.1 + 0.2 + 0.7 is not 1 in binary; a mistake in a hand-written figure is far larger


@dataclass(frozen=True)
class PossibleOutcome:
    """One way in which a scenario may end.

    name: a few words. probability: above 0, at most 1; a user's judgement, not an estimate of this package.
    measures: what is done in it, after all steps of the scenario; none means that nothing more happens.
    Raises `InputError` for a value that is none of these.
    """

    name: str
    probability: float
    measures: Sequence[Step] = ()

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError(f"the name of an outcome is {reprlib.repr(self.name)}; expected a few words.")
        if self.name.strip().lower() == EXPECTED:
            raise InputError(
                f"an outcome cannot be named `{self.name}`: the mean over the outcomes is called that. "
                "Choose another name."
            )
        number = isinstance(self.probability, int | float) and not isinstance(self.probability, bool)
        if not number or not 0 < self.probability <= 1:
            raise InputError(
                f"the `probability` of `{self.name}` is {reprlib.repr(self.probability)}; expected a number "
                "above 0 and at most 1, as 0.3. Leave out an outcome that cannot happen."
            )
        for k, step in enumerate(self.measures):
            if not isinstance(step, Step):
                raise InputError(
                    f"measure {k + 1} of the outcome `{self.name}` is {reprlib.repr(step)}; expected a "
                    "`Measure`, a `Lifting` or another act."
                )

    @property
    def weight(self) -> str:
        """The probability in words, `70 %`."""
        return f"{100 * self.probability:.4g} %"

    def __str__(self) -> str:
        done = " ".join(map(str, self.measures)) or "Nothing more is done."
        return f"With probability {self.weight}, “{self.name}”: {done}"


def read_outcomes(source: Source) -> tuple[PossibleOutcome, ...]:
    """The list `outcomes` of checked plain data. Raises `InputError` with the line and the mend."""
    found = []
    for k, entry in enumerate(source.content.get("outcomes", [])):
        steps = read_steps(source, ("outcomes", k))
        try:
            found.append(PossibleOutcome(entry["name"], entry["probability"], steps))
        except InputError as problem:
            raise InputError(f"{source.place(('outcomes', k))}: {problem}") from None
    if found:
        check_outcomes(found, f"{source.place(('outcomes',))}: ")
    return tuple(found)


def check_outcomes(outcomes: Sequence[PossibleOutcome], place: str) -> None:
    """Raises `InputError` unless there are two or more, of different names, whose probabilities sum to one.

    `place` comes first in the message.
    """
    for k, outcome in enumerate(outcomes):
        if not isinstance(outcome, PossibleOutcome):
            raise InputError(
                f"{place}outcome {k + 1} is {reprlib.repr(outcome)}; expected a `PossibleOutcome`."
            )
    if len(outcomes) < 2:
        raise InputError(
            f"{place}found {len(outcomes)} outcome{'s' * (not outcomes)}, expected two or more. "
            "What is certain belongs among the `measures` of the scenario."
        )
    names = [outcome.name for outcome in outcomes]
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise InputError(f"{place}two outcomes have the name `{twice}`. Give each a name of its own.")
    total = math.fsum(outcome.probability for outcome in outcomes)
    if not abs(total - 1) <= SUM_TOLERANCE:
        shown = " + ".join(f"{outcome.probability:.12g}" for outcome in outcomes)
        raise InputError(
            f"{place}the probabilities sum to {total:.12g}, expected 1: {shown}. Change one by {1 - total:+.12g}, "
            "or add the outcome that is missing."
        )
