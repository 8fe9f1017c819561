# How a load runs: when the next call is due, and on which connection. In a closed loop a call
# follows its predecessor's answer; in an open one it is due by a schedule, and its time counts from
# then, however long it had to wait here for room. Reads and sends nothing itself.
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset
from libcpp.vector cimport vector
from posix.time cimport timespec

from atp.load.native cimport (
    EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, Connection, EpollEvent, Traffic, epoll_ctl,
    epoll_pwait2, now_ns,
)

cdef enum:
    EVENTS_MAX = 256
    NEVER_DUE = 0x7FFFFFFFFFFFFFFF


cdef struct Schedule:
    int64_t calls_max  # calls begun at most, owed commits apart
    int64_t begin_ns  # the first call is due
    int64_t end_ns  # and from here on none is
    double gap_ns  # between two calls; 0: a closed loop
    int64_t deadline_ns  # after it is due; 0: none
    int64_t patience_ns  # how long it waits for room on a connection; 0: for ever
    int64_t begun  # calls begun or given up
    size_t next_connection  # to be asked first, so that all get their share


cdef inline int64_t next_due(const Schedule* schedule, int64_t now) noexcept nogil:
    # When the next call is due; NEVER_DUE after the last one.
    cdef int64_t due = now
    if schedule.gap_ns > 0:
        due = schedule.begin_ns + <int64_t>(schedule.gap_ns * <double>schedule.begun)
    if schedule.begun >= schedule.calls_max or due >= schedule.end_ns:
        return NEVER_DUE
    return due


cdef inline void watch(int epoll, Connection* connection, size_t index, int how) noexcept nogil:
    cdef EpollEvent event
    memset(&event, 0, sizeof(event))
    event.events = <uint32_t>(EPOLLIN | EPOLLOUT if connection.is_blocked() else EPOLLIN)
    event.data.u32 = <uint32_t>index
    epoll_ctl(epoll, how, connection.socket(), &event)


cdef inline void send(int epoll, Connection* connection, size_t index) noexcept nogil:
    # What waits on a connection, and word to be told when more fits, if not all did.
    cdef bint was_blocked = connection.is_blocked()
    if connection.has_output():
        connection.flush()
    if connection.is_blocked() != was_blocked:
        watch(epoll, connection, index, EPOLL_CTL_MOD)


cdef inline void follow_up(Connection* connection, Schedule* schedule, int64_t now) noexcept nogil:
    # A closed loop: every free place gets its next call at once.
    while connection.has_room():
        if connection.owes():
            connection.ask_owed(now)
        elif next_due(schedule, now) != NEVER_DUE:
            connection.ask(now, now)
            schedule.begun += 1
        else:
            return


cdef inline bint give_out(
    vector[Connection*]& connections, Schedule* schedule, Traffic* traffic, int64_t now
) noexcept nogil:
    # An open loop: what is due goes to connections with room, in turn. False when none has any.
    cdef size_t tried
    cdef Connection* connection
    cdef bint has_room = True
    cdef int64_t given_up = 0
    cdef int64_t due = next_due(schedule, now)
    for tried in range(connections.size()):
        connection = connections[tried]
        while connection.owes() and connection.has_room():
            connection.ask_owed(now)
    tried = 0
    while due <= now:
        if schedule.patience_ns > 0 and now - due > schedule.patience_ns:
            traffic.tally.expired += 1
            schedule.begun += 1
            given_up += 1
        else:
            if tried == connections.size():
                has_room = False
                break
            connection = connections[schedule.next_connection]
            schedule.next_connection = (schedule.next_connection + 1) % connections.size()
            tried += 1
            if not connection.has_room():
                continue
            connection.ask(due, now)
            schedule.begun += 1
            tried = 0
        due = next_due(schedule, now)
    if given_up > 0 and traffic.history.get() != NULL:
        traffic.history.get().add_unsent(given_up, now)
    return has_room


cdef inline void wait(int epoll, EpollEvent* events, int* count, int64_t wait_ns) noexcept nogil:
    cdef timespec timeout
    timeout.tv_sec = max(wait_ns, 0) // 1_000_000_000
    timeout.tv_nsec = max(wait_ns, 0) % 1_000_000_000
    count[0] = epoll_pwait2(epoll, events, EVENTS_MAX, &timeout, NULL)


cdef inline void take_events(
    int epoll, vector[Connection*]& connections, Schedule* schedule, int64_t wait_ns
) noexcept nogil:
    # One round of reading; in a closed loop with what follows from it.
    cdef EpollEvent events[EVENTS_MAX]
    cdef int count
    cdef size_t index
    cdef Connection* connection
    wait(epoll, events, &count, wait_ns)
    for place in range(count):
        index = events[place].data.u32
        connection = connections[index]
        if connection.has_ended():
            continue
        if events[place].events & ~<uint32_t>EPOLLOUT:
            connection.read()
        if schedule.gap_ns == 0:
            follow_up(connection, schedule, now_ns())
        send(epoll, connection, index)


cdef inline size_t open_calls(vector[Connection*]& connections) noexcept nogil:
    # Calls under way on connections that may still answer them.
    cdef size_t total = 0
    for index in range(connections.size()):
        if not connections[index].has_ended():
            total += connections[index].open()
    return total


cdef inline bint run_until(
    int epoll, vector[Connection*]& connections, Schedule* schedule, Traffic* traffic, int64_t until
) noexcept nogil:
    # Runs until a moment; True when everything was asked, and answered as far as it will be.
    cdef int64_t now = now_ns()
    cdef int64_t due
    cdef bint has_room = True
    while now < until:
        if schedule.gap_ns > 0:
            has_room = give_out(connections, schedule, traffic, now)
            for index in range(connections.size()):
                send(epoll, connections[index], index)
        due = next_due(schedule, now)
        if due == NEVER_DUE and open_calls(connections) == 0:
            return True
        if schedule.gap_ns == 0 or not has_room or due > until:
            due = until
        take_events(epoll, connections, schedule, due - now)
        now = now_ns()
    return False
