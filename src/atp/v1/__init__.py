"""The public schema as Python: generated from proto/atp/v1 by tools/generate_proto.py.

Nothing here is written by hand but this file; tests/test_proto.py says when the rest is stale.
"""
