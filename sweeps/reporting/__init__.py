"""The event files of a sweep -> report.html, report.md, tables and figures."""

from deepdlt.faces import face

__getattr__, __dir__, __all__ = face(__name__, __file__)
