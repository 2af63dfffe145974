"""A request and what is done -> what is still to run, how long it takes and how much disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
