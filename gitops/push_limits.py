"""How much one push may bring, and the reasons against it while they are collected. Pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from gitops.errors import InvalidError


@dataclass(frozen=True, slots=True)
class PushLimits:
    """How much one push may bring, and how long looking at it may take."""

    commits: int = 20_000
    entries: int = 3_000_000
    seconds: float = 300.0
    text_bytes: int = 10 * 1024 * 1024
    refusals: int = 200


class TooMuchError(InvalidError):
    """The push is larger than can be checked, or so wrong that looking on is pointless."""

    code = "push_too_large"


class Refusals:
    """Reasons against a push by path, each once, in the order found."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._reasons: dict[tuple[str, str], None] = {}

    def add(self, path: str, reason: str) -> None:
        """Note a reason. Raises TooMuchError once there are more than anybody would read."""
        self._reasons[(path, reason)] = None
        if len(self._reasons) >= self._most:
            raise TooMuchError("there are more problems than these")

    def lines(self) -> list[str]:
        """Return the reasons as people read them."""
        return [f"{path}: {reason}" if path else reason for path, reason in self._reasons]


class Budget:
    """What is left of a push's limits.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, limits: PushLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._deadline = clock() + limits.seconds
        self._entries = 0

    def spend(self, entries: int) -> None:
        """Count entries. Raises TooMuchError when a limit is reached."""
        self._entries += entries
        if self._entries > self._limits.entries:
            raise TooMuchError(f"more than {self._limits.entries} paths change; push in smaller steps")
        if self._clock() > self._deadline:
            raise TooMuchError(
                f"checking it took more than {self._limits.seconds:.0f} seconds; push in smaller steps"
            )
