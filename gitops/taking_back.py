"""Drafts that bring earlier states back: reverting one version, restoring a path or everything.

History is never rewritten and never rebinds: identity and storage site stay as they are.
"""

from collections.abc import Callable

from gitops import layout, trees
from gitops.errors import InvalidPathError, InvalidRefError, PathClashError, PathNotFoundError
from gitops.gitrepo import GitRepo
from gitops.model import ROOT, Commit, CommitId, RepoPath
from gitops.workbench import Workbench, nodes_at

Build = Callable[[Commit, Workbench], bytes | None]
"""(base version, workbench) -> id of the drafted root tree, None for an empty one."""


def reverting(git: GitRepo, undone: CommitId) -> Build:
    """Return the draft that takes one version's changes back.

    Raises:
        InvalidRefError: it is the first version.
    """
    target = git.read_commit(undone)
    if not target.parents:
        raise InvalidRefError("the first version of a dataset cannot be reverted")
    parent = git.read_commit(target.parents[0])

    def build(base: Commit, bench: Workbench) -> bytes | None:
        return bench.merged(target, bytes.fromhex(base.tree), _bound_like(target, parent, bench), {})

    return build


def _bound_like(model: Commit, commit: Commit, bench: Workbench) -> bytes | None:
    """Return a version's tree with the identity and site of another."""
    patch = trees.Patch()
    for path in layout.BINDING_PATHS:
        was, now = (nodes_at(bench.read_folder, one.tree, path)[0] for one in (model, commit))
        if was != now:
            patch.set(path, was)
    tree = bytes.fromhex(commit.tree)
    return bench.patched(tree, patch) if patch else tree


def restoring(git: GitRepo, source: CommitId, path: RepoPath) -> Build:
    """Return the draft that makes a path, or everything (``ROOT``), as it was at ``source``.

    Raises:
        InvalidPathError: the path says who the dataset is or where its bytes lie.
    """
    if path != ROOT and layout.is_binding(path):
        raise InvalidPathError(f"the path {path!r} is reserved", paths=[path])
    then = git.read_commit(source)

    def build(base: Commit, bench: Workbench) -> bytes | None:
        patch = trees.Patch()
        if path == ROOT:
            _take_everything(then, base, patch, bench)
        else:
            _take_path(then, base, path, patch, bench)
        return bench.patched(bytes.fromhex(base.tree), patch)

    return build


def _take_everything(then: Commit, base: Commit, patch: trees.Patch, bench: Workbench) -> None:
    """Every name of the root but what is hidden: identity, site and labels have their own ways back."""
    was = bench.read_folder(bytes.fromhex(then.tree)).nodes
    now = bench.read_folder(bytes.fromhex(base.tree)).nodes
    for name in was.keys() | now.keys():
        shown = name.decode(errors="replace")
        if not layout.is_hidden(shown) and was.get(name) != now.get(name):
            patch.set(shown, was.get(name))


def _take_path(then: Commit, base: Commit, path: RepoPath, patch: trees.Patch, bench: Workbench) -> None:
    was, now = (nodes_at(bench.read_folder, one.tree, path) for one in (then, base))
    if was == (None, None) and now == (None, None):
        raise PathNotFoundError(f"there is no {path!r} in either version", paths=[path])
    for name, old, new in zip((path, layout.pointer_path(path)), was, now, strict=True):
        if old != new:
            patch.set(name, old)
    if was != (None, None):
        _check_room(base, path, bench)


def _check_room(base: Commit, path: RepoPath, bench: Workbench) -> None:
    """Refuse to bring a path back where a file, or a name differing only in case, has taken its place."""
    folder: bytes | None = bytes.fromhex(base.tree)
    walked = ""
    for segment in path.split("/"):
        if folder is None:
            return
        nodes = bench.read_folder(folder).nodes
        names = {name.decode(errors="replace").removesuffix(layout.POINTER_SUFFIX) for name in nodes}
        twin = next(
            (one for one, two in trees.twins([segment, *(names - {segment})]) if two == segment), None
        )
        walked = f"{walked}/{segment}" if walked else segment
        node = nodes.get(segment.encode())
        is_file = segment in names and not (node and node.is_tree)
        if twin or (is_file and walked != path):
            raise PathClashError(f"{twin or walked!r} stands where {path!r} was", paths=[path])
        folder = node.oid if node and node.is_tree else None
