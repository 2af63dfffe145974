"""What a sweep keeps on disk: sweep.json, trial.json, event files, the lock; and the count of what is done."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
