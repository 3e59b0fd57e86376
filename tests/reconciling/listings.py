"""Listings that are watched, slow, or the last thing that a process does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from shared.model.ports import Page
from tests.fakes.world import World


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def killed_at(world: World, page_number: int) -> list[str]:
    """Have the process die when it has been given this page. Returns where the record of pages begins."""
    pages, listed = world.blobs.pages, []

    async def recorded(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            listed.append(f"{container}/{page.names[0]}" if page.names else f"{container}/")
            if len(listed) == page_number:
                raise Killed
            yield page

    world.blobs.pages = recorded  # type: ignore[method-assign]
    return listed


def between_pages(world: World, container: str, step: Callable[[], Awaitable[object]]) -> None:
    """Have something happen once, after the first page of a container was dealt with."""
    pages, steps = world.blobs.pages, [step]

    async def with_a_step(listed: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(listed, prefix, token):
            yield page
            if steps and listed == container:
                await steps.pop()()

    world.blobs.pages = with_a_step  # type: ignore[method-assign]


def slow_down(world: World, seconds: float) -> None:
    """Have each page take so long."""
    pages = world.blobs.pages

    async def slow(container: str, prefix: str, token: str = "") -> AsyncIterator[Page]:
        async for page in pages(container, prefix, token):
            world.clock.advance(seconds)
            yield page

    world.blobs.pages = slow  # type: ignore[method-assign]
