"""Identity of a sweep: its data, code and request; and whether it may be resumed."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
