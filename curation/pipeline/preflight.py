"""Models and packages that a recipe needs and this machine lacks, reported before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from theval_datasets import catalog
from theval_datasets.errors import InputError, MissingExtraError, WeightsMissingError
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.store import with_needs
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.faces import Faces
from theval_datasets.features.identity import Identity
from theval_datasets.features.identity_open import IdentityOpen
from theval_datasets.features.spoken_language import SpokenLanguage
from theval_datasets.utils.optional import available, install_command

from ..duplicates.reference_index import ReferenceIndex, recogniser
from ..filters.identity_balance import IdentityBalance
from ..filters.language import Language
from ..recipes.recipe import Recipe
from ..sources.base import SourceFile
from .segments import scene_extractors

_RECORDINGS = (
    "To compare recordings only, use a recipe of your own with `leakage: {people: false}`."
)


def fetch_weights(extractors: Sequence[Extractor]) -> None:
    """Download missing models, each once."""
    for extractor in with_needs(extractors):
        if not extractor.needs():
            extractor.fetch_weights()
        else:
            extractor.fetch_own_weights()


def shortcomings(
    recipe: Recipe, extractors: Sequence[Extractor], references: Sequence[ReferenceIndex] = ()
) -> list[str]:
    """Parts of a recipe that cannot be carried out on this machine.

    Args:
        recipe: The recipe of the run.
        extractors: The extractors of the run.
        references: Indexes of other sets, for the leakage filter.

    Returns:
        A sentence for each part.

    Raises:
        InputError: The references hold people, and no model on this machine can recognise them; or the
            recipe cuts out people with the sound of their turns, and no model tells who speaks.
    """
    for why in _absent(scene_extractors(recipe)):
        raise InputError(
            f"The recipe {recipe.name} cuts out people with the sound of their turns, and it cannot be "
            f"measured who speaks: {why} Or keep the sound of the scene, in a recipe of your own: "
            f"`base: {recipe.name}` and `person: {{others: keep, min_speaking: 0}}`."
        )
    notes: list[str] = []
    if Faces() in with_needs(extractors) and not Faces().uses_insightface():
        notes.append(f"{Faces().fallback()}{_without_download()}")
    return [*notes, *_unable(recipe, references), *_not_measured(recipe)]


def _unable(recipe: Recipe, references: Sequence[ReferenceIndex]) -> Iterator[str]:
    """A sentence for each reason why filters cannot judge; see `shortcomings`."""
    leakage = dict(recipe.judges()).get("leakage")
    watched = leakage is not None and Arcface() in leakage.needs()
    strangers = (
        {reference.pack for reference in references if len(reference.people)} if watched else set()
    )
    unable: dict[str, list[str]] = {}
    passing: list[str] = []
    for name, judge in recipe.judges():
        after = (
            f" (after the first {judge.max_clips} clips)"
            if isinstance(judge, IdentityBalance)
            else ""
        )
        for why in _absent(judge.needs()):
            if not getattr(judge, "required", True):
                passing.append(f"{name} cannot judge: {why} Clips pass it.")
            else:
                unable.setdefault(why, []).append(f"{name}{after}")
    for why, judges in unable.items():
        if strangers and "leakage" in judges:
            raise InputError(f"--reference cannot be used: {why} {_RECORDINGS}")
        names = [
            name for name in judges if name != "leakage"
        ]  # without references it judges nothing
        if names:
            yield (
                f"{' and '.join(names)} cannot judge: {why} "
                f"Clips are then undecided and {_fate(recipe)}."
            )
    yield from passing
    if strangers and strangers != {recogniser()}:
        raise InputError(
            "--reference cannot be used: its faces were embedded with another InsightFace pack "
            "than the installed one. Make the index again with the installed pack (`theval-data "
            f"index`), or install the other pack. {_RECORDINGS}"
        )


def _not_measured(recipe: Recipe) -> Iterator[str]:
    """A sentence for each further extractor of a recipe that cannot run."""
    for name in recipe.measure:
        extractor = catalog.load("extractor", name)()
        extra = extractor.extra
        if not all(map(available, extractor.imports)):
            how = install_command(str(extra))
            why = f"it needs the extra [{extra}]: {how}."
        elif not extractor.has_weights():
            why = "see `theval-data models list`."
        else:
            continue
        yield f"{name} will not be measured: {why}{_instead(name)}"


def listeners(recipe: Recipe, sources: Sequence[SourceFile]) -> tuple[Sequence[Extractor], str]:
    """The extractor that detects the language of sources that do not declare one, where it is needed.

    Returns:
        Further extractors, and a note about them; "" for none.

    Raises:
        InputError: No source declares a language and none can be detected, so that all clips would be
            rejected.
    """
    undeclared = sum(source.origin.language is None for source in sources)
    language = next((judge for _, judge in recipe.judges() if isinstance(judge, Language)), None)
    if language is None or not undeclared:
        return (), ""
    some = f"{undeclared} of {len(sources)} sources do not declare a language"
    listener = SpokenLanguage()
    listener.fetch_weights()
    try:
        listener.weights_id()
    except (MissingExtraError, WeightsMissingError) as error:
        if recipe.on_undecided == "keep" or undeclared < len(sources):
            fate = f"the filter language is undecided about them, and they are {_fate(recipe)}"
            return (), f"{some}: {fate}. State the language with --language."
        raise InputError(
            f"The recipe {recipe.name} keeps clips in {', '.join(language.languages)}, and no source "
            "declares one. State it with --language, such as --language en; or let it be detected: "
            f"{error} Or leave the filter out in a recipe of your own "
            f"(`base: {recipe.name}` and `filters: {{language: null}}`)."
        ) from None
    return (listener,), f"{some}: it will be detected from their sound."


def _absent(needs: Iterable[Extractor]) -> list[str]:
    reasons: dict[str, None] = {}
    for extractor in with_needs(tuple(needs)):
        try:
            extractor.weights_id()
        except (WeightsMissingError, MissingExtraError) as error:
            reasons[str(error)] = None
    return list(reasons)


def _instead(name: str) -> str:
    """A sentence on an extractor that measures something similar without a download; "" for none."""
    return _without_download() if name == Identity.name else ""


def _without_download() -> str:
    """A sentence on `identity_open`."""
    installed = all(map(available, IdentityOpen.imports))
    how = "" if installed else f" ({install_command(str(IdentityOpen.extra))})"
    return (
        f" The extra [{IdentityOpen.extra}]{how} measures how constant identities stay without a "
        f"download: `theval-data extract --features {IdentityOpen.name}`."
    )


def _fate(recipe: Recipe) -> str:
    return "kept" if recipe.on_undecided == "keep" else "rejected"
