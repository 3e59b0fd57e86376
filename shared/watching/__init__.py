"""From the tally's row to snapshots; wakes whoever waits for one. Knows no HTTP."""
