"""The command ``cairn``: which commands there are. Each is loaded from ``cairn.commands`` when it is used.

Loading them all, with ``rich`` and the rest, would triple the time of ``cairn --help``.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import click

from cairn.errors import CairnError
from cairn.version import __version__

# name: (module below cairn.commands, attribute, first line of its help)
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "archive": ("download", "archive", "Fetch a version, or a folder of it, as one zip or tar file."),
    "datasets": ("registry", "datasets", "List, create and describe datasets."),
    "diff": ("history", "diff", "Show what changed between two versions."),
    "download": ("download", "download", "Fetch files of a dataset at one version, verified."),
    "dvc-login": ("account", "dvc_login", "Let DVC in a clone use the token, without committing it."),
    "log": ("history", "log", "Show the commits of a dataset, newest first."),
    "login": ("account", "login", "Check a token and remember it for this endpoint."),
    "ls": ("browse", "ls", "List a folder of a dataset at one version."),
    "mv": ("change", "mv", "Rename a file or folder, in one commit."),
    "open": ("account", "open_page", "Open a dataset's page in the browser."),
    "project": ("registry", "project", "Start projects from datasets."),
    "restore": (
        "history",
        "restore",
        "Make a file, a folder or everything as it was at REF, in a new commit.",
    ),
    "revert": ("history", "revert", "Undo one commit by a new one."),
    "rm": ("change", "rm", "Remove files or folders, in one commit."),
    "sites": ("registry", "sites", "List, create, bind and check storage sites."),
    "status": ("browse", "status", "Compare a local folder with a version."),
    "tag": ("history", "tag", "List tags, make one, or make a release with notes."),
    "upload": ("change", "upload", "Commit a local file or folder to a dataset."),
    "verify": ("browse", "verify", "Check the hashes of downloaded files against a version."),
    "whence": ("browse", "whence", "Find which datasets and versions hold some bytes."),
    "whoami": ("account", "whoami", "Show who the token belongs to."),
}


class CommandGroup(click.Group):
    """The commands of ``COMMANDS``, imported one at a time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"cairn.commands.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, loading none."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes one line on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except CairnError as error:
            quoted = f" [request {error.request_id}]" if error.request_id else ""
            click.echo(f"cairn: {error}{quoted}", err=True)
            return ctx.exit(error.exit_code)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cairn")
def main() -> None:
    """Work with versioned datasets.

    A dataset is named by its id (4473), its path (vision/cells) or ds://vision/cells@v0.1.0/path.
    CAIRN_ENDPOINT says where the service is, CAIRN_TOKEN who you are; `cairn login` remembers both.

    Exit codes: 0 done, 1 error, 2 usage, 3 partial or verification failed, 4 not allowed, 5 not found.
    """


if __name__ == "__main__":
    main()
