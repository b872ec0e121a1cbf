"""What a push may bring into a dataset: names, kinds of files, pointers and their bytes.

Cost follows the change: of each new commit only what differs from its first parent is read. A tree of
a few objects can stand for any number of paths, so entries, depth and time are bounded, and what
exceeds a bound is refused, not cut short.
"""

import unicodedata

from gitops import layout, trees
from gitops.gitrepo import GitRepo
from gitops.model import MAX_DEPTH, MAX_PATH_BYTES, CommitId, TreeId, segment_fault
from gitops.push_limits import Budget, PushLimits, Refusals
from gitops.push_pointers import ImportCheck, Ledger, PointerCheck

_POINTER = layout.POINTER_SUFFIX
_MAX_COMMIT_BYTES = 256 * 1024
_RESERVED = {".dvc", ".cairn"}
_SECRETS = layout.DVC_CONFIG + ".local"


class ContentCheck:
    """Looks at the new commits of one push.

    Args:
        repo: reads the repository and the push's quarantine.
        ledger: the dataset's objects, or None while it has no storage site.
        refusals: takes the reasons.
        imports: what pointers of ``dvc import`` may name; None where they are taken for any others.
    """

    def __init__(
        self,
        repo: GitRepo,
        ledger: Ledger | None,
        limits: PushLimits,
        refusals: Refusals,
        *,
        imports: ImportCheck | None = None,
    ) -> None:
        self._repo = repo
        self._limits = limits
        self._refusals = refusals
        self._budget = Budget(limits)
        self._pointers = PointerCheck(repo, ledger, refusals, self._budget, imports=imports)
        self._seen: set[tuple[bytes | None, bytes, str]] = set()

    def check(self, commit: CommitId) -> None:
        """Look at what one commit changes against its first parent."""
        if self._repo.blob_size(commit) > _MAX_COMMIT_BYTES:
            self._refusals.add("", f"the commit {commit[:10]} has a message longer than anybody reads")
            return
        found = self._repo.read_commit(commit)
        parent = self._repo.read_commit(found.parents[0]).tree if found.parents else None
        self._budget.spend(1)
        self._walk(parent, found.tree)

    def finish(self) -> None:
        """Ask the ledger about everything that is still to be asked."""
        self._pointers.flush()

    def _walk(self, old: TreeId | None, new: TreeId) -> None:
        waiting: list[tuple[bytes | None, bytes, str, int]] = [
            (bytes.fromhex(old) if old else None, bytes.fromhex(new), "", 1)
        ]
        while waiting:
            before, after, prefix, depth = waiting.pop()
            if before == after or (before, after, prefix) in self._seen:
                continue
            self._seen.add((before, after, prefix))
            for name, node, was in self._changed(before, after, prefix):
                if self._is_refused(prefix, name, node, depth):
                    continue
                path = prefix + name
                if node.is_tree:
                    waiting.append(
                        (was.oid if was and was.is_tree else None, node.oid, path + "/", depth + 1)
                    )
                else:
                    self._check_file(path, name, node, after)

    def _changed(
        self, before: bytes | None, after: bytes, prefix: str
    ) -> list[tuple[str, trees.Node, trees.Node | None]]:
        """Return what is new or different in one folder, and look at its new names."""
        old = self._repo.read_folder(before) if before else trees.EMPTY
        new = self._repo.read_folder(after)
        known = set(old.rows)
        rows = [row for row in new.rows if row not in known]
        self._budget.spend(len(rows) + 1)
        was = old.nodes if rows and before else {}
        changed: list[tuple[str, trees.Node, trees.Node | None]] = []
        added: set[str] = set()
        for mode, raw, oid in rows:
            try:
                name = raw.decode()
            except UnicodeDecodeError:
                self._refusals.add(prefix + ascii(raw)[2:-1], "the name is not valid UTF-8")
                continue
            changed.append((name, trees.Node(mode, oid), was.get(raw)))
            if raw not in was:
                added.add(name)
        if added:
            self._check_twins(prefix, added, new)
        return changed

    def _check_twins(self, prefix: str, added: set[str], folder: trees.Folder) -> None:
        """Names that a Mac or Windows takes for one, and names that are a file and a pointer at once."""
        by_key: dict[str, str] = {}
        for _, raw, _ in folder.rows:
            name = raw.decode(errors="replace")
            other = by_key.setdefault(_twin_key(name), name)
            if other is not name and (name in added or other in added):
                pair = sorted((other, name))
                if _stem(name) == _stem(other):
                    reason = (
                        f"{pair[0]!r} and {pair[1]!r} are the same path twice: in git and behind a pointer"
                    )
                else:
                    reason = f"{pair[0]!r} and {pair[1]!r} are one name to many computers"
                self._refusals.add(prefix + name, reason)

    def _is_refused(self, prefix: str, name: str, node: trees.Node, depth: int) -> bool:
        path = prefix + name
        reason = name_fault(name, is_root=not prefix, is_folder=node.is_tree)
        if reason is None and node.is_tree and depth >= MAX_DEPTH:
            reason = f"folders may be at most {MAX_DEPTH} deep"
        if reason is None and len(path.encode()) > MAX_PATH_BYTES:
            reason = f"a path may have at most {MAX_PATH_BYTES} bytes"
        if reason is None:
            reason = _mode_fault(node)
        if reason:
            self._refusals.add(path, reason)
        return reason is not None

    def _check_file(self, path: str, name: str, node: trees.Node, folder: bytes) -> None:
        size = self._repo.blob_size(node.id)
        if path == _SECRETS:
            self._refusals.add(path, "it holds credentials and must never be committed")
        elif name.endswith(_POINTER):
            self._pointers.add(path, node.id, size)
        elif name == layout.LOCK_FILE:
            self._pointers.add_lock(path, node.id, size, folder)
        elif size > self._limits.text_bytes:
            most = self._limits.text_bytes
            self._refusals.add(path, f"{size} bytes are too many for git (at most {most}): use dvc add")


def name_fault(name: str, *, is_root: bool, is_folder: bool) -> str | None:
    """Return why a name in git cannot be part of a dataset, or None."""
    stem = _stem(name)
    reason = segment_fault(stem)
    if reason:
        return reason
    if unicodedata.normalize("NFC", name) != name:
        return "the name is not in Unicode's composed form (NFC)"
    if name.casefold() in _RESERVED and (name not in _RESERVED or not is_root or not is_folder):
        return f"{name!r} is a reserved name: '.dvc' and '.cairn' are folders at the root"
    if is_folder and stem != name:
        return "a folder may not be named like a pointer"
    return None


def _stem(name: str) -> str:
    """Return the name that a pointer file stands for; any other name as it is."""
    return name[: -len(_POINTER)] if name.endswith(_POINTER) and len(name) > len(_POINTER) else name


def _mode_fault(node: trees.Node) -> str | None:
    if node.is_tree or node.is_blob:
        return None
    if node.mode == trees.SYMLINK:
        return "symbolic links are not allowed"
    if node.mode == trees.GITLINK:
        return "submodules are not allowed"
    return f"the file mode {node.mode.decode()} is not allowed"


def _twin_key(name: str) -> str:
    """Return what file systems that ignore case and composition would take a name for."""
    stem = _stem(name)
    return stem.lower() if stem.isascii() else unicodedata.normalize("NFC", stem.casefold())
