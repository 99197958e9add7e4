"""Every model of the public reference program, on every public study given."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from theval_datasets.curation.study.mos import opinion_scores
from theval_datasets.curation.study.parameters import preset, reference_model, reference_models
from theval_datasets.curation.study.ratings import Ratings
from theval_datasets.curation.study.tables import read_ratings
from theval_datasets.errors import RatingsError, UnknownNameError

STUDIES = ("nflx_public", "bt500_sample", "bt500_small", "os_dict_reps")
ITERATED = ("MLE", "MLE_CO")
DIVERGES = ("os_dict_reps", "MLE")
"""13 ratings by 3 subjects: two inconsistencies run to infinity, only the scores mean something."""


def assert_equal(result, golden, tolerance, what):
    wanted = np.array([np.nan if value is None else value for value in golden], float)
    result = np.where(np.isfinite(result), result, np.nan)
    np.testing.assert_allclose(result, wanted, rtol=tolerance, atol=tolerance, err_msg=what)


NOT_GIVEN = {
    (study, model)
    for study in ("bt500_sample", "bt500_small")
    for model in ("DMOS", "LIVE_DMOS", "SR_DMOS", "ZS_SR_DMOS")
}
"""Studies without references: the golden files have no differential scores of them."""


@pytest.mark.real
@pytest.mark.parametrize(
    ("study", "model"),
    sorted({(s, m) for s in STUDIES for m in reference_models()} - NOT_GIVEN),
)
def test_equals_the_golden_outputs(shared_data: Path, study, model):
    golden = json.loads((shared_data / "golden" / f"golden_{study}.json").read_text())
    panel = read_ratings(shared_data / "golden" / f"ratings_{study}.csv").panel()
    assert panel.subjects == tuple(golden["subjects"])
    assert panel.clips == tuple(row["stimulus"] for row in golden["stimuli"])
    wanted = golden["models"][model]
    if "error" in wanted:
        with pytest.raises(RatingsError, match="reference"):
            opinion_scores(panel, reference_model(model))
        return
    tolerance = 1e-4 if model in ITERATED else 1e-9
    scores = opinion_scores(panel, reference_model(model))
    assert_equal(scores.mos, wanted["quality_scores"], tolerance, "mos")
    if "quality_scores_std" in wanted:
        assert_equal(scores.sem, wanted["quality_scores_std"], tolerance, "sem")
        assert_equal(scores.ci95, wanted["quality_scores_ci95"][0], tolerance, "ci95")
    if "quality_ambiguity" in wanted:
        assert_equal(scores.std, wanted["quality_ambiguity"], tolerance, "std")
    if "observer_rejected" in wanted:
        assert scores.screening.rejected.tolist() == wanted["observer_rejected"]
        assert_equal(
            scores.screening.share, wanted["observer_rejected_1st_stats"], tolerance, "share"
        )
        if scores.screening.threshold is None:
            assert_equal(
                scores.screening.balance,
                wanted["observer_rejected_2nd_stats"],
                tolerance,
                "balance",
            )
    if "observer_bias" in wanted:
        assert_equal(scores.bias, wanted["observer_bias"], tolerance, "bias")
    if (study, model) == DIVERGES:
        return
    if "observer_inconsistency" in wanted:
        fit = scores.model
        assert_equal(fit.inconsistency, wanted["observer_inconsistency"], tolerance, "inc")
        assert_equal(fit.bias_se, wanted["observer_bias_std"], tolerance, "bias se")
        assert_equal(
            fit.inconsistency_se, wanted["observer_inconsistency_std"], tolerance, "inc se"
        )
        assert fit.iterations == wanted["num_iter"]
    if "content_ambiguity" in wanted:
        assert_equal(scores.model.ambiguity, wanted["content_ambiguity"], tolerance, "ambiguity")
    for name in ("dof", "loglikelihood", "aic", "bic"):
        if name in wanted:
            assert getattr(scores.fit, name) == pytest.approx(wanted[name], abs=tolerance)


def test_the_preset_is_the_model_sr_mos():
    assert preset("sureal") == reference_model("SR_MOS")


def test_unknown_names_suggest_close_ones():
    with pytest.raises(UnknownNameError, match="thqa-mt"):
        preset("thqa_mt")
    with pytest.raises(UnknownNameError, match="SR_MOS"):
        reference_model("SRMOS")


@pytest.mark.real
@pytest.mark.parametrize("study", STUDIES[1:3])
def test_equals_the_published_demonstration(shared_data: Path, study):
    golden = json.loads((shared_data / "golden" / f"golden_{study}.json").read_text())
    wanted = golden["demo_bt500_alternating_projection"]
    panel = read_ratings(shared_data / "golden" / f"ratings_{study}.csv").panel()
    scores = opinion_scores(panel, reference_model("MLE_CO_AP2"))
    assert_equal(scores.mos, wanted["mos_j"], 1e-6, "mos")
    assert_equal(scores.bias, wanted["bias_i"], 1e-6, "bias")
    assert_equal(scores.model.inconsistency, wanted["inconsistency_i"], 1e-6, "inconsistency")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore")  # of the other program
def test_the_installed_program_agrees_on_partial_designs_and_ties(seed):
    subjective_model = pytest.importorskip("sureal.subjective_model")
    readers = pytest.importorskip("sureal.dataset_reader")
    rng = np.random.default_rng(seed)
    matrix = np.clip(np.round(rng.normal(3, 1, (150, 1)) + rng.normal(0, 0.7, (150, 17))), 1, 5)
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    videos = [
        {
            "content_id": 0,
            "asset_id": i,
            "path": f"v{i}",
            "os": {f"s{j:02d}": row[j] for j in range(17) if np.isfinite(row[j])},
        }
        for i, row in enumerate(matrix)
    ]
    dataset = SimpleNamespace(
        dataset_name="made",
        ref_videos=[{"content_id": 0, "content_name": "c", "path": "r"}],
        dis_videos=videos,
    )
    wanted = subjective_model.SubjrejMosModel(readers.RawDatasetReader(dataset)).run_modeling()
    scores = opinion_scores(Ratings.from_matrix(matrix).panel(), preset("sureal"))
    assert_equal(scores.mos, wanted["quality_scores"], 1e-12, "mos")
    assert_equal(scores.screening.share, wanted["observer_rejected_1st_stats"], 1e-12, "share")
    assert scores.screening.rejected.tolist() == wanted["observer_rejected"]
