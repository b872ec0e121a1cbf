"""The version of the client; a test holds it equal to the project's."""

__version__ = "0.1.0"
