"""Runs the app on one machine: storage, events, functions host. Not deployed."""
