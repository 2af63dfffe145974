"""Terminal output: the plan, the summary at the end, the next command."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
