"""The files of a project's first commit. Pure: text in, text out."""

from dataclasses import dataclass

from app.projects.models import Part, Pin, PinnedVersion, Template
from gitops import imports, layout, pointers
from gitops.model import RepoPath

LOCK_FILE = RepoPath("dataset.lock")
SCRIPT = RepoPath("explore.py")

_GIT_IGNORE = b"""\
# Pinned data is tracked by the DVC pointers beside it; each folder's own .gitignore names it.
__pycache__/
*.py[cod]
.ipynb_checkpoints/
.venv/
"""
_META = str.maketrans({char: "\\" + char for char in "[]!*#?"})


@dataclass(frozen=True, slots=True)
class Starter:
    """What the files are made of; addresses are those of the service.

    Attributes:
        service: the service itself.
        full_path: of the new project.
    """

    service: str
    name: str
    description: str
    full_path: str
    pin: Pin
    version: PinnedVersion

    @property
    def clone_url(self) -> str:
        """Where the project is cloned from."""
        return f"{self.service}/{self.full_path}.git"

    @property
    def dataset_url(self) -> str:
        """Where the dataset is cloned from."""
        return f"{self.service}/{self.pin.dataset_path}.git"


def starter_files(starter: Starter) -> dict[RepoPath, bytes]:
    """Return every file of the first commit but those that every repository has."""
    files = {
        layout.README: _readme(starter).encode(),
        layout.GIT_IGNORE: _GIT_IGNORE,
        LOCK_FILE: lock_file(starter),
        **_pointers(starter),
    }
    if starter.pin.template is Template.PYTHON:
        files[SCRIPT] = _script(starter).encode()
    return files


def _pointers(starter: Starter) -> dict[RepoPath, bytes]:
    """Return the import pointers, and beside them the lines of ``.gitignore`` that DVC would write."""
    files: dict[RepoPath, bytes] = {}
    ignored: dict[str, list[str]] = {}
    for part in starter.version.parts:
        out = _place(starter.pin, part)
        folder, _, name = out.rpartition("/")
        source = part.source(starter.dataset_url, starter.pin)
        files[layout.pointer_path(out)] = imports.render(source, name, part.content)
        ignored.setdefault(folder, []).append(f"/{name.translate(_META)}\n")
    for folder, lines in ignored.items():
        files[RepoPath(f"{folder}/{layout.GIT_IGNORE}")] = "".join(lines).encode()
    return files


def _place(pin: Pin, part: Part) -> str:
    return pin.folder if part.is_whole else f"{pin.folder}/{part.path}"


def lock_file(starter: Starter) -> bytes:
    """Return ``dataset.lock``: which bytes this project is about, for programs and for papers."""
    pin, version = starter.pin, starter.version
    digest = "null" if version.manifest_sha256 is None else pointers.hexadecimal(version.manifest_sha256)
    return (
        "schema: dataset-lock/1\n"
        "datasets:\n"
        f"- url: {pointers.scalar(starter.dataset_url)}\n"
        f"  id: {pin.dataset_id}\n"
        f"  path: {pointers.scalar(pin.dataset_path)}\n"
        f"  ref: {pointers.scalar(pin.ref)}\n"
        f"  commit: {pointers.hexadecimal(pin.commit)}\n"
        f"  manifest_sha256: {digest}\n"
        f"  files: {version.files}\n"
        f"  bytes: {version.size}\n"
    ).encode()


def _readme(starter: Starter) -> str:
    pin, version = starter.pin, starter.version
    about = f"{starter.description}\n\n" if starter.description else ""
    home = f"{starter.service}/{pin.dataset_path}"
    targets = ".dvc" if _is_whole(starter) else "/*.dvc"
    return f"""\
# {starter.name}

{about}This project pins a dataset, so everybody who clones it works with the same bytes:

- dataset: [{pin.dataset_path}]({home}?ref={pin.commit})
- version: {_code(pin.name)}, commit `{pin.commit}`
- content: {version.files} files, {version.size} bytes

[`{LOCK_FILE}`]({LOCK_FILE}) says the same to programs.

## Begin

```
git clone {starter.clone_url}
cd {starter.full_path.rpartition("/")[2]}
dvc pull
```

`dvc pull` brings the pinned files to `{pin.folder}`; git keeps only the pointers.
{_about_script(pin)}
If the dataset is private, git and DVC need your token, each in its own place. The first line makes git keep
what it asks for (any user name, the token as password), the second tells DVC:

```
git config --global credential.helper store
echo "machine {_host(starter.service)} login any password $TOKEN" >> ~/.netrc && chmod 600 ~/.netrc
```

## Go to another version

```
dvc update --rev v2 {pin.folder}{targets}
git commit --all --message "Use v2"
```

{_about_names(starter)}Then write the new `ref` and `commit` into `{LOCK_FILE}`{_and_script(pin)}.
"""


def _about_names(starter: Starter) -> str:
    if _is_whole(starter):
        return ""
    return (
        "`dvc update` stops at a name that the other version does not have: `dvc remove` its pointer first.\n"
        "It does not see new names: bring them with\n"
        f"`dvc import --rev v2 {starter.dataset_url} NAME -o {starter.pin.folder}/NAME`\n"
        f"and `git add {starter.pin.folder}`.\n\n"
    )


def _is_whole(starter: Starter) -> bool:
    return any(part.is_whole for part in starter.version.parts)


def _about_script(pin: Pin) -> str:
    if pin.template is not Template.PYTHON:
        return ""
    return (
        f"\n`python {SCRIPT}` looks into the pinned version through the service, without a copy of its\n"
        "data. It needs the package `cairn`, and `cairn login` once for a private dataset.\n"
    )


def _and_script(pin: Pin) -> str:
    return f" and `{SCRIPT}`" if pin.template is Template.PYTHON else ""


def _host(service: str) -> str:
    return service.partition("://")[2].partition("/")[0].partition(":")[0]


def _code(text: str) -> str:
    """Return text as code in Markdown, whatever backticks it holds (CommonMark 0.31, 6.1)."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _script(starter: Starter) -> str:
    pin = starter.pin
    return f'''\
"""Look into {pin.dataset_path} at the pinned version: how much there is, and what the first file holds."""

from cairn import Client

SERVICE = {starter.service!r}
DATASET = {pin.dataset_path!r}
COMMIT = {str(pin.commit)!r}


def main() -> None:
    """Print the size of the pinned version, its first files and the beginning of one."""
    snapshot = Client(SERVICE).dataset(DATASET).at(COMMIT)
    files = list(snapshot.files())
    print(f"{{DATASET}} at {{COMMIT}}: {{len(files)}} files, {{sum(file.size for file in files)}} bytes")
    for file in files[:10]:
        print(f"{{file.size:>12}}  {{file.path}}")
    if files:
        with snapshot.open(files[0].path) as stream:
            print(f"{{files[0].path}} begins with {{stream.read(32)!r}}")


if __name__ == "__main__":
    main()
'''
