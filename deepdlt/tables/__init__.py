"""The label table of an image folder (csv or xlsx) -> rows of text and typed columns; each fault with its row."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
