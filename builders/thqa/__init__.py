"""theval/thqa: 800 talking heads of AI portraits with their published features and opinion scores."""

from .dataset import Thqa

__all__ = ["Thqa"]
