"""Networks only: no files, no arguments, no printing."""
