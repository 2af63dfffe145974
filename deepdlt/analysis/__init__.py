"""A trained network -> what it knows and what it must beat: latents, samples, whole images, baselines, a summary."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
