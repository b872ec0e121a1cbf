"""DVC's file formats, pure: ``.dvc`` pointers, ``.dir`` manifests and ``dvc.lock`` outputs.

The format is that of DVC 3 (read in DVC 3.67): what we write is what ``dvc add`` writes plus a
``meta`` mapping, which DVC carries along untouched. Readers tolerate whatever DVC 2 and 3 write and
refuse what neither would; no scalar is ever resolved, because an MD5 such as ``83…41e49…`` reads as a
number otherwise.
"""

import json
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from gitops.errors import InvalidPointerError
from gitops.model import Md5, Pointer, PointerMeta, is_md5, segment_fault

MAX_POINTER_BYTES = 64 * 1024
MAX_LOCK_BYTES = 4 * 1024 * 1024
MAX_MANIFEST_BYTES = 512 * 1024 * 1024
MAX_OUTS = 1000
MAX_MANIFEST_DEPTH = 64

_FAST = re.compile(
    rb"\Aouts:\n"
    rb"- md5: (?P<q>'?)(?P<md5>[0-9a-f]{32})(?P<dir>\.dir)?(?P=q)\n"
    rb"(?:  size: (?P<size>[0-9]{1,18})\n)?"
    rb"(?:  nfiles: [0-9]{1,12}\n)?"
    rb"(?:  hash: (?P<hash>md5)\n)?"
    rb"  path: (?P<path>[^\n\r\t'\"#:&*!|>%@`{}\[\],? -][^\n\r\t#:]*)\n"
    rb"(?:meta:\n(?P<meta>(?:  [a-z_0-9]+: [^\n]+\n)+))?\Z"
)
_META_LINE = re.compile(rb"  ([a-z_0-9]+): (?:'([A-Za-z0-9_./+;=-]+)'|([A-Za-z0-9_./][A-Za-z0-9_./+;=-]*))\n")
_LOOKS_NUMERIC = re.compile(r"[0-9]+(e[0-9]+)?|0b[01]+")
# What YAML 1.2 (DVC's reader) takes for a number and YAML 1.1 does not.
_NUMBER_1_2 = re.compile(r"[-+]?([0-9][0-9_]*\.?|[0-9_]*\.[0-9_]+)([eE][-+]?[0-9]+)?|0o[0-7_]+")
# What the text of a plain scalar may not hold (YAML 1.2.2 §7.3.3) and what no scalar may hold raw (§5.1).
_UNPRINTABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")
_NEEDS_QUOTES = re.compile(
    rf"\A([#,\[\]{{}}&*!|>'\"%@` ]|[-?:]( |\Z)|---|\.\.\.|\Z)|:( |\Z)| #| \Z|{_UNPRINTABLE.pattern}"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CRC32 = re.compile(r"[0-9a-f]{8}")
_MEDIA_TYPE = re.compile(r"[a-z0-9]+/[A-Za-z0-9.+_-]+")


@dataclass(frozen=True, slots=True)
class TrackedOut:
    """One output of a DVC file: ``path`` is relative to the file's folder and not yet trusted."""

    path: str
    pointer: Pointer


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file of a folder that DVC tracks as one; ``path`` is relative to that folder, checked."""

    path: str
    md5: Md5


def render(pointer: Pointer, name: str) -> bytes:
    """Return the text of ``<name>.dvc`` as DVC 3 writes it, with our facts under ``meta``."""
    lines = ["outs:", f"- md5: {hexadecimal(pointer.md5)}"]
    if pointer.size is not None:
        lines.append(f"  size: {pointer.size}")
    lines += ["  hash: md5", f"  path: {scalar(name)}"]
    meta = _meta_lines(pointer.meta)
    if meta:
        lines += ["meta:", *meta]
    return ("\n".join(lines) + "\n").encode()


def renamed(text: bytes, name: str) -> bytes:
    """Return a pointer's text with another ``path``; every other character stays as it was.

    Raises:
        InvalidPointerError: not a pointer with one output, or written so that this cannot be done.
    """
    outs = parse(text)
    if len(outs) != 1:
        raise InvalidPointerError(f"a pointer with {len(outs)} outputs cannot be renamed")
    content = text.decode()
    start, end = _path_span(content)
    for value in (scalar(name), _quoted(name)):
        new = (content[:start] + value + content[end:]).encode()
        if _reads_as(new, TrackedOut(name, outs[0].pointer)):
            return new
    raise InvalidPointerError("the pointer is written in a way that does not allow to rename it")


def _reads_as(text: bytes, out: TrackedOut) -> bool:
    try:
        return parse(text) == (out,)
    except InvalidPointerError:
        return False


def _path_span(content: str) -> tuple[int, int]:
    """Return where the value of ``outs[0].path`` stands; ``deps`` may hold a ``path`` before it."""
    root = yaml.compose(content, Loader=_StrictLoader)
    outs = _child(root, "outs")
    value = _child(outs.value[0], "path")
    return value.start_mark.index, value.end_mark.index


def _child(node: yaml.Node | None, key: str) -> yaml.Node:
    assert isinstance(node, yaml.MappingNode)
    found: yaml.Node = next(value for name, value in node.value if name.value == key)
    return found


def _meta_lines(meta: PointerMeta) -> list[str]:
    lines = []
    if meta.sha256:
        lines.append(f"  sha256: {hexadecimal(meta.sha256)}")
    if meta.crc32:
        lines.append(f"  crc32: {hexadecimal(meta.crc32)}")
    if meta.media_type:
        lines.append(f"  media_type: {meta.media_type}")
    if meta.width is not None and meta.height is not None:
        lines += [f"  width: {meta.width}", f"  height: {meta.height}"]
    if meta.duration is not None:
        lines.append(f"  duration: {meta.duration!r}")
    return lines


def hexadecimal(digits: str) -> str:
    """Quote hexadecimal digits exactly where a YAML reader would take them for a number.

    Digits alone, digits around one ``e`` (YAML 1.2) and ``0b…`` (YAML 1.1) are the only hexadecimal
    texts that resolve; DVC's own writer quotes the first two, so its rewriting changes nothing.
    """
    return f"'{digits}'" if _LOOKS_NUMERIC.fullmatch(digits) else digits


def scalar(text: str) -> str:
    """Return a YAML scalar in a block mapping that every reader takes for exactly this text.

    Plain, single- or double-quoted exactly where DVC's writer chooses so.
    """
    return text if not _NEEDS_QUOTES.search(text) and not _resolves(text) else _quoted(text)


def _quoted(text: str) -> str:
    if "'" in text or _UNPRINTABLE.search(text):
        return '"' + _UNPRINTABLE.sub(_escape, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    return f"'{text}'"


def _escape(match: re.Match[str]) -> str:
    """JSON's escapes would not do: its surrogate pairs mean something else in YAML."""
    return f"\\u{ord(match[0]):04X}"


def _resolves(text: str) -> bool:
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # the stubs lack it
    return tag != "tag:yaml.org,2002:str" or _NUMBER_1_2.fullmatch(text) is not None or text == "~"


_RESOLVER = yaml.resolver.Resolver()


def parse(text: bytes) -> tuple[TrackedOut, ...]:
    """Return the outputs that a ``.dvc`` file tracks.

    Raises:
        InvalidPointerError: not a DVC file, an output without MD5, or larger than 64 KiB.
    """
    if len(text) > MAX_POINTER_BYTES:
        raise InvalidPointerError(f"a pointer may have at most {MAX_POINTER_BYTES} bytes")
    fast = _FAST.match(text)
    if fast:
        out = _fast_out(fast)
        if out:
            return (out,)
    document = load_document(text)
    if document.get("wdir", ".") != ".":
        raise InvalidPointerError("a pointer with a working folder ('wdir') of its own is not supported")
    outs = document.get("outs")
    if not isinstance(outs, list) or not outs:
        raise InvalidPointerError("a pointer needs a list 'outs'")
    if len(outs) > MAX_OUTS:
        raise InvalidPointerError(f"a pointer may have at most {MAX_OUTS} outputs")
    meta = document.get("meta")
    facts = _meta(meta) if isinstance(meta, dict) and len(outs) == 1 else PointerMeta()
    return tuple(_out(row, facts) for row in outs)


def parse_single(text: bytes, name: str) -> Pointer:
    """Return the pointer in ``<name>.dvc``, which must track exactly the file beside it.

    Raises:
        InvalidPointerError: malformed, or the file tracks something else than ``name``.
    """
    outs = parse(text)
    if len(outs) != 1:
        raise InvalidPointerError(f"it tracks {len(outs)} outputs instead of {name!r} alone")
    if unicodedata.normalize("NFC", outs[0].path) != unicodedata.normalize("NFC", name):
        raise InvalidPointerError(f"it says path: {outs[0].path[:80]!r} where {name!r} is expected")
    return outs[0].pointer


def _fast_out(match: re.Match[bytes]) -> TrackedOut | None:
    meta = PointerMeta()
    raw_meta = match["meta"]
    if raw_meta:
        pairs = _META_LINE.findall(raw_meta)
        if len(pairs) != raw_meta.count(b"\n"):
            return None
        values = {key.decode(): (quoted or plain).decode() for key, quoted, plain in pairs}
        if len(values) != len(pairs):
            return None
        meta = _meta(values)
    try:
        name = match["path"].decode()
    except UnicodeDecodeError:
        return None
    if not name.isprintable() or name.endswith(" "):
        return None
    size = match["size"]
    return TrackedOut(
        path=name,
        pointer=Pointer(
            md5=Md5((match["md5"] + (match["dir"] or b"")).decode()),
            size=int(size) if size is not None else None,
            meta=meta,
            is_legacy=match["hash"] is None,
        ),
    )


def _out(row: object, meta: PointerMeta) -> TrackedOut:
    if not isinstance(row, dict):
        raise InvalidPointerError("an output must be a mapping")
    path = row.get("path")
    if not isinstance(path, str) or not path:
        raise InvalidPointerError("an output needs a 'path'")
    md5 = row.get("md5")
    if not isinstance(md5, str):
        raise InvalidPointerError(f"the output {path[:80]!r} has no 'md5'")
    if not is_md5(md5.removesuffix(".dir")):
        raise InvalidPointerError(f"{md5[:80]!r} is not an MD5 (32 lowercase hexadecimal digits)")
    if row.get("hash", "md5") != "md5":
        raise InvalidPointerError(f"the hash {_shown(row['hash'])} is not supported, only md5")
    return TrackedOut(
        path=path.removeprefix("./"),
        pointer=Pointer(
            md5=Md5(md5),
            size=_size(row.get("size")),
            meta=meta,
            is_legacy="hash" not in row,
        ),
    )


def _size(raw: object) -> int | None:
    if raw is None:
        return None
    if not isinstance(raw, str) or not re.fullmatch(r"[0-9]{1,18}", raw):
        raise InvalidPointerError(f"the size {_shown(raw)} is not a number of bytes")
    return int(raw)


def _shown(value: object) -> str:
    """Return a short text for messages; a nested structure is not spelled out, it may be deep."""
    return repr(value[:80]) if isinstance(value, str) else f"of type {type(value).__name__}"


def _meta(values: Mapping[str, Any]) -> PointerMeta:
    """Keep the facts that are well-formed; a foreign tool's ``meta`` is none of our business."""
    sha256, crc32, media_type = values.get("sha256"), values.get("crc32"), values.get("media_type")
    return PointerMeta(
        sha256=sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None,
        crc32=crc32 if isinstance(crc32, str) and _CRC32.fullmatch(crc32) else None,
        media_type=media_type if isinstance(media_type, str) and _MEDIA_TYPE.fullmatch(media_type) else None,
        width=_count(values.get("width")),
        height=_count(values.get("height")),
        duration=_seconds(values.get("duration")),
    )


def _count(raw: object) -> int | None:
    return int(raw) if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,9}", raw) else None


def _seconds(raw: object) -> float | None:
    return float(raw) if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", raw) else None


class _StrictLoader(yaml.BaseLoader):
    """PyYAML's loader of plain texts, which also refuses duplicate keys and aliases.

    The pure-Python loader on purpose: nesting ends in RecursionError there, in a crash in C.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise InvalidPointerError("YAML aliases are not allowed")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        if not isinstance(node, yaml.MappingNode):
            raise InvalidPointerError("a tag contradicts what it stands before")
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value) or len(set(keys)) != len(keys):
            raise InvalidPointerError("duplicate or composite keys are not allowed")
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _construct_strict_map(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _construct_strict_map)


def load_document(text: bytes) -> dict[str, Any]:
    """Return a DVC file's mapping; every scalar in it stays text. Raises InvalidPointerError."""
    try:
        document = yaml.load(text.decode(), Loader=_StrictLoader)  # noqa: S506 - BaseLoader builds only texts
    except UnicodeDecodeError as error:
        raise InvalidPointerError("it is not UTF-8") from error
    except RecursionError as error:
        raise InvalidPointerError("it is nested too deep") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidPointerError("it is not valid YAML") from error
    if not isinstance(document, dict):
        raise InvalidPointerError("it is not a YAML mapping")
    return document


def parse_manifest(text: bytes) -> tuple[ManifestRow, ...]:
    """Return the rows of a ``.dir`` manifest, sorted by path.

    Raises:
        InvalidPointerError: malformed, a path that climbs or is absolute, or the same path twice.
    """
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidPointerError("the folder's manifest is not valid JSON") from error
    if not isinstance(rows, list):
        raise InvalidPointerError("the folder's manifest is not a list")
    parsed = sorted((_manifest_row(row) for row in rows), key=lambda row: row.path.split("/"))
    for before, after in pairwise(parsed):
        if before.path == after.path or after.path.startswith(before.path + "/"):
            raise InvalidPointerError(f"the folder's manifest names {after.path[:80]!r} twice")
    return tuple(parsed)


def _manifest_row(row: object) -> ManifestRow:
    if not isinstance(row, dict):
        raise InvalidPointerError("a row of the folder's manifest is not a mapping")
    relpath, md5 = row.get("relpath"), row.get("md5")
    if not isinstance(md5, str) or not is_md5(md5):
        raise InvalidPointerError(f"the folder's manifest holds {_shown(md5)} where an MD5 belongs")
    if not isinstance(relpath, str) or not is_safe_relative(relpath):
        raise InvalidPointerError(f"the folder's manifest holds the path {_shown(relpath)}")
    return ManifestRow(path=relpath, md5=Md5(md5))


def is_safe_relative(path: str) -> bool:
    """Tell whether a path from a DVC file stays below its folder and every segment is portable."""
    segments = path.split("/")
    return len(segments) <= MAX_MANIFEST_DEPTH and not any(segment_fault(segment) for segment in segments)


def render_manifest(rows: Sequence[ManifestRow]) -> bytes:
    """Return a ``.dir`` manifest byte for byte as DVC writes it, so that its MD5 is the same."""
    ordered = sorted(rows, key=lambda row: row.path.split("/"))
    return json.dumps([{"md5": row.md5, "relpath": row.path} for row in ordered]).encode()


def parse_lock(lock: bytes, pipeline: bytes | None) -> Iterator[TrackedOut]:
    """Yield the outputs of every stage in ``dvc.lock`` with paths relative to its folder.

    ``pipeline`` is ``dvc.yaml`` beside it, which alone knows a stage's ``wdir``; outputs that lie
    outside the lock file's folder are left out.

    Raises:
        InvalidPointerError: the lock file is malformed or larger than 4 MiB.
    """
    if len(lock) > MAX_LOCK_BYTES:
        raise InvalidPointerError(f"dvc.lock may have at most {MAX_LOCK_BYTES} bytes")
    document = load_document(lock)
    stages = document.get("stages", document if "schema" not in document else {})
    folders = _stage_folders(pipeline)
    if not isinstance(stages, dict):
        raise InvalidPointerError("dvc.lock needs a mapping 'stages'")
    for name, stage in stages.items():
        outs = stage.get("outs", []) if isinstance(stage, dict) else []
        folder = folders.get(str(name).split("@")[0], "")
        if folder is None:
            continue
        for row in outs if isinstance(outs, list) else []:
            if not isinstance(row, dict) or "md5" not in row:
                continue
            out = _out(row, PointerMeta())
            path = posixpath.normpath(f"{folder}/{out.path}" if folder else out.path)
            if is_safe_relative(path):
                yield TrackedOut(path=path, pointer=out.pointer)


def _stage_folders(pipeline: bytes | None) -> dict[str, str | None]:
    """Return ``wdir`` by stage name; None where it leads elsewhere or depends on a parameter."""
    if pipeline is None or len(pipeline) > MAX_LOCK_BYTES:
        return {}
    try:
        stages = load_document(pipeline).get("stages", {})
    except InvalidPointerError:
        return {}
    folders: dict[str, str | None] = {}
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        body = stage.get("do", stage) if isinstance(stage, dict) else None
        wdir = body.get("wdir") if isinstance(body, dict) else None
        plain = posixpath.normpath(wdir) if isinstance(wdir, str) and wdir else "."
        if plain != ".":
            folders[str(name)] = plain if is_safe_relative(plain) and "${" not in plain else None
    return folders
