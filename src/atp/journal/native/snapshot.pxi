# The whole state to a file and back. Included by _native.pyx.
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EIO
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from libcpp cimport bool as cbool

from atp.engine.limits cimport SNAPSHOT_ASIDE_BYTES_MAX
from atp.engine.native cimport Key, load
from atp.journal.copier cimport CHUNK_CAPS, CapEntry, Copying, SNAPSHOT_VERSION, list_caps
from atp.journal.copying cimport copy_engine, make_cut
from atp.journal.digesting cimport Digesting, digest_all
from atp.journal.reading cimport (
    Chunk, Cursor, Restoring, threads_for,
)
from atp.journal.restoring cimport restore_all

import os

from atp.journal.cap_message import cap_of
from atp.journal.errors import FutureVersion, SnapshotBusy, SnapshotDamaged, SnapshotFailed
from atp.journal.snapshot_facts import SnapshotLoaded, SnapshotWritten


cdef int check_store_id(bytes store_id) except -1:
    if len(store_id) != 16:
        raise ValueError("a store id has 16 bytes")
    return 0


cdef object taken(Copying* copying, Engine engine, int fd, bytes store_id, int64_t now_ns):
    cdef bint ok
    if not copying.file.open(fd):
        raise MemoryError("no memory to write a snapshot with")
    copying.engine = engine.engine
    copying.budget.most = SNAPSHOT_ASIDE_BYTES_MAX
    memcpy(copying.head.store_id, <const char*>store_id, 16)
    copying.head.create_time = now_ns
    with engine.caps_guard:
        list_caps(copying[0])
        with nogil:
            make_cut(copying)
    with nogil:
        ok = copy_engine(copying)
    if copying.file.error:
        raise OSError(copying.file.error, os.strerror(copying.file.error))
    if not ok:
        raise SnapshotFailed("there is no memory to keep aside what changes meanwhile")
    totals = copying.file.totals
    return SnapshotWritten(
        copying.sequence, totals.end_time, copying.file.at, totals.skus,
        totals.records - totals.receipts, totals.live, totals.receipts, totals.counters,
        totals.caps, copying.held_most, copying.budget.taken)


def write_snapshot(
    Engine engine not None, int fd, *, bytes store_id not None, int64_t now_ns
):
    cdef Copying* copying
    check_store_id(store_id)
    if not engine.engine.snapshot_running.try_take():
        raise SnapshotBusy("a snapshot is being written already")
    try:
        copying = new Copying()
        try:
            return taken(copying, engine, fd, store_id, now_ns)
        finally:
            del copying
    finally:
        engine.engine.snapshot_running.give()


cdef object damage_of(Restoring* restoring):
    cdef bytes reason = restoring.parts.damage.reason
    if not reason:
        return MemoryError("no memory to load a snapshot")
    return SnapshotDamaged(restoring.parts.damage.offset, reason.decode())


cdef object read_cap(Cursor* cursor, uint64_t offset):
    cdef CapEntry entry
    cdef const char* definition = NULL
    if cursor.read_cap(&entry):
        definition = cursor.take(entry.definition_size)
    if definition == NULL:
        raise SnapshotDamaged(offset, "a cap is cut off")
    try:
        cap = cap_of(definition[:entry.definition_size])
    except ValueError as error:
        raise SnapshotDamaged(offset, f"a cap is none: {error}") from error
    return (cap, entry.uid, entry.since_generation, entry.set_sequence, entry.update_time,
            entry.refused, entry.shadow_refused)


cdef list read_caps(Restoring* restoring):
    cdef const Chunk* chunk
    cdef Cursor cursor
    cdef int64_t count = 0
    cdef size_t i
    rows = []
    for i in range(restoring.parts.chunks.size()):
        chunk = &restoring.parts.chunks[i]
        if chunk.kind == CHUNK_CAPS:
            count += chunk.count
            if not restoring.parts.open_chunk(chunk[0], 0, &cursor):
                raise damage_of(restoring)
            while cursor.at < cursor.end:
                rows.append(read_cap(&cursor, chunk.offset))
    if not len(rows) == count == restoring.parts.totals.caps:
        raise SnapshotDamaged(0, "it has not as many caps as it says")
    return rows


cdef object loaded(Restoring* restoring, Engine engine, bytes store_id, path):
    # Its bytes are there.
    cdef bint whole
    with nogil:
        whole = restoring.parts.open()
    if restoring.parts.is_future:
        raise FutureVersion(path, restoring.parts.head.version, SNAPSHOT_VERSION)
    if not whole:
        raise damage_of(restoring)
    if memcmp(restoring.parts.head.store_id, <const char*>store_id, 16) != 0:
        raise SnapshotDamaged(16, "it is of another store")
    rows = read_caps(restoring)
    try:
        engine.restore_caps(rows, generation=restoring.parts.head.caps_generation,
                            next_cap_uid=restoring.parts.head.next_cap_uid)
    except ValueError as error:
        raise SnapshotDamaged(0, f"its caps are none: {error}") from error
    restoring.list_rules()
    with nogil:
        whole = restore_all(restoring)
    if not whole:
        raise damage_of(restoring)
    head = restoring.parts.head
    totals = restoring.parts.totals
    return SnapshotLoaded(
        head.sequence, totals.end_time, head.create_time, totals.skus,
        totals.records - totals.receipts, totals.live, totals.receipts, totals.counters,
        totals.caps)


def load_snapshot(Engine engine not None, source, *, bytes store_id not None, path):
    cdef Restoring* restoring
    cdef Py_buffer view
    cdef bint buffered = not isinstance(source, int)
    check_store_id(store_id)
    if load(&engine.engine.shared.sequence) or engine.engine.shared.skus:
        raise ValueError("a snapshot is loaded into a fresh engine only")
    restoring = new Restoring()
    restoring.engine = engine.engine
    try:
        if buffered:
            PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
            size = view.len
            restoring.parts.bytes.open(<const char*>view.buf, size)
        else:
            size = os.fstat(source).st_size
            restoring.parts.bytes.open_file(source, size)
        restoring.threads = threads_for(size)
        return loaded(restoring, engine, store_id, path)
    finally:
        del restoring
        if buffered:
            PyBuffer_Release(&view)


def state_digest(Engine engine not None, now_ns=None):
    cdef Digesting digesting
    cdef int64_t now = load(&engine.engine.time) if now_ns is None else now_ns
    cdef Key sum
    cdef bint ok
    digesting.engine = engine.engine
    digesting.now = now
    with nogil:
        ok = digest_all(&digesting, &sum)
    if not ok:
        raise MemoryError("no memory for a digest")
    return f"{sum.high:016x}{sum.low:016x}"
