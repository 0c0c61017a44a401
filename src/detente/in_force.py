"""The first step of a scenario with a regime, and how it reads in words: one sentence a sender."""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from detente.law import LegalMeasure
from detente.measure import in_short, named, spoken
from detente.regime import Regime


@dataclass(frozen=True)
class InForce:
    """The first step of a scenario with a regime: the measures of the catalogue in force on a day."""

    day: datetime.date
    place: str = field(default="", compare=False, repr=False)

    @property
    def source(self) -> str:
        """What to cite."""
        return (
            f"Catalogue of measures, as in force on {spoken(self.day)}; each cites its law "
            "(src/detente/data/measures, docs/measures.md). How they combine: docs/regime.md."
        )

    def sentences(self) -> list[str]:
        """One sentence a sender, in the order of their number of measures."""
        measures = Regime.load().on(self.day).measures
        order = Counter(measure.sender for measure in measures).most_common()
        groups = [[measure for measure in measures if measure.sender == sender] for sender, _ in order]
        return [_in_force(group, self.day) for group in groups]

    def __str__(self) -> str:
        return " ".join(self.sentences())


def _in_force(measures: Sequence[LegalMeasure], day: datetime.date, most: int = 3) -> str:
    """`The EU27 keeps 51 measures on Russia in force on …: it cuts its imports of coal by 98 %, …`."""
    targets = Counter(target for measure in measures for target in measure.targets).most_common()
    on = named(targets[0][0]) + (" and others" if len(targets) > 1 else "")
    readings = sorted(
        (
            reading
            for measure in measures
            for reading in measure.reading
            if reading.instrument in ("cut", "ban")
        ),
        key=lambda reading: 1.0 if reading.size is None else reading.size,
        reverse=True,
    )
    strongest: dict[tuple[str, tuple[str, ...]], str] = {}
    for reading in readings:
        flow, size = (reading.direction, reading.sectors), reading.size
        strongest.setdefault(flow, in_short(*flow, 1.0 if size is None else size))
    number = f"{len(measures)} measure{'' if len(measures) == 1 else 's'}"
    sender = named(measures[0].sender)
    head = f"{sender[0].upper()}{sender[1:]} keeps {number} on {on} in force on {spoken(day)}"
    cuts = "; ".join(list(strongest.values())[:most])
    return f"{head}, the largest cuts: {cuts}." if cuts else f"{head}."
