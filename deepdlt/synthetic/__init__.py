"""Laser and material -> SEM-like images with known truth, for those who have no images; and the published ones."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
