"""The two planes over gRPC: what stands between a caller and the engine.

The map, from the wire inward: plane.py listens; edge.py takes a call in and lets it out;
*_servicer.py say which engine call it is; durable.py lets answers wait for the disk; convert.py,
journal_words.py and status.py translate, one table each way; journaling.py opens and tends the
journal; app.py starts, sweeps and stops it all. Nothing here decides about stock, holds or caps.
"""
