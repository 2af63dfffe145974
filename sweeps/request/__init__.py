"""The command line -> one checked request: which space, which cells of label, fold and seed, which resources."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
