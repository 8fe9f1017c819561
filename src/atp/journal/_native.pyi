"""Typed face of the journal's compiled unit."""
