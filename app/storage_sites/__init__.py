"""Storage sites: configured places for bytes. A dataset is bound to one, once."""
