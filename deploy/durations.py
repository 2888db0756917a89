"""How long, as a person writes it on a command line: 30d, 12h, 1d12h."""

import re
from datetime import timedelta

_UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))


def duration(text: str) -> timedelta:
    """Return the duration that `text` says. Raises ValueError, which says what would be one."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not found[0]:
        raise ValueError(f"{text!r} is not a duration. Write weeks, days, hours or minutes, such as 30d, 12h or 1d12h.")
    try:
        return sum((int(count) * _UNITS[unit] for unit, count in found.groupdict("0").items()), timedelta())
    except OverflowError:
        raise ValueError(f"{text!r} is longer than anything lasts. Write a shorter duration, such as 365d.") from None
