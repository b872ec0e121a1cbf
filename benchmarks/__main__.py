"""``python -m benchmarks``: measure, print one table, keep it in ``benchmarks/out``."""

import argparse
import os
import platform
import shutil
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.cairn_side import running_service
from benchmarks.measures import Row, table
from benchmarks.rows import PARTS, Bench, say, serving_measure

OUT = Path(__file__).parent / "out"
CAP_S = 45.0
SERVING_SIZES = (100, 10_000, 100_000)


def main() -> None:
    """Run the parts that the command line names, all by default."""
    options = _options()
    start = time.monotonic()
    OUT.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="work-", dir=OUT))
    try:
        with running_service(folder / "var") as service:
            bench = Bench(folder, service, None if options.full else options.cap)
            rows = _rows(bench, options.parts, options.sizes)
            serving = _serving(bench) if "serving" in options.parts else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    minutes = (time.monotonic() - start) / 60
    text = "\n".join(part for part in (_heading(minutes), table(rows) if rows else "", serving) if part)
    (OUT / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="let dvc take as long as it takes")
    parser.add_argument(
        "--cap", type=float, default=CAP_S, help="seconds for one dvc operation on 10,000 pointers"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    names = [*PARTS, "serving"]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    return parser.parse_args()


def _rows(bench: Bench, parts: list[str], sizes: list[int]) -> list[Row]:
    rows = []
    for name, (part, part_sizes) in PARTS.items():
        for count in part_sizes:
            if name in parts and count in sizes:
                say(f"{name}, {count:,} files")
                for row in part(bench, count):
                    say(f"  {row.target} {row.operation}: {row.ours}; {row.peer}: {row.theirs}; {row.ratio}")
                    rows.append(row)
    return sorted(rows, key=lambda row: (row.target, row.files))


def _serving(bench: Bench) -> str:
    lines = [
        "",
        "One pinned file of 100 KB over one keep-alive connection, as the client sees it:",
        "",
        "| files in the dataset | p50 | p99 |",
        "|---|---|---|",
    ]
    for count in SERVING_SIZES:
        say(f"serving, {count:,} files")
        measure = serving_measure(bench, count)
        p50, p99 = (measure.percentile(share) * 1000 for share in (0.5, 0.99))
        lines.append(f"| {count:,} | {p50:.2f} ms | {p99:.2f} ms |")
    return "\n".join(lines)


def _heading(minutes: float) -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, dvc {version('dvc')}; {minutes:.0f} minutes; "
        f"load at the end {load}\n\nMedian (least–most); the ratio is how many times faster Cairn is.\n"
    )


if __name__ == "__main__":
    main()
