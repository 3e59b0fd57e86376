"""Turns the tally's row into snapshots and wakes the clients that wait for one. Knows no HTTP."""
