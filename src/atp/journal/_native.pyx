# The journal's compiled unit: what must not wait for the GIL. It works on the same native engine
# that `_core.Engine` owns, through the engine's own modules. The pieces in native/*.pxi:
#   writer      the tail to the segments: group commit, rotation, what is durable
#   replay      records to changes of an engine
#   scan        where the records of a segment end, and whether something is missing
#   dump        records as lines of JSON
#   snapshot    the whole state to a file and back
#   feed        records to the messages of the change feed
from libc.stdint cimport int64_t, uint8_t

from atp._core cimport Engine
from atp.engine.core_share cimport give_way, serve_promptly
from atp.engine cimport layout as L
from atp.engine.native cimport hash64, load
from atp.journal.time_counts cimport TIME_PLACES
from atp.journal.writer cimport (
    INTERVAL, LONGEST, OFF, SYNC, Durability, NativeWriter, WriterFigures, WriterOptions,
)

import os
from collections import namedtuple

cimport cython

include "native/writer.pxi"
include "native/replay.pxi"
include "native/scan.pxi"
include "native/dump.pxi"
include "native/snapshot.pxi"
include "native/feed.pxi"
