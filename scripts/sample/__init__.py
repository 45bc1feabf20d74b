"""The drawing behind make_sample.py."""
