"""The first half of the demo: make the sample, curate it, extract its features.

It runs in an empty current folder, in an environment where the package was installed without constraints.
"""

from __future__ import annotations

import sys
from pathlib import Path

import theval_datasets as td
from theval_datasets.demo.clips import make_sample


def main() -> int:
    """Return 1 if a step fails or a package is outside its tested range, else 0."""
    make_sample(Path("videos"))
    curated = td.curate(["videos"], "work")
    extracted = td.extract("work", cache="cache")
    print(curated.to_text(), extracted.to_text(), sep="\n")
    untested = [check for check in td.doctor().checks if check.topic == "untested versions"]
    print(*untested, sep="\n")
    return int(bool(not curated.kept or curated.exit_code or extracted.exit_code or untested))


if __name__ == "__main__":
    sys.exit(main())
