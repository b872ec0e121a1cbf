"""The commands of ``cairn``, one module a topic."""
