"""Cairn's service: who may, who asked, what it means, how it is shown."""
