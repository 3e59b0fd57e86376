"""The app's modules: a pure core, thin adapters, engines, and one composition root.

========== ==================================================================
pure       clock, connection, entity_group, events, folders, keyset, ledger,
           memory, negotiation, planning, report, schedule, status, tally, wire
           (and errors): the standard library and each other, nothing else
ports      ports (what the engines need of the outside world)
engines    writer (planning, memory, turns, counts), watch (waiters, offers),
           reconcile (passes, comparison, audit, checkpoint, marks,
           tombstones, reports), recount, announce, delivery
adapters   azure_table (transactions), heads, listing, quarantine (its rows and
           bodies), topic, auth, keys, endpoints (answers, cors, presence),
           openapi, health, export, telemetry, unheard, shutdown, runtime_leak
root       services (built from settings)
========== ==================================================================
"""
