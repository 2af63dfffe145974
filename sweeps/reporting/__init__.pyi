from .write import make_report as make_report
from .write import write_report as write_report
