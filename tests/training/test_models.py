"""The models against scikit-learn, PyTorch and formulas by hand."""

from __future__ import annotations

import numpy as np
import pytest

from theval_datasets.errors import InputError
from theval_datasets.training.models import Forest, Head, fit
from theval_datasets.training.parameters import ModelParameters

pytest.importorskip("sklearn", reason="the extra [train] is not installed")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 5)) * [1, 10, 0.01, 1000, 1] + [0, 5, 100, 1e5, -3]
Y = 2.5 + 0.5 * (X[:, 0] + (X[:, 1] - 5) / 10)
NEW = RNG.normal(size=(30, 5)) * [1, 10, 0.01, 1000, 1] + [0, 5, 100, 1e5, -3]


@pytest.fixture(scope="module")
def head():
    return fit("evaltalker", X, Y, ModelParameters())


def test_the_head_takes_features_as_they_are(head):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    centre, spread = X.mean(axis=0), X.std(axis=0)
    net = MLPRegressor(
        hidden_layer_sizes=(128,), alpha=1e-2, batch_size=64, max_iter=100, n_iter_no_change=100,
        tol=0, random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        net.fit(
            ((X - centre) / spread).astype(np.float32),
            ((Y - Y.mean()) / Y.std()).astype(np.float32),
        )
    theirs = net.predict(((NEW - centre) / spread).astype(np.float32)) * Y.std() + Y.mean()
    np.testing.assert_allclose(head.predict(NEW), theirs, atol=1e-4)


def test_the_head_learns_and_is_two_layers_with_a_relu(head):
    assert np.corrcoef(head.predict(NEW), NEW[:, 0] + (NEW[:, 1] - 5) / 10)[0, 1] > 0.95
    tensors = head.tensors
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "0.weight": (128, 5), "0.bias": (128,), "2.weight": (1, 128), "2.bias": (1,),
    }  # fmt: skip
    hidden = [
        max(0.0, float(w @ NEW[3] + b))
        for w, b in zip(tensors["0.weight"], tensors["0.bias"], strict=True)
    ]
    by_hand = float(tensors["2.weight"][0] @ hidden + tensors["2.bias"][0])
    assert head.predict(NEW[3:4])[0] == pytest.approx(by_hand, abs=1e-9)


def test_torch_loads_the_head(head, tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    numpy_files = pytest.importorskip(
        "safetensors.numpy", reason="the extra [train] is not installed"
    )
    from safetensors.torch import load_file

    numpy_files.save_file(dict(head.tensors), tmp_path / "model.safetensors")
    net = torch.nn.Sequential(torch.nn.Linear(5, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1))
    net.double().load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    with torch.no_grad():
        theirs = net(torch.from_numpy(NEW)).squeeze(1).numpy()
    np.testing.assert_allclose(head.predict(NEW), theirs, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1 + 1e-17])
def test_a_feature_that_never_varied_has_no_say(constant):
    still = np.column_stack([X[:, :2], np.full(len(X), constant)])
    for model in ("evaltalker", "forest"):
        fitted = fit(
            model, still, Y, ModelParameters(trees=20) if model == "forest" else ModelParameters()
        )
        known = np.column_stack([NEW[:, :2], np.full(len(NEW), constant)])
        changed = np.column_stack([NEW[:, :2], np.full(len(NEW), 1e6)])
        np.testing.assert_array_equal(fitted.predict(known), fitted.predict(changed))


def test_the_forest_is_that_of_scikit_learn():
    from sklearn.ensemble import RandomForestRegressor

    forest = fit("forest", X, Y, ModelParameters(trees=30, seed=4))
    theirs = RandomForestRegressor(n_estimators=30, random_state=4).fit(X, Y)
    for features in (X, NEW, NEW[:1], np.repeat(NEW, 50, axis=0)):
        np.testing.assert_allclose(forest.predict(features), theirs.predict(features), rtol=1e-12)
    assert forest.predict(NEW[:0]).shape == (0,)
    edge = NEW.copy()
    splits = forest.tensors["feature"] == 0
    edge[:, 0] = np.resize(forest.tensors["threshold"][splits], len(edge))  # exactly on thresholds
    np.testing.assert_allclose(forest.predict(edge), theirs.predict(edge), rtol=1e-12)


@pytest.mark.parametrize("model", ["evaltalker", "forest"])
def test_training_is_deterministic_with_a_seed(model):
    def tensors(seed):
        trees = {"trees": 10} if model == "forest" else {"epochs": 3}
        return fit(model, X, Y, ModelParameters(seed=seed, **trees)).tensors

    first, again, other = tensors(1), tensors(1), tensors(2)
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert any(first[name].tobytes() != other[name].tobytes() for name in first)


def test_two_clips_are_enough_and_one_score_is_its_mean():
    for model in ("evaltalker", "forest"):
        fitted = fit(model, X[:2], np.array([3.0, 3.0]), ModelParameters())
        np.testing.assert_allclose(fitted.predict(X[:2]), 3.0, atol=0.2)


def test_training_that_diverges_says_so():
    with pytest.raises(InputError, match=r"diverges .*; lower --learning-rate"):
        fit("evaltalker", X, Y, ModelParameters(learning_rate=1e30))


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("hidden", 0, 1), ("epochs", 0, 1), ("batch", 0, 1), ("trees", 0, 1), ("seed", -1, 0),
        ("seed", 2**32, 2**32 - 1), ("learning_rate", 0.0, 1e-9), ("decay", -1e-9, 0.0),
        ("learning_rate", float("nan"), 1.0), ("decay", float("inf"), 1.0),
    ],
)  # fmt: skip
def test_both_sides_of_each_limit(field, bad, good):
    with pytest.raises(InputError, match=field.replace("_", " ")):
        ModelParameters(**{field: bad})
    assert getattr(ModelParameters(**{field: good}), field) == good


def test_a_parameter_of_the_other_model_is_refused():
    with pytest.raises(InputError, match="--trees is not a parameter of the model evaltalker"):
        ModelParameters(trees=10).check("evaltalker")
    with pytest.raises(InputError, match="--learning-rate is not a parameter of the model forest"):
        ModelParameters(learning_rate=0.1).check("forest")
    ModelParameters(trees=10, seed=3).check("forest")
    ModelParameters(hidden=8, seed=3).check("evaltalker")
    assert ModelParameters().of("forest") == {"trees": 300, "seed": 0}


def good_head():
    return {
        "0.weight": np.ones((4, 2)), "0.bias": np.ones(4), "2.weight": np.ones((1, 4)),
        "2.bias": np.ones(1),
    }  # fmt: skip


def good_forest():
    return {
        "left": np.array([1, -1, -1], np.int32), "right": np.array([2, -1, -1], np.int32),
        "feature": np.array([1, -2, -2], np.int32), "threshold": np.array([0.5, -2, -2]),
        "value": np.array([0.0, 1.0, 2.0]), "roots": np.array([0], np.int32),
    }  # fmt: skip


def test_a_tree_by_hand():
    Forest(good_forest()).check(2)
    clips = np.array([[9.0, 0.5], [9.0, 0.6]])
    assert Forest(good_forest()).predict(clips).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        (Head, {"0.weight": np.ones((4, 3))}),
        (Head, {"0.bias": np.ones((4, 1))}),
        (Head, {"2.bias": np.array([np.nan])}),
        (Head, {"extra": np.ones(1)}),
        (Head, {"0.bias": np.array(1.0)}),
        (Head, {"0.weight": np.ones((4, 2), np.int64)}),
        (Forest, {"left": np.array([0, -1, -1], np.int32)}),  # a path without end
        (Forest, {"right": np.array([3, -1, -1], np.int32)}),
        (Forest, {"right": np.array([-1, -1, -1], np.int32)}),
        (Forest, {"left": np.array([-1, 2, -1], np.int32)}),
        (Forest, {"left": np.array([-5, -1, -1], np.int32)}),
        (Forest, {"feature": np.array([2, -2, -2], np.int32)}),
        (Forest, {"feature": np.array([-1, -2, -2], np.int32)}),
        (Forest, {"roots": np.array([3], np.int32)}),
        (Forest, {"roots": np.array([], np.int32)}),
        (Forest, {"roots": np.array([-1], np.int32)}),
        (Forest, {"value": np.array([0.0, np.inf, 2.0])}),
        (Forest, {"value": np.array([0.0, 1.0])}),
        (Forest, {"threshold": np.array([1, 2, 3])}),
        (Forest, {"left": np.array([1.0, -1.0, -1.0])}),
    ],
)
def test_tensors_of_another_form_are_refused(kind, changed):
    good = good_head() if kind is Head else good_forest()
    kind(good).check(2)
    with pytest.raises(InputError):
        kind({**good, **changed}).check(2)
    with pytest.raises(InputError, match="expected the tensors"):
        kind(dict(list(good.items())[1:])).check(2)
