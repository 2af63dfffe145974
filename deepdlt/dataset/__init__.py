"""A checked `Source` -> crops in one packed array, and splits of them: which train, validate and test."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
