"""HTTP to the service: one connection pool, bounded retries with jitter, problems as exceptions.

The credential goes to the endpoint's own origin and nowhere else: not along a redirect to another host, not
to a signed address.
"""

import io
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from cairn.errors import CairnError, UnavailableError, error_of
from cairn.settings import Credential
from cairn.version import __version__

API = "/api/v1"
RETRIED = frozenset({429, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
ATTEMPTS = 6
# Nobody has ever answered there: more likely a wrong address than a restart.
ATTEMPTS_UNANSWERED = 2
LONGEST_WAIT_S = 60.0
TIMEOUT = urllib3.Timeout(connect=10, read=300)
CHUNK = 1 << 20

Query = Mapping[str, object]
# A body is called for anew at each attempt, because a half-sent stream cannot be rewound.
BodySource = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request that may be sent more than once; ``url`` is absolute."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BodySource | bytes | None = field(default=None, repr=False)


class Http:
    """The service at one endpoint, as one caller. Safe to share between threads."""

    def __init__(
        self,
        endpoint: str,
        credential: Credential | None = None,
        *,
        verify: bool = True,
        connections: int = 16,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.credential = credential
        self._sleep = sleep
        self._answered = False
        self._options: dict[str, Any] = {"maxsize": connections, "num_pools": 16}
        if not verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            self._options |= {"cert_reqs": "CERT_NONE", "assert_hostname": False}
        self._direct = urllib3.PoolManager(**self._options)
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    def url(self, path: str, query: Query | None = None) -> str:
        """Return the address of an API path (already quoted); query values that are None are left out."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return f"{self.endpoint}{API}{path}{'?' + urlencode(given, doseq=True) if given else ''}"

    def is_own(self, url: str) -> bool:
        """Tell whether an address belongs to the endpoint's origin."""
        return is_same_origin(url, self.endpoint)

    def json(self, method: str, path: str, *, query: Query | None = None, body: object = None) -> Any:
        """Send one request and return the JSON of its answer; None where the answer is empty."""
        headers = {"Accept": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        answer = self.send(Request(method, self.url(path, query), headers, content))
        return _document(answer)

    def pages(self, path: str, query: Query | None = None) -> Iterator[Any]:
        """Yield the documents of a paged answer, following ``Link: rel="next"``."""
        following: Query | None = query or {}
        while following is not None:
            answer = self.send(Request("GET", self.url(path, following), {"Accept": "application/json"}))
            yield _document(answer)
            following = _next_query(answer.headers.get("Link", ""))

    def rows(self, path: str, query: Query | None = None) -> Iterator[Any]:
        """Yield the items of a paged list, 1,000 a request unless the query says otherwise."""
        for page in self.pages(path, {"per_page": 1000, **(query or {})}):
            yield from page

    def lines(self, path: str, query: Query | None = None) -> Iterator[Any]:
        """Yield the documents of an NDJSON answer, one a line."""
        with self.body(path, query) as body, io.BufferedReader(body, CHUNK) as stream:
            for line in stream:
                if line.strip():
                    yield json.loads(line)

    def body(self, path: str, query: Query | None = None, *, start: int = 0) -> "Body":
        """Return the bytes of an answer from offset ``start``; the stream survives broken connections."""
        return Body(self, self.url(path, query), start=start)

    def send(self, request: Request, *, stream: bool = False) -> urllib3.BaseHTTPResponse:
        """Send a request, with retries and redirects, and return its successful answer.

        A request must be safe to repeat: a POST that is not so by its nature carries an ``Idempotency-Key``.

        Raises:
            CairnError: the class says which kind of refusal.
        """
        headers = {"User-Agent": f"cairn/{__version__}", "Accept-Encoding": "identity", **request.headers}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._follow(Request(request.method, request.url, headers, request.body))
                self._answered = True
                if answer.status < 400:  # noqa: PLR2004 - HTTP's own number
                    if not stream:
                        answer.read(cache_content=True)
                    return answer
                error = _refusal(answer)
                retry_after = answer.headers.get("Retry-After", "")
            except urllib3.exceptions.HTTPError as failure:
                error, retry_after = _no_answer(failure, self.endpoint), ""
            last = ATTEMPTS if self._answered else ATTEMPTS_UNANSWERED
            if attempt >= last or not _is_passing(error):
                raise error
            self.pause(attempt, retry_after)
        raise AssertionError

    def pause(self, attempt: int, retry_after: str = "") -> None:
        """Wait after a failed attempt: as long as the service asks, else exponentially with jitter."""
        if retry_after.isdigit():
            self._sleep(min(float(retry_after), LONGEST_WAIT_S))
        else:
            self._sleep(0.5 * 2 ** (attempt - 1) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def _follow(self, request: Request) -> urllib3.BaseHTTPResponse:
        url = request.url
        for _ in range(MAX_REDIRECTS):
            answer = self._once(request, url)
            target = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not target:
                return answer
            answer.drain_conn()
            answer.release_conn()
            if request.method not in ("GET", "HEAD"):
                raise CairnError(
                    f"{self.endpoint} redirects elsewhere; give the right endpoint.", code="redirected"
                )
            following = urljoin(url, target)
            if not following.startswith(("https://", "http://" if url.startswith("http://") else "https://")):
                raise UnavailableError("The service redirects to an address that is not safe to follow.")
            url = following
        raise UnavailableError("The service redirects in a circle.")

    def _once(self, request: Request, url: str) -> urllib3.BaseHTTPResponse:
        headers = dict(request.headers)
        if self.credential and self.is_own(url):
            headers[self.credential.header] = self.credential.value
        body = request.body() if callable(request.body) else request.body
        return self._pool(url).request(
            request.method,
            url,
            body=body,
            headers=headers,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=TIMEOUT,
        )

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.hostname or ""):
            return self._direct
        if proxy not in self._proxies:
            self._proxies[proxy] = urllib3.ProxyManager(proxy, **self._options)
        return self._proxies[proxy]


class Body(io.RawIOBase):
    """The bytes at one address; a broken connection continues by ``Range`` where it broke.

    Attributes:
        position: offset of the next byte in the whole.
    """

    def __init__(self, http: Http, url: str, *, start: int = 0) -> None:
        super().__init__()
        self.position = start
        self._http = http
        self._url = url
        self._etag = ""
        self._answer = self._open()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        return self._answer.headers

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer``; 0 at the end. A break costs at most ``ATTEMPTS`` tries without progress."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # Not read(): what had arrived when the connection broke would be lost.
                piece = self._answer.read1(len(buffer))
            except urllib3.exceptions.HTTPError:
                self._answer.close()
                self._http.pause(attempt)
                self._answer = self._open()
            else:
                buffer[: len(piece)] = piece
                self.position += len(piece)
                return len(piece)
        raise UnavailableError("The connection broke again and again while bytes were arriving.")

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left in pieces of at most 1 MiB."""
        while chunk := self.read(CHUNK):
            yield chunk

    def close(self) -> None:
        """Give the connection back, or drop it if bytes are left unread."""
        if not self.closed:
            self._answer.close() if self._answer.length_remaining else self._answer.release_conn()
        super().close()

    def _open(self) -> urllib3.BaseHTTPResponse:
        headers = {}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
            if self._etag and not self._etag.startswith("W/"):
                headers["If-Range"] = self._etag
        answer = self._http.send(Request("GET", self._url, headers), stream=True)
        etag = answer.headers.get("ETag", "")
        if self._etag and etag != self._etag:
            answer.close()
            raise UnavailableError("The content changed while it was being fetched; start again.")
        self._etag = etag
        if self.position and answer.status != 206:  # noqa: PLR2004 - the whole came back: skip what we have
            skipped = 0
            while skipped < self.position and (piece := answer.read(min(CHUNK, self.position - skipped))):
                skipped += len(piece)
        return answer


def is_same_origin(one: str, other: str) -> bool:
    """Tell whether two addresses have the same scheme, host and port (RFC 6454)."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return (
        parts.scheme,
        (parts.hostname or "").lower(),
        parts.port or (443 if parts.scheme == "https" else 80),
    )


def _next_query(link: str) -> Query | None:
    # Only the query counts: behind a proxy the service may not know its own public address.
    found = re.search(r'<([^>]*)>\s*;[^,]*rel="?next"?', link)
    return dict(parse_qsl(urlsplit(found[1]).query)) if found else None


def _document(answer: urllib3.BaseHTTPResponse) -> Any:
    if not answer.data:
        return None
    try:
        return json.loads(answer.data)
    except ValueError as error:
        raise UnavailableError("The answer is not JSON; is this the address of a Cairn service?") from error


def _refusal(answer: urllib3.BaseHTTPResponse) -> CairnError:
    try:
        problem = json.loads(answer.read(1 << 20) or b"{}")
    except ValueError:
        problem = {}
    answer.drain_conn()
    answer.release_conn()
    if not isinstance(problem, dict):
        problem = {}
    headers = answer.headers
    problem.setdefault("detail", headers.get("X-Error-Message"))
    problem.setdefault("error_code", headers.get("X-Error-Code"))
    return error_of(answer.status, problem, request_id=headers.get("X-Request-Id", ""))


def _is_passing(error: CairnError) -> bool:
    """Tell whether the same request may succeed later."""
    if error.status is None:
        return error.code == UnavailableError.default_code
    return error.status in RETRIED or error.code == "idempotency_key_in_use"


def _no_answer(failure: urllib3.exceptions.HTTPError, endpoint: str) -> CairnError:
    if isinstance(failure, urllib3.exceptions.SSLError):
        return UnavailableError(
            f"The certificate of {endpoint} is not trusted (-k goes on without checking): {failure}",
            code="certificate",
        )
    return UnavailableError(f"No answer from {endpoint}: {str(failure).rpartition(': ')[2]}")
