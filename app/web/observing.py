"""Request ids in and out, and one line of JSON in the log for each request."""

import logging
import re
import secrets
import sys
import time
from datetime import UTC, datetime

import orjson
from flask import Flask, Response, g, request

from app.web.context import actor, request_id

log = logging.getLogger("cairn.request")

HEADER = "X-Request-Id"
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET = frozenset({"static", "api_health.healthz_get", "api_health.readyz_get"})
# Their addresses hold a secret that lets somebody in.
_SECRET_ADDRESSES = frozenset({"accounts.setup", "accounts.submit_setup"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def install(app: Flask) -> None:
    """Give every request an id before anything else, and log it after everything else."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()
    sent = request.headers.get(HEADER, "")
    g.request_id = sent if _GOOD_ID.fullmatch(sent) else secrets.token_hex(12)


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    if request.endpoint not in _QUIET and log.isEnabledFor(logging.INFO):
        # The query is left out: people put tokens there, whatever the documentation says.
        log.info(
            "request",
            extra={
                "request_id": request_id(),
                "method": request.method,
                "path": _path(),
                "status": response.status_code,
                "duration_ms": round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000, 2),
                "user": actor().username or None,
                "address": request.remote_addr,
                "bytes": response.content_length,
            },
        )
    return response


def _path() -> str:
    if request.endpoint in _SECRET_ADDRESSES and request.url_rule is not None:
        return request.url_rule.rule
    return request.path[:500]


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event and what came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z).decode()


def configure_logging(level: str) -> None:
    """Send the log of this process to stderr as JSON lines; commands call this, never an import."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("alembic", "huey", "botocore", "s3fs", "urllib3", "fsspec"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
