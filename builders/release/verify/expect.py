"""Check of a built dataset against expected counts, such as those of the paper."""

from __future__ import annotations

from ..counts import recount
from .built import BuiltDataset, Faults


def check_expect(built: BuiltDataset) -> Faults:
    """Counts that differ from the expected ones, recomputed from the files where possible."""
    assert built.builder is not None
    assert built.expect is not None
    expected = built.builder.EXPECTED[built.expect]
    counted = recount(built.folder, built.info.configs, expected)
    for name, wanted in expected.items():
        actual = counted.get(name, built.info.counts.get(name))
        if actual != wanted:
            yield f"{name}: {actual} instead of {wanted}"
    uncounted = [name for name in expected if name not in counted]
    summary = ", ".join(f"{wanted} {name}" for name, wanted in expected.items())
    return summary + (f" ({', '.join(uncounted)} as info.json says)" if uncounted else "")
