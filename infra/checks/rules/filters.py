"""Event subscriptions against the folder map: sample events go through the filters and through the app's own code.

What concerns the counts must pass some subscription; what is written to the dead letters or the quarantine must pass
none, or a failed delivery would raise the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.checks.finding import Finding
from infra.checks.project import CONTAINER_TYPE, MAIN, SUBSCRIPTION_TYPE, Resource
from infra.checks.rules.settings import as_environment
from infra.checks.sample_events import Event, beside, concerns, passes, samples
from shared.errors import SettingsError
from shared.intake.event_grid import BLOB_CREATED, BLOB_DELETED
from shared.model.folders import FOLDERS
from shared.settings.app import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from infra.checks.project import Case, Project
    from shared.model.folders import FolderMap

_MOST_VALUES: Final = 25
_LONGEST_VALUE: Final = 512
#: The settings that say where folders are.
_WRITTEN: Final = {*(f"{folder.upper()}_FOLDER" for folder in FOLDERS), "EXTRA_FOLDERS"}


def check(project: Project) -> Iterator[Finding]:
    """Check the subscriptions of all cases."""
    functions = project.functions()
    for case in project.cases:
        yield from _check_targets(case, functions)
        try:
            folders = Settings.from_environ(as_environment(case)).folders
        except SettingsError:
            continue  # rules/settings.py says so
        quarantine = str(case.settings["QUARANTINE_CONTAINER"])
        outside = [quarantine, *(each.name for each in _dead_letter_containers(case))]
        written = "".join(str(value) for name, value in case.settings.items() if name in _WRITTEN)
        yield from _check_map(list(case.made(SUBSCRIPTION_TYPE)), folders, outside, is_exact="//" not in written)
        for folder, location in folders.locations.items():
            if location.container in outside:
                text = f"the container {location.container} of {folder} is that of the dead letters or the quarantine"
                yield Finding(MAIN, text)


def _check_map(
    subscriptions: list[Resource], folders: FolderMap, outside: Iterable[str], *, is_exact: bool
) -> Iterator[Finding]:
    where = ", ".join(str(place) for place in folders.locations.values())
    missed = [event for event in samples(folders) if concerns(folders, event) and not _passing(subscriptions, event)]
    if missed and subscriptions:
        text = f"filter: {missed[0]} concerns the counts and passes no subscription (folders {where})"
        yield subscriptions[0].finding(f"{text}; {len(missed)} such samples")
    for container in outside:
        for event in (Event(kind, container, "2026/1/x.jpg") for kind in (BLOB_CREATED, BLOB_DELETED)):
            for each in _passing(subscriptions, event):
                text = f"filter: {event} passes {each.name}: the container must be outside of all filters"
                yield each.finding(text)
    for event in beside(folders, is_exact=is_exact):
        for each in _passing(subscriptions, event):
            yield each.finding(f"filter: {event} passes {each.name}, and no folder is there")
    for each in subscriptions:
        yield from _check_form(each)


def _passing(subscriptions: list[Resource], event: Event) -> list[Resource]:
    return [each for each in subscriptions if passes(each, event)]


def _check_form(subscription: Resource) -> Iterator[Finding]:
    conditions = subscription.properties.get("filter", {})
    values = [value for each in conditions.get("advancedFilters", []) for value in each.get("values", [])]
    if len(values) > _MOST_VALUES:
        yield subscription.finding(f"filter: {len(values)} values, more than {_MOST_VALUES}")
    for value in filter(None, [*values, conditions.get("subjectBeginsWith")]):
        if "/blobs/" not in value or len(value) > _LONGEST_VALUE:
            text = f"filter: {value!r} must hold /blobs/ and at most {_LONGEST_VALUE} characters"
            yield subscription.finding(text)


def _dead_letter_containers(case: Case) -> list[Resource]:
    """Return the containers that the subscriptions name as theirs for dead letters, as main.bicep makes them."""
    named = {_dead_letters(each).get("blobContainerName") for each in case.made(SUBSCRIPTION_TYPE)}
    return [each for each in case.made(CONTAINER_TYPE) if each.name in named]


def _dead_letters(subscription: Resource) -> dict[str, Any]:
    with_identity = subscription.properties.get("deadLetterWithResourceIdentity", {})
    if not with_identity.get("identity"):
        return {}
    found: dict[str, Any] = with_identity.get("deadLetterDestination", {}).get("properties", {})
    return found


def _check_targets(case: Case, functions: Mapping[str, str]) -> Iterator[Finding]:
    made = {each.id for each in case.made(CONTAINER_TYPE)}
    subscriptions = list(case.made(SUBSCRIPTION_TYPE))
    if not subscriptions:
        yield Finding("infra/events.bicep", "there is no event subscription")
    for each in subscriptions:
        target = each.properties.get("destination", {})
        app, _, function = str(target.get("properties", {}).get("resourceId")).rpartition("/functions/")
        if target.get("endpointType") != "AzureFunction" or app != case.app.id:
            yield each.finding("the destination is not the function app")
        if functions.get(function) != "event_grid_trigger":
            text = f"{each.name}: the app has no Event Grid function {function!r} (function_app.py)"
            yield each.finding(text)
        letters = _dead_letters(each)
        container = f"{letters.get('resourceId')}/blobServices/default/containers/{letters.get('blobContainerName')}"
        if not letters:
            yield each.finding("no dead letters by the topic's identity")
        elif container not in made:
            yield each.finding(f"nothing makes the dead-letter container {container}")
