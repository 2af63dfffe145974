"""A plan -> trials that run on Ray, each with its record; Ray itself, started and ended."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
