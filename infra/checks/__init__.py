"""`make check-infra`: what can be known of the Bicep files without Azure.

::

    bicep       the official compiler: language, schemas, linter, and what a deployment would make
    snapshots   infra/cases/*.bicepparam ──► the resources of each, committed
    rules       what the compiler cannot know: settings, limits, filters, roles, alerts, hooks

Without a compiler the rules run on the committed snapshots.
"""
