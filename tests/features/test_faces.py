"""Tracks end at cuts, go on across gaps, and count as people only if they are."""

from __future__ import annotations

import shutil

import extractor_contract as contract
import numpy as np
import pytest
from fake_faces import Scene, watch

from theval_datasets.errors import AbsentError, WeightsMissingError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.features.faces import Faces
from theval_datasets.features.people import tracks as _tracks
from theval_datasets.features.people.grouping import KINDS
from theval_datasets.features.people.pack import find_pack

LEFT, RIGHT = (20, 50, 60), (220, 50, 60)


def kinds(values):
    return [KINDS[kind] for kind in values["track_kind"]]


def test_one_face_is_one_track_and_one_person():
    faces = watch(Faces(), Scene([{0: LEFT}] * 20))
    assert int(faces["n_subjects"]) == 1
    assert kinds(faces) == ["person"]
    assert (faces["track_start"].tolist(), faces["track_end"].tolist()) == ([0.0], [3.8])
    assert faces["box"].shape == (20, 4)
    assert faces["box"][0].tolist() == [20, 50, 80, 110]
    assert faces["frame"].tolist() == list(range(0, 100, 5))
    assert np.allclose(np.linalg.norm(faces["embedding"], axis=1), 1)
    # Embedded once a second, the first sighting being one of these.
    assert faces["sample"][faces["embedded"]].tolist() == [0, 5, 10, 15]


def test_two_faces_side_by_side_are_two_people_the_larger_first():
    faces = watch(Faces(), Scene([{0: LEFT, 1: (200, 40, 90)}] * 15, moving=(0, 1)))
    assert int(faces["n_subjects"]) == 2
    assert faces["track_person"].tolist() == [1, 0]


def test_faces_that_swap_places_slowly_keep_their_tracks():
    steps = np.linspace(0, 1, 40)
    scene = Scene(
        [{0: (int(20 + 200 * s), 30, 60), 1: (int(220 - 200 * s), 100, 60)} for s in steps]
    )
    faces = watch(Faces(), scene)
    assert len(faces["track_kind"]) == 2
    own = faces["box"][faces["track"] == 0]
    assert own[0, 0] == 20
    assert own[-1, 0] == 220


def test_a_cut_ends_a_track_and_the_person_goes_on():
    scene = Scene([{0: LEFT}] * 10 + [{0: LEFT}] * 10, shots=[30] * 10 + [200] * 10)
    faces = watch(Faces(), scene)
    assert faces["shot"].tolist() == [0] * 10 + [1] * 10
    assert faces["track_person"].tolist() == [0, 0]
    assert int(faces["n_subjects"]) == 1
    # The same place after a cut, but somebody else: two people.
    scene = Scene([{0: LEFT}] * 10 + [{1: LEFT}] * 10, shots=[30] * 10 + [200] * 10)
    assert int(watch(Faces(), scene)["n_subjects"]) == 2


def test_a_gap_is_bridged_by_identity_within_a_shot():
    away = [{} for _ in range(10)]
    back = watch(Faces(), Scene([{0: LEFT}] * 10 + away + [{0: RIGHT}] * 10))
    assert len(back["track_kind"]) == 1
    other = watch(Faces(), Scene([{0: LEFT}] * 10 + away + [{1: RIGHT}] * 10))
    assert len(other["track_kind"]) == 2
    short = watch(Faces(), Scene([{0: LEFT}] * 5 + [{}] * 3 + [{0: LEFT}] * 5), recogniser=False)
    assert len(short["track_kind"]) == 1


def test_a_still_face_beside_a_moving_one_is_a_picture():
    scene = Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0,))
    assert sorted(kinds(watch(Faces(), scene))) == ["person", "still"]
    # Where nothing moves at all, as in a failed video, the faces are people.
    assert kinds(watch(Faces(), Scene([{0: LEFT, 1: RIGHT}] * 20))) == ["person"] * 2
    # Who moves a fifth of the time is no picture.
    scene = Scene([{0: LEFT, 1: RIGHT}] * 30, moving=(0,))
    for i in range(6):
        scene.faces[5 * i] = {0: LEFT, 1: (222, 50, 60)}
    scene.moving = {0, 1}
    assert kinds(watch(Faces(), scene)) == ["person"] * 2


def test_a_second_picture_of_somebody_is_a_duplicate():
    scene = Scene([{0: (20, 30, 90), 1: RIGHT}] * 15, moving=(0, 1))
    faces = watch(Faces(), scene, alias={1: 0})
    assert kinds(faces) == ["person", "duplicate"]
    assert int(faces["n_subjects"]) == 1
    assert kinds(watch(Faces(), scene, alias={1: 0}, score=0.6)) == ["person"] * 2


def test_what_is_seen_for_a_moment_is_nobody():
    faces = watch(Faces(), Scene([{0: LEFT}] * 9 + [{0: LEFT, 1: RIGHT}] * 2 + [{0: LEFT}] * 9))
    assert sorted(kinds(faces)) == ["brief", "person"]
    assert int(faces["n_subjects"]) == 1
    with pytest.raises(AbsentError, match="for a moment"):
        watch(Faces(), Scene([{0: LEFT}] * 2 + [{}] * 9))
    with pytest.raises(AbsentError) as none:
        watch(Faces(), Scene([{}] * 9))
    assert none.value.reason == "no-face"
    # But in a still picture one look is all there is.
    assert int(watch(Faces(), Scene([{0: LEFT, 1: RIGHT}]))["n_subjects"]) == 2


def test_without_identities_the_fullest_shot_counts():
    scene = Scene(
        [{0: LEFT, 1: RIGHT}] * 8 + [{0: LEFT}] * 8, shots=[30] * 8 + [200] * 8, moving=(0, 1)
    )
    faces = watch(Faces(), scene, recogniser=False)
    assert len(faces["track_kind"]) == 3
    assert int(faces["n_subjects"]) == 2
    assert faces["embedding"].shape == (0, 0)


def test_overlap_and_interpolation():
    a = np.array([(0, 0, 10, 10), (5, 0, 15, 10)], np.float32)
    assert _tracks.overlap(a, a).round(4).tolist() == [[1, 0.3333], [0.3333, 1]]
    assert _tracks.overlap(a[:1], a[:1] + 20).tolist() == [[0]]
    times = np.array([0.0, 1.0])
    assert _tracks.boxes_at(times, a, np.array([-1, 0.5, 2])).tolist() == [
        [0, 0, 10, 10], [2.5, 0, 12.5, 10], [5, 0, 15, 10]
    ]  # fmt: skip


def test_backends_without_weights(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert find_pack() is None
    assert not Faces().has_weights()
    assert Faces().weights_id().startswith("mediapipe-")
    with pytest.raises(WeightsMissingError, match="buffalo_l"):
        Faces(backend="insightface").weights_id()
    with caplog.at_level("WARNING"):
        Faces().fetch_weights()
        Faces().fetch_weights()
    messages = [record.message for record in caplog.records]
    assert [text.split()[0] for text in messages] == ["The", "No"]
    assert "people cannot be told apart" in messages[1]
    with pytest.raises(WeightsMissingError, match="mine"):
        Faces(backend="insightface", pack="mine").weights_id()
    (tmp_path / "insightface/models/broken").mkdir(parents=True)
    (tmp_path / "insightface/models/broken/x.onnx").write_bytes(b"no model")
    assert find_pack() is None


def test_the_fallback_finds_the_samples_face(talking, other, faceless, tmp_path, monkeypatch):
    faces = Faces(backend="mediapipe")
    values = contract.check(faces, talking, other, faceless, tmp_path, monkeypatch).values
    assert int(values["n_subjects"]) == 1
    assert values["embedding"].size == 0
    assert len(values["track_kind"]) == 1


@pytest.fixture
def pack(shared_data, monkeypatch):
    pytest.importorskip("insightface", reason="the extra [faces] is not installed")
    monkeypatch.setenv("THEVAL_MODELS", str(shared_data / "models"))
    return shared_data / "models"


@pytest.mark.real
@pytest.mark.slow
def test_scrfd_on_the_sample(pack, talking, other, faceless, tmp_path, monkeypatch):
    values = contract.check(Faces(), talking, other, faceless, tmp_path, monkeypatch).values
    assert int(values["n_subjects"]) == 1
    assert values["embedding"].shape[1] == 128


@pytest.mark.real
@pytest.mark.slow
def test_people_in_real_clips(pack, shared_data, tmp_path):
    media = shared_data / "media"
    counts = {
        "portraits/multi_friends_t1.jpg": 6,
        "portraits/multi_two_people.jpg": 2,
        "multi/derived_two_people_turns.mp4": 2,
        "multi/derived_two_people_overlap.mp4": 2,
        "generated/aniportrait_zl_2panel.mp4": 1,
        "generated/liveportrait_inference_3panel.gif": 1,
        **{f"single/{path.name}": 1 for path in sorted((media / "single").glob("*.mp4"))},
    }
    assert len(counts) > 15
    paths = [media / name for name in counts]
    features = contract.run(Faces(), paths, tmp_path)
    assert {n: int(f.values["n_subjects"]) for n, f in zip(counts, features, strict=True)} == counts
    for name, feature in zip(counts, features, strict=True):
        if name.startswith("multi/derived"):
            values = feature.values
            assert kinds(values) == ["person"] * 2
            assert (values["track_start"] == 0).all()
            assert (values["track_end"] == values["time"][-1]).all()
    faceless = contract.run(Faces(), [media / "negative/room_noface.mp4"], tmp_path)
    assert faceless[0].outcome.reason == "no-face"


@pytest.mark.real
def test_only_what_used_changed_weights_is_computed_again(pack, monkeypatch, tmp_path):
    from theval_datasets.features.arcface import Arcface
    from theval_datasets.features.landmarks import Landmarks
    from theval_datasets.features.vad import Vad

    packs = tmp_path / "insightface/models/mine"
    shutil.copytree(pack / "insightface/models/tiny_s", packs)
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    extractors = (Faces(), Arcface(), Landmarks(), Vad())

    def keys():
        return {e.name: spec_of(e, "decoder").digest for e in extractors}

    before = keys()
    assert keys() == before
    recogniser = packs / "mobilefacenet_128.onnx"
    import onnx

    model = onnx.load(recogniser)
    model.doc_string = "retrained"
    onnx.save(model, recogniser)
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {"faces", "arcface"}
