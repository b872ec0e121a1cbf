"""People and messages as git writes and reads them: what we write is strict, what we read may be anything."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

from gitops.model import CommitId, Signature, TreeId

_UNSAFE_IN_NAME = re.compile(r"[<>\n\r\0]")
_DAY_MIN = 24 * 60
_LAST_MOMENT = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp())


def render_commit(
    *, tree: TreeId, parents: Sequence[CommitId], author: Signature, committer: Signature, message: str
) -> bytes:
    """Return the bytes of a commit object."""
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
    lines += [f"author {_person(author)}", f"committer {_person(committer)}", "", message_text(message)]
    return "\n".join(lines).encode(errors="replace")


def message_text(text: str) -> str:
    """Return a text as git stores it: no NUL, one final newline, nothing that UTF-8 cannot hold."""
    return text.replace("\0", "").encode(errors="replace").decode().rstrip() + "\n"


def _person(signature: Signature) -> str:
    name = _UNSAFE_IN_NAME.sub(" ", signature.name).strip(" .,:;\"'") or "unknown"
    email = _UNSAFE_IN_NAME.sub("", signature.email).strip()
    offset = signature.when.utcoffset() or timedelta()
    minutes = int(offset.total_seconds() // 60)
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    return f"{name} <{email}> {max(0, int(signature.when.timestamp()))} {zone}"


def name_and_email(signature: Signature) -> tuple[str, str]:
    """Return a person's name and address as git can hold them; never empty."""
    name = message_text(_UNSAFE_IN_NAME.sub(" ", signature.name)).strip(" .,:;\"'\n") or "unknown"
    email = message_text(_UNSAFE_IN_NAME.sub("", signature.email)).strip() or "unknown"
    return name, email


def read_person(raw_name: bytes, raw_email: bytes, time: int, offset_min: int) -> Signature:
    """Return who did something and when.

    Pushed commits may carry anything: texts in no encoding, zones of four days, the year 10^9.
    """
    zone = timezone(timedelta(minutes=offset_min)) if abs(offset_min) < _DAY_MIN else UTC
    when = datetime.fromtimestamp(min(max(time, 0), _LAST_MOMENT), zone)
    return Signature(raw_name.decode(errors="replace"), raw_email.decode(errors="replace"), when)
