"""The operator's command line, `python -m ops`: a tool beside the app, not deployed with it.

It works on the storage account itself, through the app's own modules and settings; no functions host need run.
docs/operations.md shows every command.
"""
