"""Where the demo's files come from: what installed packages ship. Nothing is downloaded."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from app.errors import UnsupportedError

FOLDERS = {
    "scikit-image": ("skimage", "data"),
    "scikit-learn": ("sklearn", "datasets"),
    "pydicom": ("pydicom", "data/test_files"),
    "nibabel": ("nibabel", "."),
}
IRIS_COLUMNS = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm", "species")


class SamplesMissingError(UnsupportedError):
    """A package whose files the demo needs is not installed."""

    code = "samples_missing"


def read_sample(package: str, path: str) -> bytes:
    """Return a file that a package ships.

    Args:
        package: name of the distribution, a key of ``FOLDERS``.
        path: below the folder that ``FOLDERS`` gives.

    Raises:
        SamplesMissingError: the package is not installed, or ships no such file.
    """
    module, folder = FOLDERS[package]
    # Finding a package does not import it: that would take seconds.
    found = find_spec(module)
    if found is None or found.origin is None:
        raise SamplesMissingError(f"the demo needs {package}; install it with: pip install 'cairn[demo]'")
    try:
        return (Path(found.origin).parent / folder / path).read_bytes()
    except FileNotFoundError as error:
        raise SamplesMissingError(
            f"{package} {version(package)} ships no {path!r}; install the version in requirements.lock"
        ) from error


photograph = partial(read_sample, "scikit-image")
scan = partial(read_sample, "pydicom")
volume = partial(read_sample, "nibabel")
table = partial(read_sample, "scikit-learn")


def halved(image: bytes) -> bytes:
    """Return a picture at half its width and height, as PNG."""
    with Image.open(io.BytesIO(image)) as picture:
        smaller = picture.resize((picture.width // 2, picture.height // 2))
    target = io.BytesIO()
    smaller.save(target, format="PNG")
    return target.getvalue()


def iris_with_columns(raw: bytes) -> bytes:
    """Return scikit-learn's iris table with a row of column names and species by name.

    Its first row is: number of rows, number of features, names of the classes.
    """
    (_, _, *names), *rows = csv.reader(io.StringIO(raw.decode()))
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(IRIS_COLUMNS)
    writer.writerows([*measures, names[int(label)]] for *measures, label in rows)
    return target.getvalue().encode()


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return target.getvalue().encode()
