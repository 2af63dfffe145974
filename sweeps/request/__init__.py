"""The command line -> one checked request: which space, which cells of label, fold and seed, which resources."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
