"""NCRONTAB: timer schedules as the platform's timer extension reads them, without those that it misreads.

Six fields, `{second} {minute} {hour} {day} {month} {day-of-week}`, separated by blanks, or five without seconds. A
field is a list of `*`, `n`, `a-b`, each with an optional `/step`; months and weekdays have English names, of which
three letters are enough; Sunday is 0. A day has to satisfy day, month *and* weekday (unlike cron of Unix).
Sources: atifaziz/NCrontab (CrontabFieldImpl, CrontabField), TimerSchedule of Azure/azure-webjobs-sdk-extensions, and
what the real extension made of 62 schedules (tests/facts/timer_schedules.jsonl).

This parser refuses, with the reason, what the platform silently reads differently from how it is written:

- a range written backwards (the platform swaps its ends: `22-2` is 2 to 22);
- a step below one (`*/0` is every one);
- a period (`00:05:00`, and `5`, which is five days): when it fires depends on when the app was started;
- one or two letters of a name (the first name that begins so: `J` is January, `T` Tuesday);
- a date that never comes (it would never fire).
"""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Final

_MONTHS: Final = [
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
]  # fmt: skip
_WEEKDAYS: Final = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_FIELDS: Final[tuple[tuple[str, int, int, list[str]], ...]] = (
    ("second", 0, 59, []),
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _WEEKDAYS),
)
#: 29 February on a given weekday comes once in 28 years, or 40 around a century without a leap year.
_HORIZON_DAYS: Final = 366 * 40
_SHORTEST_NAME: Final = 3
_PERIOD: Final = re.compile(r"[-+]?[0-9]+([:.][0-9]+)*")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_STEP: Final = re.compile(r"[-+]?[0-9]{1,9}")


class Schedule:
    """A parsed expression.

    Raises:
        ValueError: The expression is malformed, never comes, or is one that the platform misreads. The message, for
            people, says why.
    """

    def __init__(self, expression: str) -> None:
        self._expression = expression
        values = [_values(text, *field) for text, field in zip(_split(expression), _FIELDS, strict=True)]
        self._seconds, self._minutes, self._hours, self._days, self._months, self._weekdays = values
        self.next_after(dt.datetime(2000, 1, 1, tzinfo=dt.UTC))

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first whole second after `moment` (UTC) that satisfies the expression."""
        floor = moment.replace(microsecond=0) + dt.timedelta(seconds=1)
        for offset in range(_HORIZON_DAYS):
            day = floor.date() + dt.timedelta(days=offset)
            if day.day in self._days and day.month in self._months and day.isoweekday() % 7 in self._weekdays:
                earliest = floor.time() if offset == 0 else dt.time.min
                for time in self._times(earliest):
                    return dt.datetime.combine(day, time, tzinfo=floor.tzinfo)
        raise ValueError(f"{self._expression!r} never comes")

    def _times(self, earliest: dt.time) -> Iterator[dt.time]:
        for hour in self._hours:
            for minute in self._minutes if hour >= earliest.hour else ():
                if (hour, minute) >= (earliest.hour, earliest.minute):
                    times = (dt.time(hour, minute, second) for second in self._seconds)
                    yield from (time for time in times if time >= earliest)


def _split(expression: str) -> list[str]:
    """Return the six fields."""
    odd = re.search(r"[^\S ]", expression)
    if odd:
        raise ValueError(f"{expression!r} has {odd[0]!r} in it; the platform takes blanks only between fields")
    fields = [field for field in expression.split(" ") if field]
    if len(fields) == 1 and _PERIOD.fullmatch(fields[0]):
        raise ValueError(
            f"{fields[0]!r} is a period to the platform (5 is five days), which begins anew with each start; "
            "write a schedule"
        )
    if len(fields) == len(_FIELDS) - 1:
        fields.insert(0, "0")
    if len(fields) != len(_FIELDS):
        raise ValueError(f"{expression!r} has {len(fields)} fields; a schedule has six, or five without seconds")
    return fields


def _values(text: str, name: str, low: int, high: int, names: list[str]) -> list[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        step = _step(step_text, part) if slash else 1
        if span == "*":
            first, last = low, high
        else:
            first = _number(first_text, part, name, low, names)
            last = _number(last_text, part, name, low, names) if dash else high if slash else first
        if not (low <= first <= high and low <= last <= high):
            raise ValueError(f"{part!r}: a {name} lies between {low} and {high}")
        if first > last:
            raise ValueError(f"{part!r} is written backwards, and the platform would swap its ends; write two ranges")
        values.update(range(first, last + 1, step))
    return sorted(values)


def _step(text: str, part: str) -> int:
    if not _STEP.fullmatch(text):
        raise ValueError(f"{part!r}: a step is a number")
    if int(text) < 1:
        raise ValueError(f"{part!r}: a step is at least 1, and the platform would take this one for 1")
    return int(text)


def _number(text: str, part: str, name: str, low: int, names: list[str]) -> int:
    if _NUMBER.fullmatch(text):
        return int(text)
    found = [number for number, each in enumerate(names, low) if text and each.startswith(text.lower())]
    if not found:
        raise ValueError(f"{part!r} is not a {name} of a schedule")
    if len(text) < _SHORTEST_NAME:
        raise ValueError(f"{part!r}: write at least three letters of a {name}; the platform takes the first that fits")
    return found[0]
