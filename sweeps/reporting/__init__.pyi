from .comparison import write_comparison as write_comparison
from .write import make_report as make_report
from .write import write_report as write_report
