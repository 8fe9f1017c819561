# Messages to the judge, one after another, and what must be true after each: a refused one has
# changed nothing, an answer is well-formed and tells of exactly the changes there were.
cdef enum:
    STEP = 64  # inputs between two moves of the clock


class Fault(AssertionError):
    """What was wrong after an input, with the input."""


cdef Key digest_now(NativeEngine* engine, int64_t now, Walk* walk) noexcept nogil:
    # Nobody else is at the engine.
    open_walk(engine, walk)
    return digest(engine, now, walk)


@cython.final
cdef class Judging:
    """A judge on an engine of the caller's, fed by one round's inputs."""

    cdef Engine engine
    cdef Judge* judge
    cdef Round* round
    cdef Noted noted
    cdef Walk walk
    cdef Answer answer
    cdef readonly int64_t done
    cdef readonly int64_t granted
    cdef int64_t digest_every

    def __cinit__(self, Engine engine not None, *, uint64_t seed, bytes note_path not None,
                  int64_t now_ns, int64_t digest_every):
        check_bounds()
        self.engine = engine
        self.judge = new Judge(engine.engine, 60_000_000_000)
        self.round = new Round(KIND_JUDGE, seed)
        self.round.world.now = now_ns
        self.digest_every = digest_every
        if not self.noted.open(note_path):
            raise OSError(f"cannot write {note_path.decode()}")

    def __dealloc__(self):
        del self.judge
        del self.round

    def run(self, int64_t count):
        """Feeds `count` inputs; raises Fault."""
        cdef const char* fault
        cdef int64_t step
        while count > 0:
            step = min(count, STEP)
            self.round.world.now += <int64_t>self.round.dice.below(3_000_000_000)
            self.engine.sweep(now_ns=self.round.world.now)
            with nogil:
                fault = self.steps(step)
            if fault != NULL:
                raise Fault(f"{fault.decode()}; {self.told_input()}")
            count -= step

    def leak(self):
        """Bytes that each run over all that was kept leaves allocated, as leaks.h has it."""
        cdef LeakHunt hunt
        cdef size_t i
        with nogil:
            while hunt.goes_on(<int64_t>bytes_allocated()):
                for i in range(self.round.kept.size()):
                    self.judge_kept(i)
        return hunt.each_turn()

    @property
    def now_ns(self):
        return self.round.world.now

    @property
    def kept(self):
        return self.round.kept.size()

    @property
    def ways(self):
        return count_ways()

    cdef str told_input(self):
        return (f"input {self.done}, method {self.round.method}, "
                f"{self.round.input.size()} bytes: {(<bytes>self.round.input)[:2000].hex()}; "
                f"code {self.answer.code}, {(<bytes>self.answer.text)[:200]!r}, "
                f"answer {(<bytes>self.answer.message)[:500].hex()}, "
                f"details {(<bytes>self.answer.details)[:500].hex()}")

    cdef void judge_kept(self, size_t i) noexcept nogil:
        cdef Kept* kept = &self.round.kept[i]
        judge_call(self.judge, kept.method, kept.input.data(), kept.input.size(),
                   self.round.world.now, &self.answer)

    cdef const char* steps(self, int64_t count) noexcept nogil:
        cdef NativeEngine* engine = self.engine.engine
        cdef const char* fault
        cdef Key before, after
        cdef int64_t sequence, changes
        cdef bint digested
        for _ in range(count):
            self.round.draw()
            self.noted.note(self.done, self.round.method, string_view(self.round.input))
            digested = self.done % self.digest_every == 0
            if digested:
                before = digest_now(engine, self.round.world.now, &self.walk)
            sequence = load(&engine.shared.sequence)
            begin_ways()
            judge_call(self.judge, self.round.method, self.round.input.data(),
                       self.round.input.size(), self.round.world.now, &self.answer)
            if end_ways():
                self.round.keep()
            changes = load(&engine.shared.sequence) - sequence
            if digested and changes == 0:
                after = digest_now(engine, self.round.world.now, &self.walk)
                if after.high != before.high or after.low != before.low:
                    return b"the digest is another, and no change was recorded"
            fault = self.fault_after(changes, sequence + changes)
            if fault != NULL:
                return fault
            self.granted += changes
            self.done += 1
        return NULL

    cdef const char* fault_after(self, int64_t changes, int64_t sequence) noexcept nogil:
        cdef const char* fault
        cdef Told told
        cdef size_t i
        if self.answer.code:
            if changes:
                return b"a call that was refused has changed something"
            if not self.answer.message.empty():
                return b"an error has a message"
            return status_fault(self.answer.code, self.answer.text, self.answer.details)
        fault = answer_fault(self.round.method, self.answer.message)
        if fault != NULL:
            return fault
        told = told_by(self.round.method, self.answer.message)
        if told.changes != changes:
            return b"an answer tells of another number of changes than there were"
        if changes and told.sequence != sequence:
            return b"the last change that is told is not the last one"
        if self.answer.reveals < told.sequence:
            return b"an answer tells of a change that it does not wait for"
        for i in range(told.reservations.size()):
            self.round.world.remember(told.reservations[i], self.round.dice)
        return NULL


@cython.final
cdef class Drawing:
    """One round's inputs, for whoever judges them in Python."""

    cdef Round* round

    def __cinit__(self, *, uint64_t seed, int64_t now_ns, int kind=KIND_JUDGE):
        self.round = new Round(<Kind>kind, seed)
        self.round.world.now = now_ns

    def __dealloc__(self):
        del self.round

    def draw(self):
        """(method, bytes)."""
        self.round.draw()
        return self.round.method, <bytes>self.round.input

    def keep(self):
        """Later inputs may be a step away from the one that was drawn last."""
        self.round.keep()

    def remember(self, str reservation_id not None):
        """Later inputs may name this reservation."""
        self.round.world.remember(reservation_id.encode(), self.round.dice)
