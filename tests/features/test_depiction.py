"""Photographed, drawn, painted or rendered: a SigLIP of the right form and few numbers, through transformers."""

from __future__ import annotations

import json
import logging
import shutil

import extractor_contract as contract
import numpy as np
import pytest
import tiny_networks as tiny
from fake_faces import Clip, Scene, watch

from theval_datasets.curation.filters.base import Features
from theval_datasets.curation.filters.photographed import Photographed
from theval_datasets.errors import AbsentError, MissingExtraError, WeightsMissingError
from theval_datasets.extraction.cache import spec_of
from theval_datasets.extraction.weights import find, known, warn_once
from theval_datasets.features import depiction
from theval_datasets.features.depiction import KINDS, Depiction
from theval_datasets.features.faces import Faces
from theval_datasets.features.people.portraits import SAMPLES
from theval_datasets.utils import optional

TEXTS = [text for texts in KINDS.values() for text in texts]
PLACE = known("siglip").path
LEFT, RIGHT = (20, 50, 60), (220, 60, 40)


class Level:
    """A classifier that takes a face for a photograph the brighter and larger it is."""

    def __init__(self):
        self.pictures = []

    def probabilities(self, pictures):
        self.pictures += pictures
        centres = [(len(p), float(p[len(p) // 2, len(p) // 2, 0])) for p in pictures]
        photo = np.array([side / 120 * level / 255 for side, level in centres])
        rest = (1 - photo) / 10
        return np.stack([photo, 7 * rest, 2 * rest, rest], axis=1)


def look(scene, model=None, **options):
    """Values of `depiction` for a scene with fake faces."""
    clip = Clip({"faces": watch(Faces(), scene, **options)})
    accumulator = Depiction().open(clip, model or Level())
    accumulator.update(scene.frames())
    return accumulator.finish()[0]


def test_each_person_is_looked_at_in_the_middles_of_four_parts():
    scene = Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0, 1))
    model = Level()
    values = look(scene, model)
    assert len(model.pictures) == 2 * SAMPLES
    assert {p.shape for p in model.pictures} == {(120, 120, 3), (80, 80, 3)}
    assert values["person"].tolist() == [0, 1]
    level = np.mean([90 + i * 37 % 100 for i in (2, 7, 12, 17)]) / 255
    assert values["photo"] == pytest.approx([level, 80 / 120 * level])
    total = sum(values[kind] for kind in KINDS)
    assert total == pytest.approx(np.ones(2))


@pytest.mark.parametrize(("n_frames", "n_pictures"), [(1, 1), (3, 3), (4, 4), (5, 4), (50, 4)])
def test_a_short_clip_has_as_many_pictures_as_frames(n_frames, n_pictures):
    model = Level()
    look(Scene([{0: LEFT}] * n_frames), model)
    assert len(model.pictures) == n_pictures


def test_nobody_but_people_is_looked_at():
    """A still portrait beside a person who moves is no person."""
    model = Level()
    assert look(Scene([{0: LEFT, 1: RIGHT}] * 20, moving=(0,)), model)["person"].tolist() == [0]
    assert {len(p) for p in model.pictures} == {120}
    with pytest.raises(AbsentError):
        look(Scene([{}] * 20))


def test_the_most_prominent_people_are_looked_at():
    places = {i: (35 * i, 40, 20 + i) for i in range(9)}
    model = Level()
    values = look(Scene([places] * 6, moving=range(9)), model, recogniser=False)
    assert values["person"].tolist() == list(range(8))
    assert min(len(p) for p in model.pictures) == 2 * 21


def test_without_the_extra_it_is_named_and_nothing_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("THEVAL_MODELS", str(tmp_path))
    assert set(Depiction.imports) <= set(optional.EXTRAS["depiction"][0])
    monkeypatch.setattr(optional, "available", lambda name: name != "transformers")
    with pytest.raises(MissingExtraError, match=r"\[depiction\].*transformers is not installed"):
        Depiction().weights_id()
    tried = []
    monkeypatch.setattr("theval_datasets.extraction.extractor.fetch_if_missing", tried.append)
    monkeypatch.setattr(depiction, "available", lambda name: name != "transformers")
    Depiction().fetch_own_weights()
    assert tried == []
    monkeypatch.setattr(depiction, "available", lambda name: True)
    Depiction().fetch_own_weights()
    assert tried == [known("siglip")]


torch = pytest.importorskip("torch", reason="the extra [depiction] is not installed")
transformers = pytest.importorskip("transformers", reason="the extra [depiction] is not installed")
pytest.importorskip("sentencepiece", reason="the extra [depiction] is not installed")

from theval_datasets.features.networks.siglip import SiglipClassifier  # noqa: E402


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of weights with a small SigLIP in it."""
    models = tmp_path_factory.mktemp("models")
    tiny.write_siglip(models / PLACE, TEXTS)
    return models


@pytest.fixture
def models(written, tmp_path, monkeypatch):
    """The same, as a copy that may be changed, in `THEVAL_MODELS`."""
    copied = tmp_path / "models"
    shutil.copytree(written, copied)
    monkeypatch.setenv("THEVAL_MODELS", str(copied))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return copied


def pictures(n, side=40):
    rng = np.random.default_rng(n)
    return [rng.integers(0, 255, (side, side, 3), np.uint8) for _ in range(n)]


def test_the_probabilities_are_those_of_transformers_own_pipeline(written):
    from PIL import Image

    folder = written / PLACE
    texts = [texts[0] for texts in KINDS.values()]
    shown = pictures(3)
    ours = SiglipClassifier(folder, {text: [text] for text in texts}).probabilities(shown)
    pipeline = transformers.pipeline(
        "zero-shot-image-classification",
        model=str(folder),
        tokenizer=transformers.SiglipTokenizer.from_pretrained(folder),
        image_processor=transformers.SiglipImageProcessorPil.from_pretrained(folder),
    )
    for picture, own in zip(shown, ours, strict=True):
        found = pipeline(Image.fromarray(picture), candidate_labels=texts, hypothesis_template="{}")
        scores = {row["label"]: row["score"] for row in found}
        # SigLIP gives each text a probability of its own; among kinds that exclude each other, these are the odds.
        odds = np.array([scores[text] / (1 - scores[text]) for text in texts])
        assert own == pytest.approx(odds / odds.sum(), abs=1e-5)
    assert np.ptp(ours, axis=0).max() > 0.01


def test_the_embeddings_of_the_texts_of_a_kind_are_averaged(written):
    folder = written / PLACE
    net = transformers.SiglipModel.from_pretrained(folder).eval()
    tokenizer = transformers.SiglipTokenizer.from_pretrained(folder)
    processor = transformers.SiglipImageProcessorPil.from_pretrained(folder)
    shown = pictures(2)

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    with torch.inference_mode():
        kinds = []
        for texts in KINDS.values():
            inputs = tokenizer(
                list(texts), padding="max_length", max_length=64, return_tensors="pt"
            )
            kinds.append(unit(unit(net.get_text_features(**inputs).pooler_output.numpy()).mean(0)))
        pixels = processor(images=shown, return_tensors="pt")["pixel_values"]
        seen = unit(net.get_image_features(pixel_values=pixels).pooler_output.numpy())
        logits = seen @ np.stack(kinds).T * float(net.logit_scale.exp())
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert SiglipClassifier(folder, KINDS).probabilities(shown) == pytest.approx(expected, abs=1e-5)


def test_any_number_of_pictures_of_any_size_is_classified(written):
    classifier = SiglipClassifier(written / PLACE, KINDS)
    assert classifier.probabilities([]).shape == (0, len(KINDS))
    shown = [pictures(1, side=side)[0] for side in (1, 7, 32, 300)] * 9
    together = classifier.probabilities(shown)
    assert together.sum(axis=1) == pytest.approx(np.ones(36))
    assert together == pytest.approx(np.tile(together[:4], (9, 1)), abs=1e-5)
    assert together[2] == pytest.approx(classifier.probabilities(shown[2:3])[0], abs=1e-5)
    assert np.array_equal(together, classifier.probabilities(shown))


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_contract(models, talking, other, faceless, tmp_path, monkeypatch):
    embedded = []
    real = SiglipClassifier._embedded

    def counted(self, net, tokenizer, texts):
        embedded.append(texts)
        return real(self, net, tokenizer, texts)

    monkeypatch.setattr(SiglipClassifier, "_embedded", counted)
    feature = contract.check(Depiction(), talking, other, faceless, tmp_path / "c", monkeypatch)
    assert feature.values["person"].tolist() == [0]
    assert sum(float(feature.values[kind][0]) for kind in KINDS) == pytest.approx(1)
    assert embedded == list(KINDS.values()) * 3  # once for each of three runners, not for each clip
    verdict = Photographed(min_photo=1).judge(None, Features({"depiction": feature}))
    assert verdict.reason == "drawn-face"
    assert verdict.measured["kind"] in KINDS
    (nothing,) = contract.run(Depiction(), [faceless], tmp_path / "d")
    assert (nothing.outcome.status, nothing.outcome.reason) == ("empty", "no-face")


def test_the_folder_of_the_model_is_no_part_of_the_key_and_its_files_are(models, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(models / PLACE, mine)

    def digest(extractor):
        return spec_of(extractor, "decoder").digest

    own = Depiction(folder=str(mine))
    assert own == Depiction()
    assert digest(own) == digest(Depiction())
    assert digest(Depiction(model="me/siglip-base-patch16-224")) != digest(Depiction())
    for name in ("spiece.model", "preprocessor_config.json", "tokenizer_config.json"):
        before = digest(own)
        (mine / name).write_bytes((mine / name).read_bytes() + b"\n")
        assert digest(own) != before, name


@pytest.mark.parametrize("name", known("siglip").files)
def test_a_folder_that_lacks_a_file_is_incomplete(models, name):
    assert find(known("siglip")) == models / PLACE
    (models / PLACE / name).unlink()
    assert find(known("siglip")) is None
    with pytest.raises(WeightsMissingError, match="models fetch siglip") as error:
        Depiction().weights_id()
    assert name in str(error.value)
    assert "Apache-2.0" in str(error.value)


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def other_model(folder, **options):
    """Replace the weights by those of a model with another vision part, and keep the rest."""
    tiny.write_siglip(folder.parent / "other", TEXTS, **options)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder.parent / "other" / name, folder / name)


def without(folder, *names):
    """Take tensors out of the weights."""
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in state.items() if not name.startswith(names)}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def spoilt(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state["vision_model.embeddings.patch_embedding.bias"][:] = float("nan")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def cut(file, n_bytes):
    file.write_bytes(file.read_bytes()[:n_bytes])


SEEN_FIRST = {
    "another architecture": lambda f: change(f / "config.json", model_type="clip"),
    "no configuration": lambda f: (f / "config.json").write_text("<html>"),
    "a list for a configuration": lambda f: (f / "config.json").write_text("[]"),
    "half of the weights": lambda f: cut(f / "model.safetensors", 4000),
    "empty weights": lambda f: cut(f / "model.safetensors", 0),
    "a pointer of Git LFS": lambda f: (f / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    ),
    "bytes after the weights": lambda f: (f / "model.safetensors").write_bytes(
        (f / "model.safetensors").read_bytes() + b"0"
    ),
}
"""Faults that are seen before a run begins."""
SEEN_LATER = {
    "missing tensors": lambda f: without(f, "text_model.head"),
    "weights of another width": lambda f: change(
        f / "config.json", vision_config={"hidden_size": 32, "num_attention_heads": 2}
    ),
    "embeddings of two sizes": lambda f: other_model(f, hidden_size=24),
    "pictures of another size": lambda f: change(
        f / "preprocessor_config.json", size={"height": 48, "width": 48}
    ),
    "the processor's configuration is a page": lambda f: (
        f / "preprocessor_config.json"
    ).write_text("<html>"),
    "a damaged tokenizer": lambda f: (f / "spiece.model").write_bytes(b"version 1"),
    "an empty tokenizer": lambda f: (f / "spiece.model").write_bytes(b""),
    "a tokenizer of another model": lambda f: tiny.write_pieces(
        f / "spiece.model", [chr(0x4E00 + i) for i in range(300)] + TEXTS
    ),
    "NaN": spoilt,
}


@pytest.mark.parametrize("fault", [*SEEN_FIRST, *SEEN_LATER])
def test_parts_that_are_damaged_or_do_not_fit_are_refused(models, fault):
    (SEEN_FIRST | SEEN_LATER)[fault](models / PLACE)
    if fault in SEEN_FIRST:
        with pytest.raises(WeightsMissingError) as error:
            Depiction().weights_id()
        assert str(models / PLACE) in str(error.value)
    else:
        assert Depiction().weights_id()
    with pytest.raises(WeightsMissingError) as error:
        Depiction().setup()
    assert str(models / PLACE) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_said_once(models, talking, other, tmp_path, caplog):
    SEEN_LATER["a damaged tokenizer"](models / PLACE)
    warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        features = contract.run(Depiction(), [talking, other], tmp_path / "features")
    assert [f.outcome.reason for f in features] == ["weights-missing"] * 2
    assert sum("depiction cannot run: " in line for line in caplog.text.splitlines()) == 1


def test_everything_goes_through_the_device_that_is_chosen(written, monkeypatch):
    # A device without values: mixing it with another one fails, and only shapes come back.
    monkeypatch.setenv("THEVAL_DEVICE", "meta")
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: torch.ones(self.shape, dtype=self.dtype))
    classifier = SiglipClassifier(written / PLACE, KINDS)
    assert classifier.probabilities(pictures(2)).shape == (2, len(KINDS))
