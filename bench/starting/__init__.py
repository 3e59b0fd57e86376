"""From nothing to a running system, and the commands of the README."""
