"""Side-by-side measurements against dvc and git, in one run on one machine. Not part of the test suite."""
