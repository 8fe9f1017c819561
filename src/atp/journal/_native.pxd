# What other compiled units may know of `Writer`: where the native one is. They keep the Python
# object alive as long as they use it.
from atp._core cimport Engine
from atp.journal.writer cimport NativeWriter


cdef class Writer:
    cdef NativeWriter* writer
    cdef Engine engine  # keeps the native engine where it is
