"""A trained network -> what it knows and what it must beat: latents, samples, whole images, baselines, a summary."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
