"""NCRONTAB: the schedule expressions of timer triggers.

Six fields, `{second} {minute} {hour} {day} {month} {day-of-week}`, or five without seconds. A field is a list of
`*`, `n`, `a-b`, each with an optional `/step`; months and weekdays have English three-letter names; Sunday is 0.
A day has to satisfy day, month *and* weekday (unlike cron of Unix, which is why no cron library is used here).
Source: atifaziz/NCrontab, and "NCRONTAB expressions" in the documentation of the timer trigger.
"""

import datetime as dt
from collections.abc import Iterator

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _WEEKDAYS),
)
_HORIZON_DAYS = 366 * 40
"""29 February on a given weekday comes once in 28 years, or 40 around a century without a leap year."""


class Schedule:
    """A parsed expression.

    Raises:
        ValueError: the expression is malformed, or no moment satisfies it. The message is meant for people.
    """

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) == len(_FIELDS) - 1:
            fields.insert(0, "0")
        if len(fields) != len(_FIELDS):
            raise ValueError(f"{expression!r}: five or six fields are expected.")
        self._expression = expression
        values = [_values(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
        self._seconds, self._minutes, self._hours, self._days, self._months, self._weekdays = values
        self.next_after(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The first whole second after `moment` (UTC) that satisfies the expression."""
        floor = moment.replace(microsecond=0) + dt.timedelta(seconds=1)
        for offset in range(_HORIZON_DAYS):
            day = floor.date() + dt.timedelta(days=offset)
            if day.day in self._days and day.month in self._months and day.isoweekday() % 7 in self._weekdays:
                earliest = floor.time() if offset == 0 else dt.time.min
                for time in self._times(earliest):
                    return dt.datetime.combine(day, time, tzinfo=floor.tzinfo)
        raise ValueError(f"{self._expression!r}: this never comes.")

    def _times(self, earliest: dt.time) -> Iterator[dt.time]:
        for hour in self._hours:
            for minute in self._minutes if hour >= earliest.hour else ():
                if (hour, minute) >= (earliest.hour, earliest.minute):
                    times = (dt.time(hour, minute, second) for second in self._seconds)
                    yield from (time for time in times if time >= earliest)


def _values(text: str, name: str, low: int, high: int, names: dict[str, int]) -> list[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        try:
            step = int(step_text) if slash else 1
            first = low if span == "*" else _number(first_text, names)
            last = high if span == "*" or (slash and not dash) else _number(last_text if dash else first_text, names)
        except ValueError:
            raise ValueError(f"{part!r} is not a {name} of a schedule.") from None
        if not low <= first <= last <= high or step < 1:
            raise ValueError(f"{part!r}: a {name} lies between {low} and {high}.")
        values.update(range(first, last + 1, step))
    return sorted(values)


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower()[:3] in names and text.isalpha():
        return names[text.lower()[:3]]
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)
