"""Analysis of a trained network: latents, samples, reconstructions of whole images, baselines, a summary."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
