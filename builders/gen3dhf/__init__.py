"""theval/gen3dhf: generated 3-D human faces with quality and authenticity scores."""

from .dataset import Gen3dhf

__all__ = ["Gen3dhf"]
