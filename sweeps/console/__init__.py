"""What a person reads on the terminal: the plan, the leaders at the end, the command to type next."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
