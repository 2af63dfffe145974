"""Which trial begins next and which ends early: searches, schedulers, populations."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
