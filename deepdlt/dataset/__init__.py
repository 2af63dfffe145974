"""A checked `Source` -> crops in one packed array, and their splits into training, validation and test sets."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
