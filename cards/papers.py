"""Bibliographic data of the papers behind the datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper to cite.

    Attributes:
        key: Key of the BibTeX entry.
        title: Title as printed.
        authors: Authors in their order.
        year: Year of publication; None if its text does not state it.
        arxiv: arXiv number; None if unknown.
        venue: Proceedings; None if unknown.
    """

    key: str
    title: str
    authors: tuple[str, ...]
    year: int | None = None
    arxiv: str | None = None
    venue: str | None = None

    def bibtex(self) -> str:
        """The paper as BibTeX entry.

        Examples:
            >>> print(Paper("doe24", "A Title", ("Jo Doe", "Al Roe"), 2024).bibtex())
            @misc{doe24,
              title = {{A Title}},
              author = {Jo Doe and Al Roe},
              year = {2024}
            }
        """
        fields = {"title": f"{{{self.title}}}", "author": " and ".join(self.authors)}
        if self.year is not None:
            fields["year"] = str(self.year)
        if self.arxiv is not None:
            fields |= {"eprint": self.arxiv, "archivePrefix": "arXiv"}
        if self.venue is not None:
            fields["booktitle"] = self.venue
        kind = "misc" if self.venue is None else "inproceedings"
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{kind}{{{self.key},\n{body}\n}}"


_ALL: Final = (
    Paper(
        "theval",
        "THEval. Evaluation Framework for Talking Head Video Generation",
        ("Nabyl Quignon", "Baptiste Chopin", "Yaohui Wang", "Antitza Dantcheva"),
        2025,
        "2511.04520",
    ),
    Paper(
        "evaltalker",
        "EvalTalker: Learning to Evaluate Real-Portrait-Driven Multi-Subject Talking Humans",
        (
            "Yingjie Zhou",
            "Xilei Zhu",
            "Siyu Ren",
            "Ziyi Zhao",
            "Ziwen Wang",
            "Farong Wen",
            "Yu Zhou",
            "Jiezhang Cao",
            "Xiongkuo Min",
            "Fengjiao Chen",
            "Xiaoyu Li",
            "Xuezhi Cao",
            "Guangtao Zhai",
            "Xiaohong Liu",
        ),
        2025,
        "2512.01340",
    ),
    Paper(
        "rsatalker",
        "RSATalker: Realistic Socially-Aware Talking Head Generation for Multi-Turn Conversation",
        ("Peng Chen", "Xiaobao Wei", "Yi Yang", "Naiming Yao", "Hui Chen", "Feng Tian"),
    ),
    Paper(
        "lmme3dhf",
        "LMME3DHF: Benchmarking and Evaluating Multimodal 3D Human Face Generation with LMMs",
        (
            "Woo Yi Yang",
            "Jiarui Wang",
            "Sijing Wu",
            "Huiyu Duan",
            "Yuxin Zhu",
            "Liu Yang",
            "Kang Fu",
            "Xiongkuo Min",
            "Guangtao Zhai",
        ),
        2025,
        venue="Proceedings of the 33rd ACM International Conference on Multimedia (MM '25)",
    ),
)

PAPERS: Final[dict[str, Paper]] = {paper.key: paper for paper in _ALL}
