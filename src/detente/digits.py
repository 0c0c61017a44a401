"""How numbers are written for people: as many digits as the number has to say, a sign, a unit.

Small effects are what a reader of a sanctions model meets most, so 0.0031 % must not read 0.00 %. Minus
signs are typographic (−), the space before a unit does not break.
"""

import math

FINEST = (
    4  # decimals: a hundredth of a basis point, 0.1 million dollars; finer digits would be noise of the data
)
NEGLIGIBLE = 5e-5  # percent, and billion USD: below it a figure reads "≈ 0", for rounding would show 0.0000
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


def format_number(value: float, *, digits: int = 2, sign: bool = True) -> str:
    """The number with `digits` significant digits, at most `FINEST` decimals, no rounding before the
    point, commas.

    `sign` puts + before a positive number. Values below `NEGLIGIBLE` in size read "≈ 0"; not-a-number
    reads "n/a".
    """
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if size < NEGLIGIBLE:
        return f"≈{_SPACE}0"
    magnitude = math.floor(math.log10(size))
    if round(size, digits - 1 - magnitude) >= 10 ** (magnitude + 1):  # 0.0996 rounds to 0.10, not to 0.100
        magnitude += 1
    decimals = min(max(0, digits - 1 - magnitude), FINEST)
    before = _MINUS if value < 0 else "+" if sign else ""
    return f"{before}{size:,.{decimals}f}"


def format_percent(value: float, *, sign: bool = True) -> str:
    """A percentage, `+0.0031 %`; `value` is in percent."""
    text = format_number(value, sign=sign)
    return text if text == "n/a" else f"{text}{_SPACE}%"


def format_usd(value: float, *, sign: bool = True) -> str:
    """An amount in USD billion without the unit: `+8.1`, `−0.0042`, `1,204`."""
    return format_number(value, sign=sign)


def nice_ceiling(value: float) -> float:
    """The least of 1, 1.5, 2, 3, 5, 7 × 10^k that is not below `value` (which must be positive)."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        (step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= value * (1 - 1e-12)), 10 * power
    )
