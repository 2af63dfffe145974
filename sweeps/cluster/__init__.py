"""A Ray cluster: which one, whether it lets this process in, whether its nodes are fit, how the code gets there."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
