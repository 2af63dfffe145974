"""Laser and material -> synthetic SEM images with known truth; and the download of the published images."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
