"""Projects: repositories that pin datasets, each at one commit."""
