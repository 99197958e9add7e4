"""What a recipe asks for and this machine does not have: said before anything is fetched or cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from theval_datasets import catalog
from theval_datasets.errors import InputError, MissingExtraError, WeightsMissingError
from theval_datasets.extraction.extractor import Extractor
from theval_datasets.extraction.store import with_needs
from theval_datasets.features.arcface import Arcface
from theval_datasets.features.faces import Faces
from theval_datasets.features.spoken_language import SpokenLanguage
from theval_datasets.utils.optional import available, install_command

from ..duplicates.reference_index import Reference, recogniser
from ..filters.identity_balance import IdentityBalance
from ..filters.language import Language
from ..recipes.recipe import Recipe
from ..sources.base import SourceFile

_RECORDINGS = (
    "To compare recordings only, use a recipe of your own with `leakage: {people: false}`."
)


def fetch_weights(wanted: Sequence[Extractor]) -> None:
    """Fetch models that are missing and can be had: each once, of those that others build on."""
    for one in with_needs(wanted):
        if not one.needs():
            one.fetch_weights()


def shortcomings(
    recipe: Recipe, wanted: Sequence[Extractor], references: Sequence[Reference] = ()
) -> list[str]:
    """What will not be as the recipe wants it, in sentences.

    Args:
        recipe: The run's.
        wanted: What clips are measured for.
        references: Clips of other sets, which this one is to be kept apart from.

    Raises:
        InputError: It is to be kept apart from people whom nothing here can know again.
    """
    leakage = dict(recipe.judges()).get("leakage")
    watched = leakage is not None and Arcface() in leakage.needs()
    strangers = {one.pack for one in references if one.people.size} if watched else set()
    said: list[str] = []
    if Faces() in with_needs(wanted) and not Faces().uses_insightface():
        said.append(Faces().fallback())
    unable: dict[str, list[str]] = {}
    for name, judge in recipe.judges():
        after = (
            f" (after the first {judge.max_clips} clips)"
            if isinstance(judge, IdentityBalance)
            else ""
        )
        for why in _absent(judge.needs()):
            unable.setdefault(why, []).append(f"{name}{after}")
    for why, judges in unable.items():
        if strangers and "leakage" in judges:
            raise InputError(f"--reference cannot be heeded: {why} {_RECORDINGS}")
        names = [name for name in judges if name != "leakage"]  # it has nothing to compare with
        if names:
            said.append(
                f"{' and '.join(names)} cannot judge: {why} "
                f"Clips are undecided then, and {_fate(recipe)}."
            )
    if strangers and strangers != {recogniser()}:
        raise InputError(
            "--reference cannot be heeded: its people were embedded by another InsightFace pack than "
            "the one that is here. Make the index again with this one (`theval-data index`), or get "
            f"the other one. {_RECORDINGS}"
        )
    for name in recipe.measure:
        extractor = catalog.load("extractor", name)()
        extra = extractor.extra
        if not all(map(available, extractor.imports)):
            how = install_command(str(extra))
            said.append(f"{name} will not be measured: it comes with the extra [{extra}]: {how}.")
        elif not extractor.has_weights():
            said.append(f"{name} will not be measured: see `theval-data models list`.")
    return said


def listeners(recipe: Recipe, sources: Sequence[SourceFile]) -> tuple[Sequence[Extractor], str]:
    """What has to listen to sources that do not say which language is spoken, where that matters.

    Returns:
        Further extractors, and what is to be said about it, "" for nothing.

    Raises:
        InputError: No source says it and nothing here can hear it, so that all would be rejected.
    """
    silent = sum(one.origin.language is None for one in sources)
    asked = next((judge for _, judge in recipe.judges() if isinstance(judge, Language)), None)
    if asked is None or not silent:
        return (), ""
    some = f"{silent} of {len(sources)} sources do not say what is spoken in them"
    listener = SpokenLanguage()
    listener.fetch_weights()
    try:
        listener.weights_id()
    except (MissingExtraError, WeightsMissingError) as error:
        if recipe.on_undecided == "keep" or silent < len(sources):
            fate = f"the filter language is undecided on them, and they are {_fate(recipe)}"
            return (), f"{some}: {fate}. --language names it."
        raise InputError(
            f"The recipe {recipe.name} keeps clips in {', '.join(asked.languages)}, and no source "
            "says what is spoken in it. Say it with --language, as --language en; or let the run "
            f"listen: {error} Or leave the filter out in a recipe of your own "
            f"(`base: {recipe.name}` and `filters: {{language: null}}`)."
        ) from None
    return (listener,), f"{some}: the run listens to their clips."


def _absent(needs: Iterable[Extractor]) -> list[str]:
    found: dict[str, None] = {}
    for extractor in with_needs(tuple(needs)):
        try:
            extractor.weights_id()
        except (WeightsMissingError, MissingExtraError) as error:
            found[str(error)] = None
    return list(found)


def _fate(recipe: Recipe) -> str:
    return "kept" if recipe.on_undecided == "keep" else "rejected"
