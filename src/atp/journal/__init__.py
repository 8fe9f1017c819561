"""Remembering: the journal of everything that happened, snapshots, and recovery from both.

Owns the data directory and every file in it. Decides nothing about stock, answers nobody: it is
told changes by the engine, makes them durable, and says up to which sequence they are.
"""
