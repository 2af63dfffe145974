"""Laser and material -> SEM-like images with known truth, for those who have no images; and the published ones."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
