"""The operator's command line, `python -m ops`, which is not deployed with the app.

It works on the storage account itself, through the app's own modules and settings; no functions host has to run.
docs/operations.md shows every command.
"""
