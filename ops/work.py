"""Runs many small steps, a few at a time, until all are done or storage fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.errors import StorageError
from shared.reconciling.report import Progress

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.reconciling.report import OnProgress


async def each[Item](
    items: Sequence[Item],
    step: Callable[[Item], Awaitable[None]],
    *,
    stage: str,
    on_progress: OnProgress,
    concurrency: int,
) -> StorageError | None:
    """Run the step for each item; begin no more after the first storage error.

    Returns:
        The first storage error, or None when all steps are done.
    """
    left = iter(items)
    done = 0
    failure: StorageError | None = None

    async def work() -> None:
        nonlocal done, failure
        for item in left:
            if failure is not None:
                return
            try:
                await step(item)
            except StorageError as error:
                failure = failure or error
                return
            done += 1
            on_progress(Progress(stage, done, len(items)))

    await asyncio.gather(*(work() for _ in range(min(concurrency, len(items)))))
    return failure
