"""What a scenario does to measures besides lifting them: keep, suspend, bring back, bring into force."""

import datetime
from dataclasses import dataclass, field

from detente.errors import InputError
from detente.measure import Lifting, spoken


@dataclass(frozen=True)
class Keeping(Lifting):
    """What stays in force, whatever other steps of the scenario lift; it does not matter where it stands."""

    def __str__(self) -> str:
        return self.sentence("keep", ", whatever else is lifted")


@dataclass(frozen=True)
class Suspension(Lifting):
    """A lifting for a time. until: its last day, a date or a text as "2026-07-31"."""

    until: datetime.date | str = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.until, datetime.date):
            try:
                object.__setattr__(self, "until", datetime.date.fromisoformat(self.until))
            except (TypeError, ValueError):
                raise InputError(
                    f"`until` is `{self.until}`, which is no date. Write year-month-day, with a day that exists, "
                    "as 2025-02-17."
                ) from None

    def __str__(self) -> str:
        return self.sentence("suspend", f" until {spoken(self.until)}")


@dataclass(frozen=True)
class Snapback(Lifting):
    """The return of what earlier steps of the scenario lifted or suspended, as far as the keys name it."""

    def __str__(self) -> str:
        return self.sentence("reimpose")


@dataclass(frozen=True)
class Imposition:
    """A measure of the catalogue, not in force on the scenario's day, that comes into force."""

    id: str
    note: str = ""
    place: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"The measure `{self.id}` of the catalogue comes into force."
