"""Users, their passwords, sessions and API tokens."""
