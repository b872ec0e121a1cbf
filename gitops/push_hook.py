"""The pre-receive hook and its line to the serving process.

git runs the hook after a push has arrived in its quarantine and before any ref moves. The hook is a
few lines of shell: it hands the quarantine and the ref lines over an inherited pipe and waits for the
verdict on another, so a check starts no interpreter and has the service's database at hand. Pipes,
not named ones: whichever side dies, the other reads the end and refuses.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gitops.errors import GitopsError, UnavailableError
from gitops.model import is_commit_id

HOOK = """\
#!/bin/sh
# Asks the service whether this push may move its refs. Written by the service; edits are lost.
if [ -z "$CAIRN_PUSH_ASK" ] || [ -z "$CAIRN_PUSH_ANSWER" ]; then
    echo "refs move only through the service" >&2
    exit 1
fi
{
    printf '%s\\n' "$GIT_QUARANTINE_PATH"
    while IFS= read -r line; do printf '%s\\n' "$line"; done
    printf 'end\\n'
} >"$CAIRN_PUSH_ASK" || exit 1
verdict=none
while IFS= read -r line; do
    case $line in
        accept | refuse) verdict=$line ;;
        *) printf '%s\\n' "${line#|}" >&2 ;;
    esac
done <"$CAIRN_PUSH_ANSWER"
if [ "$verdict" = none ]; then echo "the push could not be checked; try again" >&2; fi
[ "$verdict" = accept ]
"""

MAX_QUESTION_BYTES = 1024 * 1024
MAX_LINE = 300
_UPDATE_S = 120.0
_ABSENT = "0" * 40

log = logging.getLogger("cairn.pushes")


@dataclass(frozen=True, slots=True)
class RefChange:
    """What a push wants of one ref: object ids, None for absent."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What the hook hands over; a push that only deletes has no quarantine."""

    quarantine: Path | None
    changes: tuple[RefChange, ...]


class PushJudge(Protocol):
    """What decides about one push."""

    def refusals(self, question: Question) -> Sequence[str]:
        """Return the reasons against the push, a line each; none accepts it. May take long."""
        ...

    def last_refusals(self, question: Question) -> Sequence[str]:
        """Return what speaks against it now that the writer lock is held; prepare the ref update."""
        ...

    def completed(self, question: Question) -> None:
        """Take note of the refs that moved; the writer lock is still held."""
        ...


def write_hooks(folder: Path) -> Path:
    """Make the folder that ``core.hooksPath`` names, whole and executable; return it."""
    hook = folder / "pre-receive"
    if not _is_current(hook):
        try:
            _write(hook)
        except OSError as error:
            raise UnavailableError("the push hook cannot be made, so pushes are refused") from error
    if not _is_current(hook):
        raise UnavailableError("the push hook cannot be made, so pushes are refused")
    return folder


def _write(hook: Path) -> None:
    hook.parent.mkdir(parents=True, exist_ok=True)
    draft = hook.with_name(f".draft-{os.getpid()}-{threading.get_ident()}")
    draft.write_text(HOOK)
    draft.chmod(0o755)
    draft.rename(hook)


def _is_current(hook: Path) -> bool:
    try:
        return os.access(hook, os.X_OK) and hook.read_text() == HOOK
    except OSError:
        return False


class HookLine:
    """The two pipes between one receive-pack's hook and the thread that judges it.

    Args:
        judge: decides.
        lock: the repository's writer lock, held from the acceptance until git has ended.
    """

    def __init__(self, judge: PushJudge, lock: Callable[[], AbstractContextManager[None]]) -> None:
        self._judge = judge
        self._lock = lock
        self._ask, self._ask_end = os.pipe()
        self._answer_end, self._answer = os.pipe()
        self._thread = threading.Thread(target=self._run, name="push-judge", daemon=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the hook needs to know."""
        return {
            "CAIRN_PUSH_ASK": f"/dev/fd/{self._ask_end}",
            "CAIRN_PUSH_ANSWER": f"/dev/fd/{self._answer_end}",
        }

    @property
    def descriptors(self) -> tuple[int, int]:
        """What git must inherit."""
        return (self._ask_end, self._answer_end)

    def start(self) -> None:
        """Begin to listen, once git has inherited its ends."""
        self._close_ends()
        self._thread.start()

    def abandon(self) -> None:
        """Close everything when git could not be started."""
        self._close_ends()
        os.close(self._ask)
        os.close(self._answer)

    def join(self) -> None:
        """Wait until everything that follows the push is done; git must have ended."""
        self._thread.join()

    def _close_ends(self) -> None:
        os.close(self._ask_end)
        os.close(self._answer_end)

    def _run(self) -> None:
        answer = _Answer(self._answer)
        try:
            question = self._question()
            if question is not None:
                self._decide(question, answer)
        except Exception:
            log.exception("push.judge_failed")
        finally:
            answer.refuse(["the push could not be checked; try again"])
            os.close(self._ask)

    def _question(self) -> Question | None:
        """Return what the hook asks, or None if git ends without asking."""
        raw = b""
        while not raw.endswith(b"\nend\n"):
            chunk = os.read(self._ask, 65536)
            if not chunk:
                return None
            raw += chunk
            if len(raw) > MAX_QUESTION_BYTES:
                log.warning("push.too_many_refs")
                return None
        return parse_question(raw)

    def _decide(self, question: Question, answer: "_Answer") -> None:
        try:
            reasons = self._judge.refusals(question)
        except GitopsError as error:
            reasons = [str(error)]
        if reasons:
            answer.refuse(reasons)
            return
        with self._lock():
            reasons = self._judge.last_refusals(question)
            if reasons:
                answer.refuse(reasons)
                return
            answer.accept()
            self._await_end()
            self._judge.completed(question)

    def _await_end(self) -> None:
        """Wait until no git process holds the other end; then refs have moved or never will."""
        deadline = time.monotonic() + _UPDATE_S
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._ask], [], [], left)
            if ready and not os.read(self._ask, 65536):
                return
        log.error("push.update_takes_too_long")


class _Answer:
    """The verdict, given once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def accept(self) -> None:
        self._send(["accept"])

    def refuse(self, reasons: Sequence[str]) -> None:
        self._send([*(f"|{printable(reason)}" for reason in reasons), "refuse"])

    def _send(self, lines: Sequence[str]) -> None:
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write("".join(line + "\n" for line in lines).encode())
        except BrokenPipeError:
            log.info("push.vanished")


def parse_question(raw: bytes) -> Question | None:
    """Return what the hook's lines say, or None if they are not what git gives a hook."""
    first, *rows, _ = raw.decode(errors="surrogateescape").removesuffix("\n").split("\n")
    changes = []
    for row in rows:
        old, _, rest = row.partition(" ")
        new, _, name = rest.partition(" ")
        if not (is_commit_id(old) and is_commit_id(new) and name):
            return None
        changes.append(RefChange(name, _present(old), _present(new)))
    return Question(Path(first) if first else None, tuple(changes))


def _present(oid: str) -> str | None:
    return None if oid == _ABSENT else oid


def printable(text: str) -> str:
    """Return text that a terminal shows as it is: one line, no control characters, not too long."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= MAX_LINE else shown[: MAX_LINE - 1] + "…"
