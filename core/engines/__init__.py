"""Where the runner runs: processes of this machine, or a Ray cluster.

Every engine takes the same jobs and the same plan and yields one report a clip, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from theval_datasets.runner import ClipJob, ClipReport, Plan


class Engine(Protocol):
    """Runs a plan over clips."""

    def run(self, jobs: Sequence[ClipJob], plan: Plan) -> Iterator[ClipReport]:
        """Yield one report a clip as they end."""
        ...
