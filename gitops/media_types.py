"""Media types by file name, the same on every machine. Pure."""

import mimetypes

_TYPES = mimetypes.MimeTypes(filenames=())

# What research data is made of and the standard table lacks or calls otherwise.
_OURS = {
    ".avif": "image/avif",
    ".bib": "text/x-bibtex",
    ".cff": "text/yaml",
    ".dcm": "application/dicom",
    ".edf": "application/edf",
    ".fits": "image/fits",
    ".flac": "audio/flac",
    ".geojson": "application/geo+json",
    ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".heic": "image/heic",
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".jxl": "image/jxl",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".ndjson": "application/x-ndjson",
    ".nii": "application/x-nifti",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".nrrd": "application/x-nrrd",
    ".onnx": "application/x-onnx",
    ".parquet": "application/vnd.apache.parquet",
    ".pt": "application/x-pytorch",
    ".rst": "text/x-rst",
    ".safetensors": "application/x-safetensors",
    ".svs": "image/x-aperio-svs",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zarr": "application/x-zarr",
    ".zst": "application/zstd",
}
for _suffix, _type in _OURS.items():
    _TYPES.add_type(_type, _suffix)

UNKNOWN = "application/octet-stream"
_COMPRESSIONS = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def media_type(name: str) -> str:
    """Return the media type that a file's name suggests; ``application/octet-stream`` if none."""
    if name.casefold().endswith(".nii.gz"):
        return "application/x-nifti"
    guessed, compression = _TYPES.guess_type(name.rpartition("/")[2], strict=True)
    if compression:
        return _COMPRESSIONS.get(compression, UNKNOWN)
    return guessed or UNKNOWN
