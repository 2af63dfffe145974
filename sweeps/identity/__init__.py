"""What makes two sweeps the same: their data, their code, what was asked; and whether one may go on."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
