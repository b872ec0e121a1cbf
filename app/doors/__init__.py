"""Other protocols over the same services, one module each: a door is a dialect, not a feature."""
