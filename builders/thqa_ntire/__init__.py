"""theval/thqa-ntire: 12,247 scored talking heads with the official split and one without leaks."""

from .dataset import ThqaNtire

__all__ = ["ThqaNtire"]
