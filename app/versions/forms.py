"""Forms with files, read part by part: from the API's route and from the page's."""

from collections.abc import Iterable, Iterator
from itertools import islice

from app.errors import BadRequestError
from app.versions import shapes
from app.versions.service import FormUpload, Incoming
from app.web.multipart_stream import Part
from gitops.model import RepoPath, parse_path

_FILE_PARTS = frozenset({"files", "file", "files[]"})


def files_of_form(form: FormUpload, parts: Iterable[Part]) -> Iterator[Incoming]:
    """Yield the files of the form as they arrive; fields may come before, between or after them.

    Raises:
        BadRequestError: a file part has a foreign name, or a field of that name holds no file.
    """
    for part in parts:
        if part.filename is None:
            _take_field(form, part)
        elif part.name in _FILE_PARTS:
            if part.filename:
                yield Incoming(RepoPath(part.filename), part.chunks)
        else:
            raise BadRequestError(f"the file part {part.name!r} is not called 'files'")


def _take_field(form: FormUpload, part: Part) -> None:
    if part.name == "folder":
        form.folder = parse_path(part.text())
    elif part.name == "message":
        form.message = part.text() or None
    elif part.name == "branch":
        form.branch = shapes.branch_of(part.text())
    elif part.name in _FILE_PARTS:
        raise BadRequestError("a file part needs a file name (curl -F files=@name)")
    else:
        for _ in islice(part.chunks, None):
            pass
