"""A search space -> its axes and configurations: which are inside, which are the same, how they read."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
