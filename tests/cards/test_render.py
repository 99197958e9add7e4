from __future__ import annotations

import datasets
import pytest
import yaml
from feature_factory import DECODER, Corpus, row, small_corpus
from huggingface_hub import DatasetCard

from theval_datasets.builders.base.inputs import Inputs
from theval_datasets.builders.release.write import write_release
from theval_datasets.builders.theval import Theval
from theval_datasets.cards.papers import PAPERS
from theval_datasets.manifest.rows import Source

HOSTILE = 'x"\n---\nconfigs: [] # <script>alert(1)</script> | [a](http://evil.example) `'


def built(corpus: Corpus, tmp_path, **options):
    inputs = Inputs(corpus.manifest, corpus.cache)
    return write_release(Theval, inputs, tmp_path / "out", decoder=DECODER, **options)


@pytest.fixture
def card(tmp_path) -> DatasetCard:
    made = built(small_corpus(tmp_path / "corpus"), tmp_path)
    return DatasetCard.load(made.folder / "README.md")


def test_front_matter(card):
    data = card.data.to_dict()
    assert data["pretty_name"] == "THEval"
    assert data["license"] == "cc-by-4.0"
    assert data["language"] == ["fr"]
    assert data["size_categories"] == ["n<1K"]
    assert [entry["config_name"] for entry in data["configs"]] == ["features", "landmarks"]
    assert [entry.get("default") for entry in data["configs"]] == [True, None]
    infos = datasets.info.DatasetInfosDict.from_dataset_card_data(card.data)
    assert infos["features"].splits["train"].num_examples == 4
    assert infos["landmarks"].features["mesh"] == datasets.List(datasets.Value("int16"))


def test_prose_says_what_the_files_hold(card):
    text = card.text
    for part in (
        "## How to load",
        'load_dataset("theval/theval", "landmarks"',
        "| `lip_sync` | float64 |",
        "| `landmarks:no-face` | 1 |",
        "mediapipe-0.10.21",
        "## Known limits",
        "takedown",
        "@misc{theval,",
        "eprint = {2511.04520}",
    ):
        assert part in text, part
    assert "| `mesh` | list of int16 | scale | 1 |" in text


def test_every_column_is_described(card):
    for fields in (Theval.FIELDS["features"], Theval.FIELDS["landmarks"]):
        for field in fields:
            assert f"| `{field.name}` |" in card.text
            assert field.meaning
            assert field.meaning.endswith(".")


def test_hostile_text_stays_text(tmp_path):
    corpus = Corpus(tmp_path / "corpus")
    corpus.folder.mkdir()
    source = Source(
        "url", "https://example.org/a", title=HOSTILE, channel=HOSTILE, license=HOSTILE,
        language=HOSTILE,
    )  # fmt: skip
    corpus.add(row("a", source=source))
    made = built(corpus, tmp_path)
    text = (made.folder / "README.md").read_text()
    head = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert head["license"] == "other"
    assert "language" not in head
    assert len(head["configs"]) == 2
    assert "<script>" not in text
    assert "http://evil" not in text
    rows = datasets.load_dataset(str(made.folder), cache_dir=str(tmp_path / "hf"))["train"]
    assert rows[0]["license"] == HOSTILE
    assert rows[0]["channel"] == HOSTILE


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        ((None, None), "unknown"),
        (("CC-BY-4.0", "cc-by-4.0"), "cc-by-4.0"),
        (("cc-by-4.0", "mit"), "other"),
        (("cc-by-4.0", None), "other"),
        (("Standard licence",), "other"),
    ],
)
def test_license_of_the_whole(tmp_path, licenses, expected):
    corpus = Corpus(tmp_path / "corpus")
    corpus.folder.mkdir()
    for number, stated in enumerate(licenses):
        corpus.add(row(f"c{number}", source=Source("local", f"{number}.mp4", license=stated)))
    made = built(corpus, tmp_path)
    assert DatasetCard.load(made.folder / "README.md").data.license == expected


def test_papers_have_titles_and_authors():
    assert set(PAPERS) == {"theval", "evaltalker", "rsatalker", "lmme3dhf"}
    for paper in PAPERS.values():
        entry = paper.bibtex()
        assert entry.count("{") == entry.count("}")
        assert " and ".join(paper.authors) in entry


def test_provenance_lists_only_what_gave_values(tmp_path):
    made = built(small_corpus(tmp_path / "corpus"), tmp_path)
    text = (made.folder / "README.md").read_text()
    listed = text.partition("## Where it comes from")[2]
    assert "| `landmarks` |" in listed
    assert "| `theval_signals` |" in listed
    assert "faces" in made.info.extractors  # its columns are null in every row
    assert "| `faces` |" not in listed
    assert "real" not in text.partition("## ")[0].lower()
