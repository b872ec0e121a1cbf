"""The real service in a process group of its own, which a test may kill and start again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOKEN = "cairn-served-test-token-0123456789"
START_S = 60
STOP_S = 30


class Served:
    """A service on a home that outlives its process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.bind = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.bind}"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
        environment = {
            **own,
            "CAIRN_HOME": str(self.home),
            "CAIRN_BIND": self.bind,
            "CAIRN_ADMIN_TOKEN": TOKEN,
        }
        with (self.home.parent / "served.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            assert self.process.poll() is None, (self.home.parent / "served.log").read_text()[-3000:]
            assert time.monotonic() < deadline, "the service did not start"
            time.sleep(0.05)

    def kill(self) -> None:
        """End every process of the service at once, as a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_parent(self) -> None:
        """End only the process that was started, as one who looks for its id would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + STOP_S
        while self._is_ready():
            assert time.monotonic() < deadline, "a process without its parent goes on serving"
            time.sleep(0.05)

    def memory(self) -> int:
        """Return the resident bytes of all processes of the service together."""
        assert self.process is not None
        found = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
                if group == self.process.pid:
                    pages = int((folder / "statm").read_text().split()[1])
                    found += pages * os.sysconf("SC_PAGE_SIZE")
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
