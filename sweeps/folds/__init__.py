"""Results of folds -> averages with intervals, who is best, who ties, and the race that stops who cannot win."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
