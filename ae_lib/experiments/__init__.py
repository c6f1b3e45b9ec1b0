"""Experiments too long for a chapter, recorded under data/results."""
