"""DVC's formats, without DVC: what we write, what we read, what we refuse."""

import json
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from gitops import pointers
from gitops.errors import InvalidPointerError
from gitops.model import Md5, Pointer, PointerMeta
from gitops.pointers import ManifestRow, TrackedOut, parse, parse_lock, parse_manifest, parse_single, render

MD5 = Md5("25143f4e549271181a82d08aeb4d2e7c")
NUMERIC = ["8342228666990739331841042e490822", "1" * 32, "0" * 32, "1" * 31 + "e", "e" + "1" * 31]
NUMERIC += ["12345678901234567890e12345678901", "0b" + "1" * 30, "0" * 30 + "e1"]

md5s = st.one_of(st.sampled_from(NUMERIC), st.text("0123456789abcdef", min_size=32, max_size=32)).map(Md5)
names = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/\\\u2028\u2029"),
    min_size=1,
    max_size=20,
)
metas = st.builds(
    PointerMeta,
    sha256=st.one_of(st.none(), st.just("1" * 64), st.text("0123456789abcdef", min_size=64, max_size=64)),
    crc32=st.one_of(st.none(), st.text("0123456789e", min_size=8, max_size=8)),
    media_type=st.sampled_from([None, "image/jpeg", "application/x-y.z+w"]),
    width=st.just(640),
    height=st.just(480),
    duration=st.sampled_from([None, 1.5, 12.0]),
)
the_pointers = st.builds(
    Pointer,
    md5=st.tuples(md5s, st.sampled_from(["", ".dir"])).map("".join),
    size=st.one_of(st.none(), st.integers(0, 10**15)),
    meta=metas,
)


def read_slowly(text: bytes) -> tuple[TrackedOut, ...]:
    """Parse past the fast path: a comment is no part of any document, and the pattern knows none."""
    return parse(b"# slow\n" + text)


@given(the_pointers, names)
def test_what_is_written_reads_back_the_same_by_every_reader(pointer: Pointer, name: str) -> None:
    text = render(pointer, name)
    assert parse_single(text, name) == pointer
    assert read_slowly(text) == parse(text) == (TrackedOut(name, pointer),)
    for document in (yaml.safe_load(text), YAML(typ="safe", pure=True).load(text)):
        out = document["outs"][0]
        assert (out["md5"], out["path"], out.get("size"), out["hash"]) == (
            pointer.md5,
            name,
            pointer.size,
            "md5",
        )
        assert document.get("meta", {}).get("sha256") == pointer.meta.sha256
        assert document.get("meta", {}).get("crc32") == pointer.meta.crc32


@pytest.mark.parametrize("md5", NUMERIC)
def test_an_md5_that_looks_like_a_number_stays_text(md5: str) -> None:
    text = render(Pointer(Md5(md5), 1), "x")
    assert yaml.safe_load(text)["outs"][0]["md5"] == md5
    assert YAML(typ="safe").load(text)["outs"][0]["md5"] == md5
    assert YAML().load(text)["outs"][0]["md5"] == md5


@pytest.mark.parametrize(
    "name",
    [
        "true",
        "null",
        "~",
        "1e5",
        "1E5",
        "1e-5",
        "1.5",
        "0o17",
        "0x1f",
        "1_000",
        "1:30",
        ".5",
        "+12",
        "-1",
        "yes",
        "2026-01-01",
        "=",
        "<<",
        "- x",
        "a: b",
        "a #b",
        "#a",
        "'a'",
        '"a"',
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "?",
        "a:",
        ": a",
        ".inf",
        ".nan",
        "\ufeffa",
        "a\u200db",
        "🏴\U000e0067\U000e007f",
        "\xa0",
    ],
    ids=ascii,
)
def test_a_name_that_yaml_could_misread_stays_text(name: str) -> None:
    text = render(Pointer(MD5, 1), name)
    assert parse_single(text, name).md5 == MD5
    assert yaml.safe_load(text)["outs"][0]["path"] == name
    assert YAML(typ="safe").load(text)["outs"][0]["path"] == name


lines = st.sampled_from(
    [
        "outs:\n",
        f"- md5: {MD5}\n",
        f"- md5: '{MD5}'\n",
        f"- md5: {MD5}.dir\n",
        "  size: 3\n",
        "  size: '3'\n",
        "  nfiles: 2\n",
        "  hash: md5\n",
        "  path: x\n",
        "  path: a b \n",
        "  path: 'x'\n",
        "  path: \x85x\n",
        "  path: a\x00b\n",
        "  path: é\n",
        "  path: a: b\n",
        "  path: a #b\n",
        "  path: -\n",
        "  path: a\ufeff\n",
        "meta:\n",
        "  sha256: " + "1" * 64 + "\n",
        "  width: 3\n",
        "  width: -\n",
        "  crc32: '12345678'\n",
        "  media_type: a/b\n",
        "  x: ---\n",
        "  width: 4\n",
        "  duration: 1.5\n",
        "  a: =\n",
        "  a: .\n",
    ]
)


@given(st.one_of(st.lists(lines, max_size=9).map("".join), st.text(max_size=60)))
def test_the_fast_path_takes_nothing_that_the_slow_one_reads_differently(text: str) -> None:
    try:
        found = parse(text.encode(errors="replace"))
    except InvalidPointerError:
        return
    assert found == read_slowly(text.encode(errors="replace"))


@given(
    st.tuples(
        st.sampled_from(["x", "é", "a b", "true", "a'b", "x=y", "a,b"]),
        st.sampled_from(["", "  size: 12\n"]),
        st.sampled_from(["", "  hash: md5\n"]),
        st.sampled_from(["", "meta:\n  width: 3\n  height: 4\n", "meta:\n  a: ---\n", "meta:\n  a: -\n"]),
    )
)
def test_the_fast_path_and_the_slow_one_agree(parts: tuple[str, str, str, str]) -> None:
    name, size, kind, meta = parts
    text = f"outs:\n- md5: {MD5}\n{size}{kind}  path: {name}\n{meta}".encode()
    answers = []
    for read in (parse, read_slowly):
        try:
            answers.append(read(text))
        except InvalidPointerError:
            answers.append(())
    assert answers[0] == answers[1]


HOSTILE = {
    "too large": b"outs:\n- md5: " + b"0" * 32 + b"\n  path: x\n" + b"#" * pointers.MAX_POINTER_BYTES,
    "deep brackets": b"[" * 60_000,
    "deep braces": b"{" * 60_000,
    "deep blocks": b"- " * 30_000,
    "deep keys": b"? " * 30_000,
    "closed brackets": b"outs: " + b"[" * 20_000 + b"]" * 20_000,
    "deep indents": b"".join(b" " * n + b"a:\n" for n in range(300)),
    "many anchors": b"&a " * 20_000,
    "laughs": b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nouts: *c\n",
    "merge key": f"a: &a {{md5: {MD5}}}\nouts:\n- <<: *a\n  path: x\n".encode(),
    "duplicate key": f"outs:\n- md5: {MD5}\n  path: x\n  path: y\n".encode(),
    "duplicate outs": f"outs:\n- md5: {MD5}\n  path: x\nouts: []\n".encode(),
    "composite key": b"? [a, b]\n: c\nouts: []\n",
    "no md5": b"outs:\n- path: x\n",
    "short md5": b"outs:\n- md5: abc\n  path: x\n",
    "upper md5": f"outs:\n- md5: {MD5.upper()}\n  path: x\n".encode(),
    "climbing md5": b"outs:\n- md5: ../../../../../../etc/passwd0\n  path: x\n",
    "md5 with newline": f'outs:\n- md5: "{MD5}\\n"\n  path: x\n'.encode(),
    "twice dir": f"outs:\n- md5: {MD5}.dir.dir\n  path: x\n".encode(),
    "md5 a list": f"outs:\n- md5: [{MD5}]\n  path: x\n".encode(),
    "nul in path": f"outs:\n- md5: {MD5}\n  path: a\0b\n".encode(),
    "no path": f"outs:\n- md5: {MD5}\n".encode(),
    "no outs": b"deps: []\n",
    "empty outs": b"outs: []\n",
    "outs a text": b"outs: x\n",
    "out a text": b"outs: [x]\n",
    "many outs": b"outs:\n" + b"- {}\n" * 1001,
    "negative size": f"outs:\n- md5: {MD5}\n  size: -1\n  path: x\n".encode(),
    "size a list": f"outs:\n- md5: {MD5}\n  size: [1]\n  path: x\n".encode(),
    "huge size": f"outs:\n- md5: {MD5}\n  size: {'9' * 5000}\n  path: x\n".encode(),
    "other hash": f"outs:\n- md5: {MD5}\n  hash: sha256\n  path: x\n".encode(),
    "hash a list": f"outs:\n- md5: {MD5}\n  hash: [md5]\n  path: x\n".encode(),
    "own folder": f"wdir: ..\nouts:\n- md5: {MD5}\n  path: x\n".encode(),
    "wrong tag": b"outs: !!map [a]\n",
    "wrong tag at the root": b"!!map [a]\n",
    "python tag": b"!!python/object/apply:os.system ['true']\n",
    "two documents": b"--- {}\n--- {}\n",
    "wrong escape": b'outs: "\\U00FFFFFF"\n',
    "huge directive": b"%YAML " + b"9" * 6000 + b".1\n---\nouts: []\n",
    "not text": b"\xff\xfe\x00",
    "bytes": bytes(range(256)),
    "empty": b"",
    "a tab": b"\t" * 60_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_pointer_is_refused_in_bounded_time(text: bytes) -> None:
    started = time.process_time()
    with pytest.raises(InvalidPointerError):
        parse(text)
    assert time.process_time() - started < 3


yamlish = st.lists(
    st.sampled_from(
        [*"outsmd5pahize:- \n'\"&*!|>%@`{}[]?,#.0123e~<=\\x/\t", "!!map ", "outs:\n- ", "md5: ", "path: "]
    ),
    max_size=40,
).map("".join)


@given(
    st.one_of(
        st.binary(max_size=80),
        yamlish.map(str.encode),
        yamlish.map(lambda text: b"outs:\n- " + text.encode()),
    )
)
def test_only_the_error_of_pointers_escapes_parse(text: bytes) -> None:
    try:
        parse(text)
    except InvalidPointerError as error:
        assert len(str(error)) < 500  # noqa: PT017 - not raising is fine too


@given(
    st.one_of(
        st.binary(max_size=80),
        yamlish.map(str.encode),
        yamlish.map(lambda t: b"stages:\n a:\n  " + t.encode()),
    )
)
def test_only_the_error_of_pointers_escapes_parse_lock(text: bytes) -> None:
    try:
        list(parse_lock(text, text))
    except InvalidPointerError as error:
        assert len(str(error)) < 500  # noqa: PT017 - not raising is fine too


jsonish = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(), st.just(MD5), st.just("a/b")),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.sampled_from(["md5", "relpath", "x"]), inner)
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=60), jsonish.map(lambda value: json.dumps(value).encode())))
def test_only_the_error_of_pointers_escapes_parse_manifest(text: bytes) -> None:
    try:
        parse_manifest(text)
    except InvalidPointerError as error:
        assert len(str(error)) < 500  # noqa: PT017 - not raising is fine too


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../b",
        "",
        ".",
        "a//b",
        "a\\b",
        "a\nb",
        "a\0b",
        ".git/config",
        "a/",
        "a./b",
        "\ud800",
    ],
    ids=ascii,
)
def test_a_manifest_path_that_leaves_its_folder_is_refused(path: str) -> None:
    with pytest.raises(InvalidPointerError):
        parse_manifest(json.dumps([{"md5": MD5, "relpath": path}]).encode())


@pytest.mark.parametrize(
    "rows",
    [
        [("a", MD5), ("a", MD5)],
        [("a", MD5), ("a/b", MD5)],
        [("a/b", MD5), ("a!", MD5), ("a", MD5)],
        [("a", MD5 + ".dir")],
        [("a", "../../x")],
        [("a/" * 70 + "x", MD5)],
    ],
)
def test_a_contradictory_manifest_is_refused(rows: list[tuple[str, str]]) -> None:
    text = json.dumps([{"relpath": path, "md5": md5} for path, md5 in rows]).encode()
    with pytest.raises(InvalidPointerError):
        parse_manifest(text)


@pytest.mark.parametrize("depth", [10, 900, 985, 995, 1_000, 100_000])
def test_a_deep_manifest_is_refused(depth: int) -> None:
    with pytest.raises(InvalidPointerError):
        parse_manifest(b'[{"md5":' + b"[" * depth + b"]" * depth + b"}]")


def test_a_manifest_is_written_sorted_as_dvc_sorts_it() -> None:
    rows = [ManifestRow("b", MD5), ManifestRow("a!", MD5), ManifestRow("a/c", MD5)]
    text = pointers.render_manifest(rows)
    assert [row.path for row in parse_manifest(text)] == ["a/c", "a!", "b"]
    assert text.startswith(b'[{"md5": "25143f4e549271181a82d08aeb4d2e7c", "relpath": "a/c"}, ')


def test_a_pointer_of_dvc_2_is_marked_legacy() -> None:
    text = f"outs:\n- md5: {MD5}\n  size: 3\n  path: x\n".encode()
    assert parse(text)[0].pointer.is_legacy
    assert read_slowly(text)[0].pointer.is_legacy


def test_a_pointer_of_import_url_is_read() -> None:
    text = (
        "md5: 0123456789abcdef0123456789abcdef\nfrozen: true\n"
        "deps:\n- etag: '\"x\"'\n  size: 9\n  hash: md5\n"
        f"  path: https://host/x\nouts:\n- md5: {MD5}\n  size: 3\n  hash: md5\n  path: ./x\n"
    )
    assert parse_single(text.encode(), "x") == Pointer(MD5, 3)


@pytest.mark.parametrize("said", ["y", "../x", "sub/x", "/x", ""])
def test_a_pointer_that_names_another_file_is_refused(said: str) -> None:
    with pytest.raises(InvalidPointerError):
        parse_single(render(Pointer(MD5, 1), said or "''"), "x")


def test_a_name_in_decomposed_form_is_the_same_name() -> None:
    assert parse_single(render(Pointer(MD5, 1), "e\u0301"), "é").md5 == MD5


@pytest.mark.parametrize(
    "text",
    [
        (
            f"outs:\n- md5: {MD5}\n  size: 3\n  hash: md5\n  path: x\n"
            "meta:\n  owner: 'me'\n  path: y\ndesc: keep\n"
        ),
        (
            f"# note\ndeps:\n- path: x\n  md5: {MD5}\n"
            f"outs:\n- path: x  # here\n  md5: {MD5}\n  cloud:\n    a: {{v: 1}}\n"
        ),
        f"outs: [{{md5: {MD5}, path: x, remote: other}}]\n",
        f'outs:\n- md5: {MD5}\n  path: "x"\n',
        f"outs:\n- {{path: x,\n   md5: {MD5}}}\n",
    ],
)
@pytest.mark.parametrize("name", ["y", "a, b]", "1e5", "it's", "é"])
def test_renaming_changes_the_path_of_the_output_and_nothing_else(text: str, name: str) -> None:
    new = pointers.renamed(text.encode(), name)
    assert parse_single(new, name) == parse_single(text.encode(), "x")
    before, after = yaml.safe_load(text), yaml.safe_load(new)
    assert after["outs"][0].pop("path") == name
    before["outs"][0].pop("path")
    assert after == before
    assert ("# note" in text) == (b"# note" in new)


def test_a_pointer_with_two_outputs_cannot_be_renamed() -> None:
    text = f"outs:\n- md5: {MD5}\n  path: x\n- md5: {MD5}\n  path: y\n".encode()
    with pytest.raises(InvalidPointerError):
        pointers.renamed(text, "z")


LOCK = f"""schema: '2.0'
stages:
  plain:
    cmd: x
    outs:
    - path: model.bin
      hash: md5
      md5: {MD5}
      size: 3
    - path: ../outside
      md5: {MD5}
    - path: s3://bucket/x
      etag: abc
  placed:
    outs:
    - path: ../up.bin
      md5: {MD5}
    - path: in.bin
      md5: {MD5}
  each@1:
    outs:
    - path: e.bin
      md5: {MD5}
  climbing:
    outs:
    - path: c.bin
      md5: {MD5}
  templated:
    outs:
    - path: t.bin
      md5: {MD5}
""".encode()

PIPELINE = b"""stages:
  plain: {cmd: x}
  placed: {wdir: ./sub/}
  each: {foreach: [1], do: {wdir: each}}
  climbing: {wdir: ..}
  templated: {wdir: 'a/${x}'}
"""


def test_the_outputs_of_a_lock_file_lie_where_their_stages_work() -> None:
    assert [out.path for out in parse_lock(LOCK, PIPELINE)] == [
        "model.bin",
        "up.bin",
        "sub/in.bin",
        "each/e.bin",
    ]


def test_a_lock_file_without_pipeline_is_read_as_if_there_were_no_folders() -> None:
    assert "in.bin" in [out.path for out in parse_lock(LOCK, None)]


def test_a_lock_file_of_dvc_1_has_no_schema() -> None:
    text = f"stage:\n  outs:\n  - path: x\n    md5: {MD5}\n".encode()
    assert [out.path for out in parse_lock(text, b"not: [yaml")] == ["x"]


def test_a_lock_file_may_not_be_too_large() -> None:
    with pytest.raises(InvalidPointerError):
        list(parse_lock(b"#" * (pointers.MAX_LOCK_BYTES + 1), None))
