"""A request and what is done -> what is still to run, how long it takes and how much disk."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
