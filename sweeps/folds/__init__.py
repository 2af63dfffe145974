"""Results of folds -> averages with intervals, who is best, who ties, and the race that stops who cannot win."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
