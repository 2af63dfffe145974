"""Where a sweep is and what it keeps there: sweep.json, trial.json, event files, the lock; how much of it is done."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
