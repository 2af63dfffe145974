"""A folder of images and its label sheet -> a checked `Source`: files, labels, pixel pitch, what contradicts them."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
