# The journal's compiled unit: what must not wait for the GIL. It works on the same native engine
# that `_core.Engine` owns, through the engine's own modules. The pieces in native/*.pxi:
#   writer      the tail to the segments: group commit, rotation, what is durable
#   replay      records to changes of an engine
#   snapshot    the whole state to a file and back
#   feed        records to the messages of the change feed
from atp._core cimport Engine
from atp.engine cimport layout as L

include "native/writer.pxi"
include "native/replay.pxi"
include "native/snapshot.pxi"
include "native/feed.pxi"
