"""A plan -> trials that run on Ray, each with its record; Ray itself, started and ended."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
