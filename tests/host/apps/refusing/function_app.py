"""An app that refuses its settings."""


class SettingsError(Exception):
    """Speaks to people."""


raise SettingsError("POLL_INTERVAL_SECONDS is 'often': give a number of seconds, such as 0.5.")
