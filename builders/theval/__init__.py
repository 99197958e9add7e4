"""theval/theval: real clips, the eight THEval metrics, and the landmarks that they come from."""

from .dataset import Theval

__all__ = ["Theval"]
