"""Plans of studies: what is wrong is said, with what was expected."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from collect_study import write_plan

from theval_datasets.curation.collect.languages import PAGES, language_names, texts
from theval_datasets.curation.collect.plan import read_plan
from theval_datasets.errors import InputError

_SLOT = re.compile(r"\{(\w+)\}")


def test_defaults_are_those_of_the_paper(tmp_path):
    plan = read_plan(write_plan(tmp_path, sessions=None))
    rules = plan.sessions
    assert (rules.max_clips, rules.break_minutes, rules.per_day) == (200, 30.0, 3)
    assert (rules.repeat_share, rules.trap_every, rules.golden_every) == (0.05, 10, 20)
    assert (plan.screen.width, plan.screen.height, plan.screen.phones) == (1280, 720, False)
    assert plan.scored == ("quality",)
    assert plan.score_range == (0.0, 5.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "scores"}, "did you mean score"),
        ({"consent": None}, "consent"),
        ({"consent": " "}, "consent: expected a text"),
        ({"traning": ["a"]}, "did you mean.*training"),
        ({"training": ["a", "b"]}, "at least 3 different clips, got 2"),
        ({"training": ["a", "b", "b"]}, "at least 3 different clips, got 2"),
        ({"language": "eng"}, "did you mean en"),
        ({"names": "{content}"}, "{content} and {model}"),
        ({"clips_per_participant": 0}, "clips_per_participant: expected at least 1"),
        ({"trials": 4}, "only a pairwise study has pairs"),
        ({"kind": "pairwise", "scale": "acr5"}, "acr5 is only available"),
        ({"kind": "pairwise", "dimensions": ["quality"]}, "scores nothing"),
        ({"kind": "sliders-and-marks", "ask": []}, "at least one of sliders"),
        ({"kind": "sliders-and-marks", "ask": ["slider"]}, "sliders"),
        ({"sessions": {"max_clips": 0}}, "max_clips"),
        ({"sessions": {"repeat_share": 0.6}}, "0 to 0.5"),
        ({"sessions": {"trap_every": -1}}, "trap_every"),
        ({"sessions": {"max_clip": 100}}, "did you mean.*max_clips"),
        ({"golden": [{"clip": "a", "low": 4, "high": 3}]}, "low of at most high"),
        ({"golden": [{"clip": "a", "against": "b"}]}, "low and high"),
        ({"kind": "pairwise", "golden": [{"clip": "a", "low": 1, "high": 2}]}, "against"),
        ({"kind": "sliders-and-marks", "ask": ["marks"], "golden": [{"clip": "a", "low": 1, "high": 2}]},
         "no score"),
        ({"protocol": {"subject": "ten"}}, "did you mean.*subjects"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_plan(write_plan(tmp_path, **changes))


@pytest.mark.parametrize("text", ["- a", "kind: [", "a: &x [*x]", "\x00"])
def test_what_is_no_plan_is_refused(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"plan\.yaml"):
        read_plan(path)
    with pytest.raises(InputError, match="gone"):
        read_plan(tmp_path / "gone.yaml")


@pytest.mark.parametrize(
    ("kind", "changes", "scored", "ends"),
    [
        ("score", {"scale": "acr5"}, ("quality",), (1.0, 5.0)),
        ("score", {"dimensions": ["realism"]}, ("realism",), (0.0, 5.0)),
        ("sliders-and-marks", {}, ("quality", "authenticity"), (0.0, 5.0)),
        ("sliders-and-marks", {"ask": ["marks"]}, (), (0.0, 5.0)),
        ("pairwise", {}, (), (0.0, 5.0)),
    ],
)
def test_what_is_scored(tmp_path, kind, changes, scored, ends):
    plan = read_plan(write_plan(tmp_path, kind=kind, **changes))
    assert (plan.scored, plan.score_range) == (scored, ends)


def test_languages_hold_the_same_texts():
    assert len(language_names()) >= 2
    english = texts("en")
    script = (resources.files(PAGES) / "study.js").read_text("utf-8")
    for language in language_names():
        other = texts(language)
        assert other.keys() == english.keys()
        for key, text in other.items():
            assert set(_SLOT.findall(text)) == set(_SLOT.findall(english[key])), key
    built = {f"acr_{n}" for n in range(1, 6)} | {"trap_left", "trap_right", "no_script"}
    built |= {"quality", "authenticity"}
    unused = {key for key in english if f'"{key}"' not in script} - built
    assert unused == set()
