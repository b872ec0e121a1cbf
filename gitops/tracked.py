"""Files that a repository tracks without a pointer of their own: ``.dir`` manifests and ``dvc.lock``.

Both are laid over the git tree as virtual folders, so that a listing shows the files that people
mean, whichever DVC command made them.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from gitops.model import Pointer
from gitops.pointers import ManifestRow, TrackedOut


@dataclass(slots=True)
class VirtualFolder:
    """Files and folders by name that git does not hold. Built once, then only read."""

    files: dict[str, Pointer] = field(default_factory=dict)
    folders: dict[str, "VirtualFolder"] = field(default_factory=dict)

    @classmethod
    def from_manifest(cls, rows: Iterable[ManifestRow], *, is_legacy: bool) -> "VirtualFolder":
        """Return the folder that a manifest describes; sizes are not in it."""
        folder = cls()
        for row in rows:
            folder._add(
                unicodedata.normalize("NFC", row.path), Pointer(md5=row.md5, size=None, is_legacy=is_legacy)
            )
        return folder

    @classmethod
    def from_outs(cls, outs: Iterable[TrackedOut]) -> "VirtualFolder":
        """Return the outputs of a ``dvc.lock``; a tracked folder among them stays one file here."""
        folder = cls()
        for out in outs:
            folder._add(out.path, out.pointer)
        return folder

    def _add(self, path: str, pointer: Pointer) -> None:
        folder = self
        *parents, name = path.split("/")
        for parent in parents:
            folder = folder.folders.setdefault(parent, VirtualFolder())
        folder.files[name] = pointer

    def pointers(self) -> Iterable[tuple[str, Pointer]]:
        """Yield (relative path, pointer) of every file below, sorted by segment."""
        for name in sorted(self.files.keys() | self.folders.keys()):
            if name in self.files:
                yield name, self.files[name]
            if name in self.folders:
                for path, pointer in self.folders[name].pointers():
                    yield f"{name}/{path}", pointer

    def __len__(self) -> int:
        return len(self.files) + sum(len(folder) for folder in self.folders.values())
