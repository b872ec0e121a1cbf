"""What a site is tried for: write, read, range, delete, signing, CORS. Each is reported by itself."""

import secrets
from collections.abc import Callable

from app.storage_sites.models import Outcome, Probe
from gitops.errors import GitopsError
from gitops.objects import ObjectStore, Staged, digest

PROBE_BYTES = 4096
SIGNED_SECONDS = 60


def probe_store(objects: ObjectStore) -> list[Probe]:
    """Return what each probe found; random bytes are written and removed again."""
    content = secrets.token_bytes(PROBE_BYTES)
    digests = digest(content)
    staged: list[Staged] = []

    def write() -> str:
        staged.append(objects.receive([content], size=len(content)))
        objects.keep(staged)
        return "bytes were stored"

    def read() -> str:
        with objects.open(digests.md5) as stream:
            return _same(stream.read(), content, "the same bytes came back")

    def read_range() -> str:
        with objects.open(digests.md5, start=PROBE_BYTES // 2) as stream:
            return _same(stream.read(), content[PROBE_BYTES // 2 :], "the second half came back")

    def delete() -> str:
        objects.delete(digests.md5)
        return _same(objects.missing([digests.md5]), {digests.md5}, "the bytes are gone")

    probes = [_tried("write", write)]
    follow_ups: tuple[tuple[str, Callable[[], str]], ...] = (
        ("read", read),
        ("range", read_range),
        ("delete", delete),
    )
    is_written = probes[0].outcome is Outcome.OK
    probes += [_tried(name, step) if is_written else _skipped(name) for name, step in follow_ups]
    return [*probes, *_browser_probes(objects)]


def _browser_probes(objects: ObjectStore) -> list[Probe]:
    """Tell whether clients can reach the store themselves."""
    md5 = digest(b"").md5
    signed = objects.presign_get(md5, filename="probe", media_type="text/plain", seconds=SIGNED_SECONDS)
    if signed is None:
        streams = "this provider signs no addresses: the service streams the bytes itself"
        return [
            Probe("signing", Outcome.SKIPPED, streams),
            Probe("cors", Outcome.SKIPPED, "browsers never talk to this provider"),
        ]
    return [
        Probe("signing", Outcome.OK, "addresses can be signed"),
        Probe("cors", Outcome.SKIPPED, "not tried: downloads are navigations, which need no CORS"),
    ]


def _tried(name: str, step: Callable[[], str]) -> Probe:
    try:
        return Probe(name, Outcome.OK, step())
    except GitopsError as error:
        return Probe(name, Outcome.FAILED, str(error))
    except OSError as error:
        return Probe(name, Outcome.FAILED, error.strerror or "the store failed")


def _skipped(name: str) -> Probe:
    return Probe(name, Outcome.SKIPPED, "nothing could be written")


def _same(found: object, expected: object, success: str) -> str:
    if found != expected:
        raise GitopsError("the store answered with something else")
    return success
