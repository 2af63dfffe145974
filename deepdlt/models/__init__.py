"""A `TrainConfig` -> one of the four networks; its inference, and its weights on disk."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
