"""Media types guessed from names, the same on every machine, and what is safe to send. Pure."""

from mimetypes import MimeTypes

UNKNOWN = "application/octet-stream"

_MORE = {
    ".avif": "image/avif",
    ".bib": "text/x-bibtex",
    ".cff": "text/yaml",
    ".dcm": "application/dicom",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".heic": "image/heic",
    ".jsonl": "application/jsonl",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".ndjson": "application/x-ndjson",
    ".nii": "application/x-nifti",
    ".npy": "application/x-npy",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".parquet": "application/vnd.apache.parquet",
    ".toml": "application/toml",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".yaml": "text/yaml",
    ".yml": "text/yaml",
    ".zst": "application/zstd",
}
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": UNKNOWN,
    "compress": "application/x-compress",
}
# What a browser would run or render as a document of our origin, were it ever shown inline.
_ACTIVE = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/mathml+xml",
        "application/rdf+xml",
        "application/x-javascript",
        "application/x-shockwave-flash",
        "application/xhtml+xml",
        "application/xml",
        "application/xml-dtd",
        "application/xslt+xml",
        "image/svg+xml",
        "message/rfc822",
        "multipart/related",
        "text/css",
        "text/ecmascript",
        "text/html",
        "text/javascript",
        "text/vcard",
        "text/x-component",
        "text/xml",
        "text/xsl",
    }
)


def _table() -> MimeTypes:
    """Return Python's own table with ours on top; the machine's files are not read."""
    table = MimeTypes(filenames=())
    for extension, media_type in _MORE.items():
        table.add_type(media_type, extension)
    return table


_TABLE = _table()


def guess(name: str) -> str:
    """Return the media type that a file's name suggests."""
    extension = name.rpartition("/")[2]
    media_type, encoding = _TABLE.guess_type(f"x/{extension}", strict=True)
    if encoding:
        return _COMPRESSED.get(encoding, UNKNOWN)
    return media_type or UNKNOWN


def safe(name: str) -> str:
    """Return the media type to send a user's file with: never one that a browser would run."""
    media_type = guess(name)
    if media_type in _ACTIVE or media_type.endswith("+xml"):
        return UNKNOWN
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
