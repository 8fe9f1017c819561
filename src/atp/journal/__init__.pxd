# Cimport-only modules of the journal; record.h and writer.h say how.
