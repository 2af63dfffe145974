"""One module per command of `python -m deepdlt`: options in, exit code out."""
