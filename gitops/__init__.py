"""The versioning engine: git, DVC pointers, objects. No Flask, users, HTML or SQL."""
