"""All use of PyAV: reading, writing, and what a file is made of. Nothing outside this package imports av."""
