from __future__ import annotations

import pytest
from collect_study import (
    CLIPS,
    MARKED,
    PAIR_CLIPS,
    PAIRS,
    TRAINING,
    both_models,
    make_manifest,
    write_plan,
)

from theval_datasets.curation.collect.prepare import prepare_study


@pytest.fixture(scope="session")
def prepared(media, tmp_path_factory):
    """`prepared(kind)`: a prepared study of twelve clips, to be copied before it is served."""
    made = {}
    folder = tmp_path_factory.mktemp("studies")

    def prepare(kind):
        if kind not in made:
            place = folder / kind
            names = [*(PAIR_CLIPS if kind == "pairwise" else CLIPS), *TRAINING]
            changes = {"score": {}, "sliders-and-marks": MARKED, "pairwise": PAIRS}[kind]
            if kind == "pairwise":
                names = both_models(names)
            source = media("no_audio" if kind == "sliders-and-marks" else "plain")
            manifest = make_manifest(place, dict.fromkeys(names, source))
            plan = write_plan(place, **changes)
            prepare_study(plan, manifest, place / "study", workers=2)
            made[kind] = place / "study"
        return made[kind]

    return prepare


@pytest.fixture
def study(prepared, tmp_path):
    """`study(kind)`: a copy of a prepared study that nobody has joined."""
    import shutil

    def copy(kind="score"):
        shutil.copytree(prepared(kind), tmp_path / "study")
        return tmp_path / "study"

    return copy
