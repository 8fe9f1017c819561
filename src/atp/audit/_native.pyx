# The audit's native half as Python sees it: files in, figures and findings out, each finding with
# the bytes of the commands and changes that show it. Owns no rule: the headers do.
from libc.stdint cimport int32_t, int64_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector


cdef extern from "atp/audit/audit.h" namespace "atp::audit" nogil:
    cppclass Fault:
        pass

    cppclass Finding:
        Fault fault
        string text
        vector[int64_t] changes
        vector[uint32_t] commands

    cppclass Findings:
        const vector[Finding]& kept()
        int64_t count(int)
        int64_t checks(int)

    cppclass Method:
        pass

    cppclass Fate:
        pass

    struct Command:
        int64_t sent
        int64_t ended
        int64_t sequence
        const char* request
        const char* response
        uint32_t request_size
        uint32_t response_size
        uint32_t call
        int file
        Method method
        Fate fate
        uint32_t in_batch
        int32_t status

    cppclass Commands "atp::audit::Table<atp::audit::Command>":
        const Command& operator[](size_t)

    cppclass HistoryFile:
        string clock_name
        string recorder
        int64_t torn_bytes
        cbool is_finished

    cppclass History:
        Commands commands
        vector[HistoryFile] files

    cppclass Journal:
        string_view event_bytes(int64_t)
        cbool has(int64_t)

    struct Figures:
        int64_t commands, calls, answered, unsent, changes, base_changes, expiries, unanswered
        int64_t unanswered_done, skus, holds, counts, unjudged, stock_refusals
        int64_t overtaken_after_return, unexplained, after_changes
        int64_t start, before_start
        int64_t memory_bytes, first, last, left_bytes

    cppclass Audit:
        Audit(int64_t, int64_t) except +
        void read_history(const string&) except +
        void read_segment(const string&, const string&, int64_t, cbool) except +
        void make_room(size_t) except +
        void read_snapshot(const string&, const string&, int64_t) except +
        void replay() except +
        void judge() except +
        const History& history()
        const Journal& journal()
        const Findings& findings()
        Figures figures()


cdef class NativeAudit:
    """One audit. Its methods are called in their order, each file's once; every one raises
    RuntimeError with a line for people when the input can't be judged.
    """

    cdef Audit* _audit

    def __cinit__(self, int64_t remember_ns, int64_t ended_max):
        self._audit = new Audit(remember_ns, ended_max)

    def __dealloc__(self):
        del self._audit

    def read_history(self, bytes path not None):
        """Read one file of the history."""
        cdef string name = path
        with nogil:
            self._audit.read_history(name)

    def read_segment(self, bytes path not None, bytes store not None, int64_t sequence,
                     bint is_last):
        """Read one segment; `sequence` is that of its name, `store` the 16 bytes of STORE."""
        cdef string name = path
        cdef string identity = store
        with nogil:
            self._audit.read_segment(name, identity, sequence, is_last)

    def make_room(self, size_t last_bytes):
        """Take memory for what has been read of the journal, and for a last segment of so many
        bytes. This and reading segments may be done beside reading the history.
        """
        with nogil:
            self._audit.make_room(last_bytes)

    def read_snapshot(self, bytes path not None, bytes store not None, int64_t sequence):
        """Start from that snapshot and not from change 1; `sequence` is that of its name. One that
        is damaged changes nothing.
        """
        cdef string name = path
        cdef string identity = store
        with nogil:
            self._audit.read_snapshot(name, identity, sequence)

    def replay(self):
        """Replay the journal and put the acknowledged commands beside it."""
        with nogil:
            self._audit.replay()

    def judge(self):
        """Put every answer in its place."""
        with nogil:
            self._audit.judge()

    def figures(self):
        """What was read and done, by name."""
        return self._audit.figures()

    def files(self):
        """(clock name, recorder, torn bytes, is finished) of each file of the history."""
        cdef const HistoryFile* file
        cdef size_t i
        told = []
        for i in range(self._audit.history().files.size()):
            file = &self._audit.history().files[i]
            told.append((file.clock_name.decode("utf-8", "replace"),
                         file.recorder.decode("utf-8", "replace"),
                         file.torn_bytes, file.is_finished))
        return told

    def counts(self, int faults, int laws):
        """(findings by number of their name, checks by number of their law)."""
        return (
            [self._audit.findings().count(i) for i in range(faults)],
            [self._audit.findings().checks(i) for i in range(laws)],
        )

    def findings(self):
        """(fault, text, sequences, commands) of each finding that was kept, as they were found."""
        cdef const Finding* finding
        cdef size_t i
        told = []
        for i in range(self._audit.findings().kept().size()):
            finding = &self._audit.findings().kept()[i]
            told.append((<int>finding.fault, finding.text.decode("utf-8", "replace"),
                         finding.changes, finding.commands))
        return told

    def event(self, int64_t sequence):
        """The bytes of a change's event; None when the journal does not have it."""
        cdef string_view view
        if not self._audit.journal().has(sequence):
            return None
        view = self._audit.journal().event_bytes(sequence)
        return view.data()[:view.size()]

    def command(self, uint32_t number):
        """(file, call, place in its batch or 0, method, sent, ended or None, status, request,
        response or None) of a command.
        """
        cdef const Command* command = &self._audit.history().commands[number]
        is_ended = command.ended != 0x7fffffffffffffff
        return (
            command.file, command.call, command.in_batch, <int>command.method, command.sent,
            command.ended if is_ended else None, command.status,
            command.request[:command.request_size],
            command.response[:command.response_size] if is_ended else None,
        )
