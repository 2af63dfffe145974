"""What makes two sweeps the same: their data, their code, what was asked; and whether one may go on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
