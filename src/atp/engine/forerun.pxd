# Touching memory before holds take it. See forerun.h.
from atp.engine.layout cimport Engine


cdef extern from "atp/engine/forerun.h" namespace "atp" nogil:
    cppclass Forerun:
        Forerun(Engine& engine) except +
        void run() noexcept
        void finish() noexcept
