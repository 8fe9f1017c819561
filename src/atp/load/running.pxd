# How a load runs: what is due goes to a connection with room, what is owed first. In a closed loop
# a fresh call follows its predecessor's answer; in an open one it is due by a schedule, and its
# time counts from then, however long it had to wait here for room. Reads and sends nothing itself.
from libc.errno cimport ENOSYS, errno
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset
from libcpp.vector cimport vector
from posix.time cimport CLOCK_MONOTONIC, itimerspec, nanosleep, timespec

from atp.load.native cimport (
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLOUT, NEVER_DUE, TFD_CLOEXEC,
    Connection, EpollEvent, Schedule, Traffic, epoll_ctl, epoll_pwait2, epoll_wait, now_ns,
    timerfd_create, timerfd_settime,
)

cdef enum:
    EVENTS_MAX = 256
    ALONE_NS = 1_000_000  # what is owed waits no longer for a batch to go with
    NAP_NS = 100_000  # and the system adds some 50,000
    DENSE_NS = 100_000  # that far behind, or this long until the next
    TIMER = 0xffffffff  # among the numbers of connections


cdef struct Run:
    int epoll
    int timer  # -1 where the system can wait for less than a millisecond by itself
    Traffic* traffic
    vector[Connection*] connections
    Schedule schedule
    int64_t patience_ns  # how long what is due waits for room on a connection; 0: for ever
    size_t next_connection  # to be asked first, so that all get their share
    bint is_broken  # a connection has ended


cdef inline void watch(Run* run, size_t index, int how) noexcept nogil:
    cdef EpollEvent event
    cdef Connection* connection = run.connections[index]
    memset(&event, 0, sizeof(event))
    event.events = <uint32_t>(EPOLLIN | EPOLLOUT if connection.is_blocked() else EPOLLIN)
    event.data.u32 = <uint32_t>index
    epoll_ctl(run.epoll, how, connection.socket(), &event)


cdef inline void send(Run* run, size_t index) noexcept nogil:
    # What waits on a connection, and word to be told when more fits, if not all did.
    cdef Connection* connection = run.connections[index]
    cdef bint was_blocked = connection.is_blocked()
    if connection.has_output():
        connection.flush()
    if connection.drop(now_ns()):
        watch(run, index, EPOLL_CTL_DEL)
        run.is_broken = True
    elif connection.is_blocked() != was_blocked:
        watch(run, index, EPOLL_CTL_MOD)


cdef inline bint owed_goes(Run* run, int64_t now) noexcept nogil:
    # Whether what is owed goes by itself; with batches it may go with fresh commands.
    cdef size_t batch = run.traffic.pattern.batch
    if not run.traffic.errands.is_owed():
        return False
    return (batch == 0 or run.traffic.errands.owed() >= batch
            or run.schedule.next_due(now) > now + ALONE_NS)


cdef inline void follow_up(Run* run, Connection* connection, int64_t now) noexcept nogil:
    # A closed loop: every free place gets its next call at once.
    while connection.has_room():
        if owed_goes(run, now):
            connection.ask_owed(now)
        elif run.schedule.next_due(now) != NEVER_DUE:
            connection.ask(now, now)
            run.schedule.take()
        else:
            return


cdef inline Connection* next_with_room(Run* run) noexcept nogil:
    # In turn; NULL when none has any.
    cdef size_t count = run.connections.size()
    cdef Connection* connection
    for _ in range(count):
        connection = run.connections[run.next_connection]
        run.next_connection = (run.next_connection + 1) % count
        if connection.has_room():
            return connection
    return NULL


cdef inline bint give_out(Run* run, int64_t now) noexcept nogil:
    # What is owed, and in an open loop what is due, goes to connections with room. False when
    # something is left that none has room for.
    cdef Connection* connection
    cdef int64_t given_up = 0
    cdef int64_t due
    cdef bint has_room = True
    while owed_goes(run, now):
        connection = next_with_room(run)
        if connection == NULL:
            has_room = False
            break
        connection.ask_owed(now)
    while run.schedule.is_open():
        due = run.schedule.next_due(now)
        if due > now:
            break
        if run.patience_ns > 0 and now - due > run.patience_ns:
            given_up += 1
        else:
            connection = next_with_room(run) if has_room else NULL
            if connection == NULL:
                has_room = False
                break
            connection.ask(due, now)
        run.schedule.take()
    if given_up > 0:
        run.traffic.tally.expired += given_up
        if run.traffic.history.get() != NULL:
            run.traffic.history.get().add_unsent(given_up, now)
    return has_room


cdef inline int wait_for(Run* run, EpollEvent* events, int64_t wait_ns) noexcept nogil:
    # How many events there are, after so long at most. Linux before 5.11, and sandboxes that know
    # no newer call, wait by a timer's file: one call more each time.
    cdef timespec timeout
    cdef itimerspec once
    cdef EpollEvent event
    cdef int found
    timeout.tv_sec, timeout.tv_nsec = wait_ns // 1_000_000_000, wait_ns % 1_000_000_000
    if run.timer < 0:
        found = epoll_pwait2(run.epoll, events, EVENTS_MAX, &timeout, NULL)
        if found >= 0 or errno != ENOSYS:
            return found
        run.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)
        memset(&event, 0, sizeof(event))
        event.events, event.data.u32 = EPOLLIN, TIMER
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.timer, &event)
    if run.timer < 0 or wait_ns == 0:
        return epoll_wait(run.epoll, events, EVENTS_MAX, <int>(wait_ns // 1_000_000))
    memset(&once, 0, sizeof(once))
    once.it_value = timeout
    timerfd_settime(run.timer, 0, &once, NULL)
    return epoll_wait(run.epoll, events, EVENTS_MAX, -1)


cdef inline int64_t doze(Run* run, int64_t wait_ns) noexcept nogil:
    # Where calls are due more often than that, what is due and what was answered in the meantime
    # goes together: being woken for each call and each answer would keep a core busy that the
    # server under test may have to share. Who is further behind goes on at once. Returns what is
    # still to wait.
    cdef timespec nap
    if not run.schedule.is_open() or not -<int64_t>DENSE_NS < wait_ns < DENSE_NS:
        return wait_ns
    nap.tv_sec, nap.tv_nsec = 0, NAP_NS
    nanosleep(&nap, NULL)
    return 0


cdef inline void take_events(Run* run, int64_t wait_ns) noexcept nogil:
    # One round of reading; in a closed loop with what follows from it.
    cdef EpollEvent events[EVENTS_MAX]
    cdef uint32_t index
    cdef Connection* connection
    for place in range(wait_for(run, events, max(wait_ns, 0))):
        index = events[place].data.u32
        if index == TIMER:
            continue
        connection = run.connections[index]
        if not connection.has_ended():
            if events[place].events & ~<uint32_t>EPOLLOUT:
                connection.read()
            if not run.schedule.is_open():
                follow_up(run, connection, now_ns())
        send(run, index)


cdef inline size_t open_calls(Run* run) noexcept nogil:
    # Calls under way on connections that may still answer them.
    cdef size_t total = 0
    for index in range(run.connections.size()):
        if not run.connections[index].has_ended():
            total += run.connections[index].open()
    return total


cdef inline bint run_until(Run* run, int64_t until) noexcept nogil:
    # Runs until a moment, or until a connection ends; True when everything was asked, and answered
    # as far as it will be.
    cdef int64_t now = now_ns()
    cdef int64_t due
    cdef bint has_room
    while now < until:
        run.traffic.errands.move_due(now)
        has_room = True
        if run.schedule.is_open() or run.traffic.errands.is_owed():
            has_room = give_out(run, now)
            for index in range(run.connections.size()):
                send(run, index)
        if run.is_broken:
            return False
        due = run.schedule.next_due(now)
        if due == NEVER_DUE and run.traffic.errands.empty() and open_calls(run) == 0:
            return True
        if not run.schedule.is_open() or not has_room:
            due = until
        due = min(due, until, run.traffic.errands.next_due(until))
        take_events(run, doze(run, due - now))
        now = now_ns()
    return False
