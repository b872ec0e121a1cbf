"""Cursors: opaque to clients, the key of the last row to us."""

from app.errors import BadRequestError

LARGEST = (1 << 63) - 1


def number_of(cursor: str | None) -> int:
    """Return the number in a cursor, 0 for none.

    Raises:
        BadRequestError: the cursor was not made by us.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > LARGEST:
        raise BadRequestError("this cursor was not made by this service")
    return int(cursor)
