"""Results of folds -> averages with intervals, the best configuration and its ties, the race."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
