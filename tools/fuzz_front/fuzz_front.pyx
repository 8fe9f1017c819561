# The fuzzers' compiled unit: the front's own modules, compiled once more with a count of the ways
# through them, and the loops that feed them. run.py is its only caller. `Judging` feeds messages to
# the judge, `Sessions` bytes to a whole connection, `Drawing` hands inputs to Python.
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from libcpp.string cimport string
from libcpp.vector cimport vector
from posix.unistd cimport close

from atp._core cimport Engine
from atp.engine.digest cimport Walk, digest, open_walk
from atp.engine.layout cimport Engine as NativeEngine
from atp.engine.native cimport Key, load
from atp.front.answer cimport Answer
from atp.front.answering cimport mark_dirty
from atp.front.connecting cimport greet, on_bytes, on_room
from atp.front.judge_state cimport Judge
from atp.front.judging cimport check_bounds, judge_call
from atp.front.looping cimport end_round, on_due, on_tick, open_loop, run_loop, stop_loop
from atp.front.state cimport Connection, Loop, READ_MOST, Shared, link_connection
from atp.front.uv cimport (
    UV_EOF, uv_buf_t, uv_handle_t, uv_hrtime, uv_run, uv_stream_t, uv_tcp_init, uv_tcp_open,
)

cimport cython

include "words.pxi"
include "judging.pxi"
include "sessions.pxi"
