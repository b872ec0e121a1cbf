"""Cursors of lists of datasets: the sort key and id of the last row, opaque to clients."""

import base64
import binascii
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from app.datasets.models import Dataset
from app.errors import BadRequestError

MAX_ID = 1 << 63
_FOREIGN_CURSOR = "this cursor was not made by this service"


def cursor_of(dataset: Dataset, key: str) -> str:
    """Return the cursor of the rows after this one."""
    value = asdict(dataset)[key]
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return base64.urlsafe_b64encode(orjson.dumps([text, dataset.id])).decode()


def position_of(cursor: str | None, key: str) -> tuple[Any, int] | None:
    """Return the sort key and id in a cursor, None for none. Raises BadRequestError."""
    if cursor is None:
        return None
    try:
        text, last_id = orjson.loads(base64.urlsafe_b64decode(cursor))
        value = text if key == "name" else datetime.fromisoformat(text).astimezone(UTC)
        if isinstance(text, str) and type(last_id) is int and 0 <= last_id < MAX_ID:
            return value, last_id
    except (ValueError, TypeError, OverflowError, binascii.Error) as error:
        raise BadRequestError(_FOREIGN_CURSOR) from error
    raise BadRequestError(_FOREIGN_CURSOR)
