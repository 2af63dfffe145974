"""Files of a sweep: sweep.json, trial.json, event files, the lock; and the count of what is done."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
