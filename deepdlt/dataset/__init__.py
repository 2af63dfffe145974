"""A checked `Source` -> crops in one packed array, and splits of them: which train, validate and test."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
