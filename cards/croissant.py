"""Croissant metadata of a release: the facts of its card as JSON-LD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import datasets

from theval_datasets.manifest.info import Info

from .facts import ReleaseFacts
from .papers import Paper

CROISSANT_NAME: Final = "croissant.json"
_CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context of Croissant 1.0, as given in its specification."""

_TYPES: Final = {"string": "sc:Text", "bool": "sc:Boolean"}


def croissant(
    info: Info,
    facts: ReleaseFacts,
    *,
    title: str,
    summary: str,
    license_id: str,
    papers: Sequence[Paper],
) -> dict[str, Any]:
    """The metadata of a release.

    Args:
        info: Description of the release, with its Parquet files.
        facts: Facts read from the files.
        title: Display name.
        summary: Summary in one paragraph.
        license_id: Licence on the card.
        papers: Papers to cite.
    """
    home = f"https://huggingface.co/datasets/{info.dataset}"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": title,
        "description": summary,
        "url": home,
        "license": license_id,
        "version": info.version,
        "citeAs": "\n".join(paper.bibtex() for paper in papers),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "repo",
                "name": "repo",
                "description": "The repository on the Hub, at the tag of this version.",
                "contentUrl": f"{home}/tree/v{info.version}",
                "encodingFormat": "git+https",
                "sha256": "https://github.com/mlcommons/croissant/issues/80",
            },
            *(
                {
                    "@type": "cr:FileSet",
                    "@id": f"{name}-files",
                    "name": f"{name}-files",
                    "description": f"Parquet files of the config {name}.",
                    "containedIn": {"@id": "repo"},
                    "encodingFormat": "application/x-parquet",
                    "includes": f"{name}/*.parquet",
                }
                for name in info.configs
            ),
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": name,
                "name": name,
                "description": config.description,
                "field": [
                    _field(name, column.name, column.meaning, facts.configs[name].features)
                    for column in config.columns
                ],
            }
            for name, config in info.configs.items()
        ],
    }


def _field(config: str, column: str, meaning: str, features: Mapping[str, Any]) -> dict[str, Any]:
    feature = features[column]
    source = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": column}}
    repeated = isinstance(feature, datasets.List)
    inner = feature.feature if repeated else feature
    made: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{config}/{column}",
        "name": f"{config}/{column}",
        "description": meaning,
        "dataType": _data_type(inner),
        "source": source,
    }
    return {**made, "repeated": True} if repeated else made


def _data_type(feature: Any) -> str:
    if isinstance(feature, datasets.Image):
        return "sc:ImageObject"
    if isinstance(feature, datasets.Audio):
        return "sc:AudioObject"
    if isinstance(feature, datasets.Value):
        name = str(feature.dtype)
        if name.startswith(("int", "uint")):
            return "sc:Integer"
        return "sc:Float" if name.startswith("float") else _TYPES.get(name, "sc:Text")
    return "sc:Text"  # Croissant 1.0 has no types for structs and videos
