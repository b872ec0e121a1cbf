"""How people name a dataset: ``4473``, ``vision/cells`` or ``ds://vision/cells@v0.1.0/path``."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from cairn.errors import AddressError

_NAME = re.compile(r"\d+|[A-Za-z][\w.-]*(?:/[\w.-]+)+")


@dataclass(frozen=True, slots=True)
class Address:
    """A dataset, and perhaps a ref and a path in it.

    Attributes:
        dataset: integer id or full path.
        ref: as typed; "" means the default branch.
        path: below the dataset, without a leading slash; "" is the root.
    """

    dataset: str
    ref: str = ""
    path: str = ""

    @property
    def api_path(self) -> str:
        """The dataset's own path below ``/api/v1``."""
        return f"/datasets/{quote(self.dataset, safe='')}"

    def with_ref(self, ref: str | None) -> "Address":
        """Return the address at ``ref``, which may not contradict a ref in the address itself."""
        if ref and self.ref and ref != self.ref:
            raise AddressError(f"The address says version {self.ref!r} and --ref says {ref!r}; give one.")
        return replace(self, ref=ref or self.ref)


def parse_address(text: str) -> Address:
    """Read an address.

    In the ``ds://`` form the ref ends at the first slash: write a branch's slash as ``%2F``. Without a
    ref the first two parts are the dataset; nested namespaces need the ref, or the plain form.

    Raises:
        AddressError: the text is not an address.
    """
    if text.startswith("ds://"):
        dataset, ref, path = _split_url(text.removeprefix("ds://"))
    else:
        dataset, _, ref = text.partition("@")
        path = ""
    if not _NAME.fullmatch(dataset) or ".." in dataset.split("/"):
        raise AddressError(
            f"{text!r} does not name a dataset; write 4473, namespace/name or ds://namespace/name@ref/path."
        )
    return Address(dataset, unquote(ref), clean_path(path))


def clean_path(path: str) -> str:
    """Return a dataset path without the leading and trailing slashes that people type."""
    return path.strip("/")


def _split_url(rest: str) -> tuple[str, str, str]:
    if "@" in rest:
        dataset, _, tail = rest.partition("@")
        ref, _, path = tail.partition("/")
        return dataset, ref, path
    parts = rest.split("/")
    width = 1 if parts[0].isdigit() else 2
    return "/".join(parts[:width]), "", "/".join(parts[width:])
