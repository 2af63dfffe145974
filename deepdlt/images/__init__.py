"""A folder of images and its label sheet -> a checked `Source`: files, labels, pixel pitch, what contradicts them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
