# The native gRPC front's compiled unit: ReservationService and health, served by threads that know
# no Python. It answers; it works on the native engine that `_core.Engine` owns and waits for the
# journal's writer. The cimports below, from base to leaf, are the map of it:
#   uv, nghttp2, tls   the libraries: events and sockets, HTTP/2, encryption
#   clock       the server's time without the GIL
#   answer      what the judge hands to whoever speaks HTTP/2
#   judge_state, telling            requests to commands, answers to responses
#   deciding, batch, judging        one call or one batch, bytes in, an answer out
#   guards      what one connection may ask before it is a flood
#   state       calls, connections, and the loop that has them
#   answering   an answer to HTTP/2, once for each call
#   calling     from a whole message to its answer: judged, parked, or too late
#   receiving   from frames to whole messages
#   sending     what a connection has to say, in one write
#   connecting  a connection from its arrival to its end
#   looping     one thread's rounds
# `Front` is its face in Python: it opens ports, starts and stops, and reads counts.
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from atp._core cimport Engine
from atp.engine.core_share cimport serve_promptly
from atp.engine.forerun cimport Forerun
from atp.engine.native cimport store
from atp.front.answer cimport Answer
from atp.front.guards cimport FINE, GUARD_COUNT, Guard, guard_name
from atp.front.judge_state cimport COUNTED_METHODS, COUNTED_OUTCOMES, JOURNAL_REASONS, Judge
from atp.front.judging cimport check_bounds, judge_call
from atp.front.looping cimport close_loop, open_loop, run_loop, stand_in
from atp.front.methods cimport (
    COMMIT, EXECUTE, EXTEND, GET_AVAILABILITY, GET_RESERVATION, RELEASE, RESERVE,
)
from atp.front.state cimport (
    CALL_METHODS, CODES, Loop, REFUSED_REASONS, Shared, TIMED_METHODS, connections, held_bytes,
    open_calls,
)
from atp.front.uv cimport uv_async_send
from atp.journal._native cimport Writer
from atp.journal.time_counts cimport TIME_BOUNDS, TIME_PLACES

import os
import socket
from collections import namedtuple

cimport cython

include "front/tls.pxi"
include "front/judge_face.pxi"
include "front/serving.pxi"
