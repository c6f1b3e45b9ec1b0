"""Tests of the library, the notebooks and the repository."""
