"""theval/rsatalker: speech and face motion of two people in conversation, and how they are related."""

from .dataset import Rsatalker

__all__ = ["Rsatalker"]
