"""The app, by rooms: a line of what is in each. Who may import whom is in pyproject.toml, held by ``make check``.

=========== =====================================================================
model       values, pure functions and ports
settings    the environment, read once and checked
process     this process: measured, stopped, patched
azure       the only room that imports the SDKs
writing     the only way to change a row or the tally
reconciling finds where account and ledger differ, and repairs it
watching    from the tally to snapshots, and who waits for one
intake      one delivered event: counted, of no concern, or kept
serving     HTTP, and nothing else
services    the root: makes all of it, starts it and closes it
=========== =====================================================================

``errors`` and ``clock`` are everybody's.
"""
