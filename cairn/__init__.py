"""Cairn's Python client.

from cairn import Client

snapshot = Client("https://data.example.org").dataset("vision/cells").at("v0.1.0")
snapshot.download("cells", ["train/images"])
print(snapshot.commit_id)
"""

from cairn.client import Client, Dataset, Snapshot
from cairn.errors import (
    AddressError,
    CairnError,
    ConflictError,
    InvalidError,
    LocalFileError,
    NotAllowedError,
    NotFoundError,
    PartialError,
    UnavailableError,
    VerificationError,
)
from cairn.selection import Selection
from cairn.version import __version__

__all__ = [
    "AddressError",
    "CairnError",
    "Client",
    "ConflictError",
    "Dataset",
    "InvalidError",
    "LocalFileError",
    "NotAllowedError",
    "NotFoundError",
    "PartialError",
    "Selection",
    "Snapshot",
    "UnavailableError",
    "VerificationError",
    "__version__",
]
