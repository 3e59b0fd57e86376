"""The inbox: what processes hand over to the one that is named to commit, and what became of it.

A table of its own, a partition a process. Its key is the random id of that start of the process, which is never used
again: so an entity is inserted once, answered once by whoever is named, and removed by its owner; each of these steps
is conditional. An entity holds up to :data:`MAX_INTENTS`, each in a property of its own, and then their outcomes::

    owner    insert   {format, generation, fingerprint, i00, i01, …}
    writer   replace  {outcomes, writer, writer_until}                  if it is still as inserted
    owner    delete                                                     once they were read, with the next insert

What is left over is of a process that is gone: its deliveries have failed and come again.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.clock import from_iso, to_iso
from shared.errors import NONSENSE, Conflict, OutcomeUnknown, Rejected, StorageError
from shared.model.changes import BlobChange
from shared.model.ledger import Observation, Outcome, Transition
from shared.model.ports import Write
from shared.model.tally import NamedWriter
from shared.writing.batch import Intent
from shared.writing.cache import Remembered
from shared.writing.naming import FORMAT
from shared.writing.plan import OtherGeneration, RowChanged

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from shared.model.ledger import Properties
    from shared.model.ports import Entity, InboxTable

log = logging.getLogger(__name__)

#: In an entity, which has room for 252 properties, and for a mebibyte.
MAX_INTENTS: Final = 99
#: Of the reason for a failure: the outcomes of all of them have to fit into one property, 32,768 characters.
MAX_REASON_CHARACTERS: Final = 120
#: Longer than any delivery waits for its outcome.
LEFT_OVER_AFTER: Final = timedelta(seconds=60)
#: A transaction holds 100 operations; one is the insert.
MAX_REMOVALS: Final = 99
#: A look reads so many pages; the next one goes on where it has ended.
PAGES_A_LOOK: Final = 5

type Answer = Transition | StorageError


@dataclass(frozen=True, slots=True)
class Handed:
    """What was handed over, as its owner knows it."""

    row_key: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The outcomes of what was handed over.

    Attributes:
        answers: One for each intent, in order.
        writer: Who is named, and until when by now.
        date: When this was read, by the table's clock.
    """

    answers: list[Answer]
    writer: NamedWriter | None
    date: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Intents that wait for whoever is named.

    Attributes:
        partition: The id of the process that has handed them over.
        row_key: Which of its entities.
        etag: The entity's.
        intents: They, bound to the process that has read them, and to the generation that they were handed over for.
    """

    partition: str
    row_key: str
    etag: str
    intents: list[Intent]

    @property
    def key(self) -> tuple[str, str]:
        """Return what it stands under."""
        return self.partition, self.row_key


class Inbox:
    """The inbox, as one process uses it.

    Args:
        table: The table.
        process: The id of this start of the process.
        folders: The folders that this process counts.
    """

    def __init__(self, table: InboxTable, process: str, folders: Collection[str]) -> None:
        self._table = table
        self._process = process
        self._folders = folders
        self._number = 0
        self._token = ""
        #: What was answered and read: row key → ETag.
        self._read: dict[str, str] = {}

    # The owner's part

    async def append(self, generation: tuple[str, str], intents: Sequence[Intent]) -> Handed:
        """Hand over up to :data:`MAX_INTENTS`, and remove what was answered.

        Raises:
            StorageError: They may or may not wait now; it says nothing of a row of the ledger.
        """
        self._number += 1
        row_key = f"{self._number:010d}"
        properties: Properties = {"format": FORMAT, "generation": generation[0], "fingerprint": generation[1]}
        properties |= {f"i{number:02d}": _encode(intent) for number, intent in enumerate(intents)}
        read, self._read = self._read, {}
        removals = [Write(key, None, etag) for key, etag in list(read.items())[:MAX_REMOVALS]]
        try:
            await self._table.commit(self._process, [Write(row_key, properties, None), *removals])
        except Conflict:  # something of it was left over, and is gone: the rest will be
            await self._table.commit(self._process, [Write(row_key, properties, None)])
        return Handed(row_key)

    async def answers(self, handed: Handed, count: int) -> Answers | None:
        """Return the outcomes, or None while there are none.

        Args:
            handed: What was handed over.
            count: How many intents.

        Raises:
            Conflict: It is not there any more: what became of it is not known.
            StorageError: As the table raises it.
        """
        entity = await self._table.read(self._process, handed.row_key)
        if entity is None:
            raise Conflict("what was handed over is gone")
        if "outcomes" not in entity.properties:
            return None
        try:
            answers = [_answer_from(each) for each in json.loads(str(entity.properties["outcomes"]))]
        except NONSENSE as error:
            raise Conflict(f"the outcomes of what was handed over make no sense: {error!r}") from error
        if len(answers) != count:
            raise Conflict(f"{count} intents were answered by {len(answers)} outcomes")
        self._read[handed.row_key] = entity.etag
        return Answers(answers, _writer_in(entity.properties), entity.read_at)

    async def remove(self, handed: Handed) -> None:
        """Remove what was answered, unless an append has."""
        etag = self._read.pop(handed.row_key, None)
        if etag is not None:
            with suppress(StorageError):
                await self._table.commit(self._process, [Write(handed.row_key, None, etag)])

    # The part of who is named

    async def look(self, deadline: float) -> list[Waiting]:
        """Return what waits, on the next few pages; what is left over is removed.

        Args:
            deadline: Until when the intents are worth committing, by the monotonic clock.
        """
        waiting: list[Waiting] = []
        for _ in range(PAGES_A_LOOK):
            page = await self._table.page(self._token)
            self._token = page.next_token
            for entity in page.entities:
                if _is_left_over(entity, page.date):
                    await self._drop(entity)
                elif "outcomes" not in entity.properties and (intents := self._intents_in(entity, deadline)):
                    waiting.append(Waiting(entity.partition, entity.row_key, entity.etag, intents))
            if not self._token:
                break
        return waiting

    async def waiting_paths(self) -> set[str]:
        """Return the names about which something waits, whoever is to commit it; of the first few pages only.

        Raises:
            StorageError: As the table raises it.
        """
        paths: set[str] = set()
        token = ""
        for _ in range(PAGES_A_LOOK):
            page = await self._table.page(token)
            for entity in page.entities:
                if "outcomes" not in entity.properties and not _is_left_over(entity, page.date):
                    paths.update(intent.path for intent in self._intents_in(entity, 0.0))
            if not (token := page.next_token):
                break
        return paths

    async def answer(self, waiting: Waiting, answers: Sequence[Answer], writer: NamedWriter | None) -> None:
        """Write what became of intents, unless somebody else has, or their owner has given up."""
        properties: Properties = {"outcomes": json.dumps([_answer(each) for each in answers])}
        if writer is not None:
            properties |= {"writer": writer.process, "writer_until": to_iso(writer.until)}
        with suppress(StorageError):
            await self._table.commit(waiting.partition, [Write(waiting.row_key, properties, waiting.etag)])

    def _intents_in(self, entity: Entity, deadline: float) -> list[Intent]:
        """Read the intents of an entity; none of one that this release does not understand."""
        properties = entity.properties
        if properties.get("format") != FORMAT:
            return []
        generation = (str(properties.get("generation")), str(properties.get("fingerprint")))
        texts = [str(properties[name]) for name in sorted(properties) if name[1:].isdecimal()]
        try:
            intents = [_intent(json.loads(text), entity.partition, generation, deadline) for text in texts]
            if unknown := {intent.folder for intent in intents} - set(self._folders):
                raise ValueError(f"there is no folder {unknown}")
        except NONSENSE as error:
            log.warning("something in the inbox is not understood, and left alone: %r", error)
            return []
        return intents

    async def _drop(self, entity: Entity) -> None:
        with suppress(StorageError):
            await self._table.commit(entity.partition, [Write(entity.row_key, None, entity.etag)])


def _is_left_over(entity: Entity, date: datetime) -> bool:
    """Tell whether the delivery that has handed something over has failed by now, and comes again."""
    return entity.written_at is not None and date - entity.written_at > LEFT_OVER_AFTER


def _encode(intent: Intent) -> str:
    stored: dict[str, Any] = {"folder": intent.folder}
    if intent.change is not None:
        change = intent.change
        stored["change"] = {
            "container": change.container,
            "name": change.name,
            "present": change.present,
            "sequencer": change.sequencer,
            "event_time": to_iso(change.event_time) if change.event_time is not None else None,
            "etag": change.etag,
            "look": change.look,
        }
    elif intent.seen is not None and intent.base is not None:
        seen = intent.seen
        stored["seen"] = {
            "path": seen.path,
            "present": seen.present,
            "observed_at": to_iso(seen.observed_at),
            "etag": seen.etag,
            "sequencer": seen.sequencer,
            "is_listed": seen.is_listed,
        }
        base = intent.base
        stored["base"] = {"etag": base.etag, "partition": base.partition, "doubt": base.doubt}
    return json.dumps(stored)


def _intent(stored: dict[str, Any], owner: str, generation: tuple[str, str], deadline: float) -> Intent:
    folder = str(stored["folder"])
    if "change" in stored:
        fields = _checked(stored["change"], or_none={"sequencer", "event_time"})
        time = fields["event_time"]
        change = BlobChange(**fields | {"event_time": from_iso(time) if time is not None else None})
        path, seen, base = change.path, None, None
    else:
        fields = _checked(stored["seen"])
        seen = Observation(folder=folder, **fields | {"observed_at": from_iso(fields["observed_at"])})
        known = _checked(stored["base"], or_none={"etag"})
        base = Remembered(None, known["etag"], float("-inf"), known["partition"], known["doubt"])
        path, change = seen.path, None
    return Intent(path, folder, change, seen, base, deadline, is_bound=True, owner=owner, generation=generation)


#: What an outcome that is no transition is called; the owner raises it as if the commit had been its own.
_FAILURES: Final[dict[str, type[StorageError]]] = {
    "row changed": RowChanged,
    "rejected": Rejected,
    "other generation": OtherGeneration,
    "outage": OutcomeUnknown,
}


def _checked(fields: dict[str, Any], or_none: Collection[str] = ()) -> dict[str, Any]:
    """Return the fields, if each has the type that it is written with."""
    for name, value in fields.items():
        if name in {"present", "look", "is_listed"}:
            if not isinstance(value, bool):
                raise TypeError(name)
        elif value is not None or name not in or_none:
            str.encode(value)  # a text, and one that can be stored
    return fields


def _answer(answer: Answer) -> list[object]:
    if isinstance(answer, Transition):
        return ["done", answer.outcome, answer.delta]
    kind = next((name for name, kind in _FAILURES.items() if isinstance(answer, kind)), "outage")
    reason = (
        ascii(str(answer))[1:-1] if kind in {"rejected", "outage"} else ""
    )  # the others are of a path, which is known
    return [kind, reason[:MAX_REASON_CHARACTERS]]


def _answer_from(stored: list[Any]) -> Answer:
    kind, *rest = stored
    if kind == "done":
        outcome, delta = rest
        return Transition(Outcome(outcome), delta=int(delta))
    (text,) = rest
    return _FAILURES[kind](str(text))


def _writer_in(properties: Properties) -> NamedWriter | None:
    with suppress(KeyError, ValueError):
        return NamedWriter(str(properties["writer"]), FORMAT, from_iso(str(properties["writer_until"])))
    return None
