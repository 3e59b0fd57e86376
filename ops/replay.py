"""`replay`: apply dead-lettered events. Like every delivery it is idempotent, so nothing has to be remembered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ops.dead_letters import DeadLetters, NotDeadLetters
from ops.exits import Exit, WrongArgument, explain
from ops.output import table
from ops.work import each
from shared.errors import EventNotUnderstood, OtherTopic
from shared.intake.event_grid import parse
from shared.model.changes import BlobChange, DirectoryChange

if TYPE_CHECKING:
    import argparse

    from ops.dead_letters import Letter
    from ops.output import Output, Renderable
    from shared.model.folders import FolderMap
    from shared.reconciling.report import Progress
    from shared.services import Services

CONCURRENT_BLOBS: Final = 4
CONCURRENT_EVENTS: Final = 50
OF_ANOTHER_TOPIC: Final = "left out: of a topic that EVENT_TOPICS does not name"


async def replay(services: Services, given: argparse.Namespace, out: Output) -> Exit:
    """Apply, or with ``--dry-run`` describe, the events of all dead-letter blobs under a prefix."""
    container, _, prefix = given.where.lstrip("/").partition("/")
    if not container:
        raise WrongArgument("replay takes CONTAINER or CONTAINER/PREFIX")
    if container in {place.container for place in services.settings.folders.locations.values()}:
        raise WrongArgument(f"{container} holds images that are counted, and no dead letters")
    letters = DeadLetters(services.blobs, container)
    run = _Run(services, letters, dry_run=given.dry_run, delete=given.delete)
    names = await letters.names(prefix)
    with out.bars() as bars:
        failure = await each(names, run.blob, stage="replaying blobs", on_progress=bars, concurrency=CONCURRENT_BLOBS)
    data: dict[str, object] = {
        "container": container,
        "prefix": prefix,
        "dry_run": given.dry_run,
        "blobs": len(names),
        "blobs_done": run.blobs_done,
        "events": run.events,
        "why_dead_lettered": dict(run.why),
        "outcomes": run.outcomes(),
        "malformed": [{"blob": name, "problem": problem} for name, problem in run.malformed.items()],
        "blobs_deleted": run.deleted,
    }
    if failure is not None:
        data["error"] = explain(failure)
    out.show(data, *run.text(len(names)))
    if failure is not None:
        out.say(f"ops: stopped: {explain(failure)}")
        return Exit.STORAGE
    return Exit.DIFFERENCES if run.malformed or services.delivery.of_other_topics else Exit.DONE


class _Run:
    """One replay and its results."""

    def __init__(self, services: Services, letters: DeadLetters, *, dry_run: bool, delete: bool) -> None:
        self._services = services
        self._letters = letters
        self._dry_run = dry_run
        self._delete = delete
        self._quarantined_before = services.quarantine.added
        self._foreseen: Counter[str] = Counter()
        self.why: Counter[str] = Counter()
        self.malformed: dict[str, str] = {}
        self.blobs_done = self.events = self.deleted = 0

    async def blob(self, name: str) -> None:
        """Replay one blob; with ``--delete``, delete it when all of its events were taken."""
        try:
            found = await self._letters.read(name)
        except NotDeadLetters as problem:
            self.malformed[name] = str(problem)
            return
        if found is None:
            return
        if self._dry_run:
            settings = self._services.settings
            self._foreseen.update(foresee(each, settings.folders, settings.event_topics) for each in found.letters)
        else:
            await self._deliver(found.letters)
            if self._delete and not any(map(self._is_of_another_topic, found.letters)):
                deleted = await self._letters.delete(name, found.etag)
                self.deleted += deleted
        self.blobs_done += 1
        self.events += len(found.letters)
        self.why.update(letter.why for letter in found.letters)

    def _is_of_another_topic(self, letter: Letter) -> bool:
        """Tell whether an event was left out: then only its blob still has it."""
        settings = self._services.settings
        return foresee(letter, settings.folders, settings.event_topics) == OF_ANOTHER_TOPIC

    async def _deliver(self, letters: list[Letter]) -> None:
        async def take(letter: Letter) -> None:
            await self._services.delivery.take(letter.text)

        failure = await each(letters, take, stage="", on_progress=_ignore, concurrency=CONCURRENT_EVENTS)
        if failure is not None:
            raise failure

    def outcomes(self) -> dict[str, int]:
        """Return outcome → number of events; in a dry run as far as the events themselves tell."""
        if self._dry_run:
            return dict(self._foreseen)
        outcomes = {str(outcome): count for outcome, count in self._services.writer.stats.events.items()}
        added = {
            "newly quarantined": self._services.quarantine.added - self._quarantined_before,
            "already in quarantine": self._services.quarantine.repeated,
            OF_ANOTHER_TOPIC: self._services.delivery.of_other_topics,
        }
        return outcomes | {outcome: count for outcome, count in added.items() if count}

    def text(self, blobs: int) -> list[Renderable]:
        """Return the same for people."""
        text: list[Renderable] = []
        if self.malformed:
            text.append(table(("skipped", "because"), list(self.malformed.items())))
        if self.why:
            text.append(table(("dead-lettered because", "events"), self.why.most_common(), numbers=[1]))
        if outcomes := self.outcomes():
            text.append(table(("would be" if self._dry_run else "outcome", "events"), outcomes.items(), numbers=[1]))
        of = f"{self.events:,} events of {self.blobs_done:,} of {blobs:,} blobs"
        if self._dry_run:
            text.append(f"{of} would be replayed; nothing was done")
        elif self._delete:
            text.append(f"{of} replayed, {self.deleted} blobs deleted")
        else:
            text.append(f"{of} replayed; the blobs stay, replaying again is harmless")
        return text


def foresee(letter: Letter, folders: FolderMap, topics: frozenset[str] = frozenset()) -> str:
    """Return what a replay would do with an event, as far as the event itself tells."""
    try:
        changes = parse(letter.text, topics)
    except OtherTopic:
        return OF_ANOTHER_TOPIC
    except EventNotUnderstood as error:
        return f"quarantined: {error}"
    if any(isinstance(change, DirectoryChange) for change in changes):
        return "a directory to reconcile"
    blobs = [change for change in changes if isinstance(change, BlobChange)]
    counted = {folders.folder_of(blob.container, blob.name) for blob in blobs} - {None}
    return f"applied to {', '.join(sorted(map(str, counted)))}" if counted else "of no concern to the counts"


def _ignore(progress: Progress) -> None:
    del progress
