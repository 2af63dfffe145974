from .next_command import with_option as with_option
from .plan_text import show_plan as show_plan
from .summary import show_summary as show_summary
from .summary import summary_json as summary_json
