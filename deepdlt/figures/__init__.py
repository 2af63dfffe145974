"""Numbers and pictures -> matplotlib figures and their PNGs."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
