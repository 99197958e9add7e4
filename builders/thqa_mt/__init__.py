"""theval/thqa-mt: talking heads of several generators and subjects, rated and voted on."""

from .dataset import ThqaMt

__all__ = ["ThqaMt"]
