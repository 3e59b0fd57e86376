"""Finds where account and ledger differ, and repairs it through ``writing``."""
