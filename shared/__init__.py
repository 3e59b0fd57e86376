"""The app's modules: a pure core, thin adapters, engines, and one composition root.

========== ==================================================================
pure       clock, events, folders, ledger, tally, status, wire (and errors):
           the standard library and each other, nothing else
ports      ports (what the engines need of the outside world)
adapters   azure_table, heads, listing, quarantine, auth, keys, endpoints, health,
           delivery, runtime_leak
engines    writer, watch, reconcile
root       services (built from settings)
========== ==================================================================
"""
