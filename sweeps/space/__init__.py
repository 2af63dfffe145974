"""A search space -> its axes and configurations: which are inside, which are the same, how they read."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
