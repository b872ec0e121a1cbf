"""What a transfer tells whoever watches it."""

from typing import Protocol


class Progress(Protocol):
    """A watcher of one transfer; called from several threads."""

    def expect(self, *, files: int, size: int) -> None:
        """Announce how many files and bytes the transfer concerns in all."""
        ...

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """Count files and bytes that are settled; a restart may take bytes back."""
        ...


class Silent:
    """A watcher that shows nothing."""

    def expect(self, *, files: int, size: int) -> None:
        """Show nothing."""

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """Show nothing."""


SILENT = Silent()
