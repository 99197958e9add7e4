"""Shell completion: each function returns the names that begin with the text typed so far."""

from __future__ import annotations

from theval_datasets import catalog


def datasets(incomplete: str) -> list[str]:
    """Names of datasets.

    Examples:
        >>> datasets("thqa")
        ['thqa', 'thqa-mt', 'thqa-ntire']
    """
    names = (name.replace("_", "-") for name in catalog.names("dataset"))
    return [name for name in names if name.startswith(incomplete)]


def extractors(incomplete: str) -> list[str]:
    """Lists of extractors separated by commas, with the last name completed.

    Examples:
        >>> extractors("landmarks,vad_s")
        ['landmarks,vad_silero']
    """
    before, comma, last = incomplete.rpartition(",")
    names = (name for name in catalog.names("extractor") if name.startswith(last))
    return [f"{before}{comma}{name}" for name in names]


def recipes(incomplete: str) -> list[str]:
    """Names of recipes.

    Examples:
        >>> recipes("the")
        ['theval']
    """
    from theval_datasets.curation.recipes.recipe import recipe_names

    return [name for name in recipe_names() if name.startswith(incomplete)]


def lists(incomplete: str) -> list[str]:
    """Formats of clip lists.

    Examples:
        >>> lists("celebv")
        ['celebv-hq', 'celebv-text']
    """
    names = (name.replace("_", "-") for name in catalog.names("list"))
    return [name for name in names if name.startswith(incomplete)]


def presets(incomplete: str) -> list[str]:
    """Names of the presets of studies.

    Examples:
        >>> presets("bt")
        ['bt500']
    """
    from theval_datasets.curation.study.parameters import presets as known

    return [name for name in known() if name.startswith(incomplete)]
