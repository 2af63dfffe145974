"""A folder of images and its label table -> a checked `Source`: files, labels, pixel pitch, inconsistent labels."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
