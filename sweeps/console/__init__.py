"""What a person reads on the terminal: the plan, the leaders at the end, the command to type next."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
