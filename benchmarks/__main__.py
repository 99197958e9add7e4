"""Run the benchmarks, print one table, write ``bench-out/bench.json``."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import benchmarks
from benchmarks._rows import Row
from theval_datasets.utils.files import write_text
from theval_datasets.utils.quiet import silence_native_chatter


def main() -> int:
    """Return 1 if a benchmark crashed or missed a target, else 0."""
    names = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[:6] == "bench_"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which ones (default: all of {', '.join(names)})")
    parser.add_argument("-o", "--output", type=Path, default=Path("bench-out"))
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = [n if n.startswith("bench_") else f"bench_{n}" for n in options.names] or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(names)}")
    if options.rows:
        silence_native_chatter()
        rows = importlib.import_module(f"benchmarks.{wanted[0]}").run()
        options.rows.write_text(json.dumps([asdict(row) for row in rows]))
        return 0
    results = {name: _in_its_own_process(name) for name in wanted}
    rows = [row for rows_of_file in results.values() for row in rows_of_file or ()]
    crashed = [name for name, rows_of_file in results.items() if rows_of_file is None]
    print(_table(rows))
    for name in crashed:
        print(f"{name} crashed: see above", file=sys.stderr)
    report = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "python": platform.python_version(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rows": [asdict(row) for row in rows],
        "crashed": crashed,
    }
    write_text(options.output / "bench.json", json.dumps(report, indent=2) + "\n")
    print(f"written to {options.output / 'bench.json'}")
    return int(bool(crashed) or any(row.ok is False for row in rows))


def _in_its_own_process(name: str) -> list[Row] | None:
    print(f"… {name}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="theval-bench-") as folder:
        rows = Path(folder) / "rows.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", name, "--rows", str(rows)], check=False
        )
        if done.returncode != 0:
            return None
        return [Row(**row) for row in json.loads(rows.read_text())]


def _table(rows: list[Row]) -> str:
    head = ("measured", "value", "target", "", "note")
    cells = [
        (
            row.name,
            f"{row.value:.4g} {row.unit}",
            row.target or "–",
            {True: "ok", False: "MISSED", None: ""}[row.ok],
            row.note,
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(4)]
    lines = [
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)
        ).rstrip()
        for line in [head, *cells]
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
