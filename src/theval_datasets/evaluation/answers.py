"""Comparison of a multimodal model's answers to questions about distortions with the labels."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from theval_datasets.errors import InputError

_NOTHING: Final = re.compile(r"\bnone\b", re.IGNORECASE)
_DENIED: Final = re.compile(r"\b(?:no|not|without)(?:\s+any)?\s+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Agreement of answers and references on one label.

    Attributes:
        accuracy: Share of the answers that are right on it, 0 to 1.
        precision: Share of the answers that name it where the reference has it, 0 to 1; None if no answer
            names it.
        recall: Share of the references with it that the answer names, 0 to 1; None if none has it.
        n_references: Number of references that have it.
    """

    accuracy: float
    precision: float | None
    recall: float | None
    n_references: int


@dataclass(frozen=True, slots=True)
class AnswerAgreement:
    """Agreement of answers and references.

    Attributes:
        n: Number of answers.
        accuracy: Mean of the labels' accuracies, 0 to 1.
        exact: Share of the answers that name just the labels of the reference, 0 to 1.
        unread: Number of answers that name no label and do not say that there is none; they count as wrong
            on every label.
        labels: Agreement on each label.
    """

    n: int
    accuracy: float
    exact: float
    unread: int
    labels: Mapping[str, LabelAgreement]


def named_labels(answer: str, labels: Collection[str]) -> frozenset[str] | None:
    """The labels that an answer names.

    Case, spaces and a plural ``s`` do not matter; a label after ``no``, ``not`` or ``without`` is not
    counted, unless these words belong to it.

    Args:
        answer: Answer in words.
        labels: Labels to choose from.

    Returns:
        None if it names no label and does not say ``none``.

    Examples:
        >>> sorted(named_labels("It has blurs and eye  distortions.", ["Blur", "Eye Distortions", "Noise"]))
        ['Blur', 'Eye Distortions']
        >>> named_labels("none", ["Blur"]), named_labels("It looks fine.", ["Blur"])
        (frozenset(), None)
    """
    text = " ".join(answer.split())
    named = set()
    for label in sorted(labels, key=lambda name: (-len(name), name)):
        pattern = re.compile(rf"(?<!\w){_stem(label)}s?(?!\w)", re.IGNORECASE)
        if any(not _DENIED.search(text[: match.start()]) for match in pattern.finditer(text)):
            named.add(label)
        text = pattern.sub("|", text)  # else a shorter label would be found inside it
    return frozenset(named) if named or _NOTHING.search(text) else None


def answer_agreement(
    answers: Sequence[str], references: Sequence[Collection[str]], labels: Sequence[str]
) -> AnswerAgreement:
    """Compare a model's answers with the labels of the clips.

    The paper on LMME3DHF reports an "average accuracy" of distortion types without a formula. Here it is the mean
    over clips and labels of whether the answer and the reference agree on the label; `exact` is stricter.

    Args:
        answers: Answers in words, at least one.
        references: Labels of each clip, in the order of the answers.
        labels: All labels, each once.

    Raises:
        InputError: If the numbers of answers and references differ, there are none, or a reference holds an
            unknown label.

    Examples:
        >>> agreement = answer_agreement(["Blur.", "none"], [["Blur"], ["Noise"]], ["Blur", "Noise"])
        >>> agreement.accuracy, agreement.exact, agreement.labels["Noise"].recall
        (0.75, 0.5, 0.0)
    """
    if len(answers) != len(references) or not answers:
        raise InputError(
            f"expected an answer for each reference, got {len(answers)} and {len(references)}"
        )
    if len(set(labels)) != len(labels) or not labels or not all(map(str.strip, labels)):
        raise InputError(f"expected labels, each once, got {list(labels)}")
    unknown = sorted({label for has in references for label in has} - set(labels))
    if unknown:
        raise InputError(f"the references hold labels that are not listed: {', '.join(unknown)}")
    read = [named_labels(answer, labels) for answer in answers]
    is_read = np.array([names is not None for names in read])[:, None]
    named = np.array([[label in (names or ()) for label in labels] for names in read])
    has = np.array([[label in reference for label in labels] for reference in references])
    right = (named == has) & is_read
    return AnswerAgreement(
        n=len(answers),
        accuracy=float(right.mean()),
        exact=float(right.all(axis=1).mean()),
        unread=int(np.count_nonzero(~is_read)),
        labels={
            label: LabelAgreement(
                accuracy=float(right[:, i].mean()),
                precision=_share(named[:, i] & has[:, i], named[:, i]),
                recall=_share(named[:, i] & has[:, i], has[:, i]),
                n_references=int(has[:, i].sum()),
            )
            for i, label in enumerate(labels)
        },
    )


def _stem(label: str) -> str:
    """Pattern of a label without its plural s."""
    return r"\s".join(map(re.escape, re.sub(r"(?<=[^\Ws])s$", "", label.strip()).split()))


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float | None:
    return float(part.sum() / whole.sum()) if whole.any() else None
