"""One git process whose input and output stream: nothing blocks for ever, nothing is left behind."""

import logging
import os
import select
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO

from gitops.errors import UnavailableError

_CHUNK = 64 * 1024
_END_S = 10

log = logging.getLogger("cairn.git")


class GitProcess:
    """One git process; iterating yields its output and reaps it at the end.

    Args:
        silence_s: seconds without a byte after which it is ended.
        stdin: a file that it reads, else ``feed`` gives it its input.
        inherited: descriptors that it and its hooks keep.
        preface: comes before its own output.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        silence_s: float,
        stdin: IO[bytes] | None = None,
        inherited: Sequence[int] = (),
        preface: bytes = b"",
    ) -> None:
        self._silence_s = silence_s
        self._early = bytearray(preface)
        self._service = command[-3]
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=stdin or subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=inherited,
            cwd="/",
            bufsize=0,
        )

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Give the process its whole input while keeping what it says meanwhile."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()
        os.set_blocking(descriptor, False)
        wants_more = True
        for chunk in chunks:  # read to the end in any case: a client that still sends hears no answer
            wants_more = wants_more and self._write(descriptor, memoryview(chunk))
        self.finish_input()

    def finish_input(self) -> None:
        """Tell the process that there is no more."""
        if self._process.stdin:
            self._process.stdin.close()

    def _write(self, descriptor: int, data: memoryview) -> bool:
        """Write some input; return False if the process does not want any more."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        listens_to: list[int] = [output]
        while data:
            readable, writable, _ = select.select(listens_to, [descriptor], [], self._silence_s)
            if not readable and not writable:
                self.kill()
                raise UnavailableError("git took no input for too long")
            if readable:
                said = os.read(output, _CHUNK)
                self._early += said
                if not said:
                    listens_to = []
            if writable:
                try:
                    data = data[os.write(descriptor, data) :]
                except BrokenPipeError:
                    return False
                except BlockingIOError:
                    continue
        return True

    def __iter__(self) -> Iterator[bytes]:
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            yield early
        while chunk := self._read():
            yield chunk

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return b""
        ready, _, _ = select.select([self._process.stdout], [], [], self._silence_s)
        if not ready:
            self.kill()
            raise UnavailableError("git said nothing for too long")
        chunk = os.read(self._process.stdout.fileno(), _CHUNK)
        if not chunk:
            self.close()
        return chunk

    def close(self) -> None:
        """Let the process end, or end it, and reap it."""
        self.finish_input()
        if self._process.stdout:
            self._process.stdout.close()
        try:
            status = self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return
        if status:
            log.info("git.ended", extra={"status": status, "service": self._service})

    def kill(self) -> None:
        """End the process: first so that it removes its lock files, then for good."""
        self._process.terminate()
        try:
            self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.finish_input()
        if self._process.stdout:
            self._process.stdout.close()
