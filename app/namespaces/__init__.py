"""Groups and personal namespaces, their members and access levels."""
