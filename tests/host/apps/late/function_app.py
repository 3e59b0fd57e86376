"""An app that logs while its invocation runs, and when it is over."""

import asyncio
import logging

import azure.functions as func

log = logging.getLogger("late")
app = func.FunctionApp()
kept = set()
log.warning("at the import")


async def poll(over: asyncio.Task[None]) -> None:
    """Log at once, and when the invocation that began this has ended."""
    log.warning("by a task, meanwhile")
    await asyncio.wait([over])
    await asyncio.sleep(0)
    log.warning("by a task, afterwards")
    await asyncio.create_task(poll_deeper())


async def poll_deeper() -> None:
    """Log in a task of a task."""
    log.warning("by its task, afterwards")
    log.warning("the last")


@app.event_grid_trigger(arg_name="event")
async def on_event(event: str) -> None:
    """Log, and have it logged."""
    del event
    log.warning("by the invocation")
    asyncio.get_running_loop().call_soon(log.warning, "by a callback")
    kept.add(asyncio.create_task(poll(asyncio.current_task())))
    await asyncio.sleep(0.1)
