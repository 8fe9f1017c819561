# Cimport-only modules of the native gRPC front; _front.pyx is their map.
