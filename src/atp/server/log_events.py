"""Every event that the server logs: its name, its level, what happened, and what to do.

Owns the words. Who logs one names it and brings its fields; logs.py writes the line. Names are for
good: alerts and searches rest on them. No field of an event above debug is about a shopper: no
customer, address, request id or reservation. tools/generate_events_doc.py writes docs/logs.md from
here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import NamedTuple

NOTHING = "nothing to do"


class LogEvent(NamedTuple):
    """One kind of line. `what` and `action` are format strings over the fields."""

    name: str
    level: int
    what: str
    action: str = NOTHING

    def fields(self) -> frozenset[str]:
        """The names of the fields that a line of it must bring."""
        parts = [*Formatter().parse(self.what), *Formatter().parse(self.action)]
        return frozenset(name for _, name, _, _ in parts if name)


def _info(name: str, what: str, action: str = NOTHING) -> LogEvent:
    return LogEvent(name, logging.INFO, what, action)


def _warning(name: str, what: str, action: str = NOTHING) -> LogEvent:
    return LogEvent(name, logging.WARNING, what, action)


def _error(name: str, what: str, action: str) -> LogEvent:
    return LogEvent(name, logging.ERROR, what, action)


# The start.
DATA_DIRECTORY = _info("data_directory", "data directory {directory}")
RECOVERED = _info(
    "recovered",
    "recovered to change {sequence} in {seconds:.2f} s: snapshot {snapshot}, {replayed} changes"
    " replayed, {expired} holds expired meanwhile, digest {digest}",
)
NEW_STORE = _info("new_store", "a new store: nothing to recover")
TORN_TAIL_CUT = _warning(
    "torn_tail_cut",
    "the journal's end was torn by a crash: {bytes} bytes were cut, of changes that nobody was told"
    " of; copy: {copy}",
    "find out why the last server did not stop in order; the copy may be deleted",
)
SNAPSHOT_PASSED_OVER = _warning(
    "snapshot_passed_over",
    "a damaged snapshot was passed over: {snapshot}; nothing was lost",
    "suspect the disk; to clear the file away, with the server stopped: atp journal repair",
)
DAMAGE_PASSED = _warning(
    "damage_passed",
    "damage in the journal took nothing away, because a snapshot has what it hit: {damage}",
    "suspect the disk; to clear it away, with the server stopped: atp journal repair",
)
CLOCK_MARK_UNREADABLE = _warning(
    "clock_mark_unreadable",
    "{path} tells no time, the system's clock is taken: {reason}",
    "see that the system's clock is right; the file is written anew",
)
TIME_GOES_ON = _warning(
    "time_goes_on",
    "the system's clock is {ahead:.3f} s ahead of the server's, which follows it slowly, {pace}:"
    " {why}",
    "see that the system's clock is right and kept by NTP; holds end by the server's",
)
READY = _info(
    "ready",
    "calls are answered: data plane {data_plane}, control plane {control_plane}, metrics {metrics}"
    " (process {pid})",
)
START_REFUSED = _error(
    "start_refused", "the server can't start: {reason}", "change it, start again"
)

# The stop.
STOPPING = _info("stopping", "stopping; calls under way have {seconds:g} s to finish")
STOP_HURRIED = _warning("stop_hurried", "told to stop again: not waiting for {what}")
CALLS_CUT_OFF = _warning(
    "calls_cut_off",
    "{calls} calls were cut off",
    "callers ask again with the same request ids; raise server.drain if this was no hurry",
)
STOPPED_WITHOUT_SNAPSHOT = _warning(
    "stopped_without_snapshot",
    "stopped without a snapshot: {reason}",
    "nothing is lost, the next start takes longer; see to what was in the way",
)
STOPPED = _info("stopped", "stopped in order; all that was answered is in {directory}")

# The journal and its disk.
JOURNAL_FAILED = LogEvent(
    "journal_failed",
    logging.CRITICAL,
    "the journal failed: {reason}; this process ends at once with status {status}, and another"
    " start goes on from what is on disk, all that was answered included",
    "see to the disk (dmesg, SMART), start again",
)
HOLDS_REFUSED = _error(
    "holds_refused",
    "the disk has no room for another segment: new holds are refused, {free} MiB are free",
    "free room on the disk of {directory}; it goes on by itself",
)
CHANGES_REFUSED = _error(
    "changes_refused",
    "the disk is full: every change is refused, {free} MiB are free",
    "free room on the disk of {directory}; it goes on by itself",
)
JOURNAL_BEHIND = _error(
    "journal_behind",
    "{waiting} MiB of changes wait to be written, more than journal.backlog_bytes_max allows:"
    " changes are refused",
    "find out what slows the disk down (iostat -x 1), or offer less; it goes on by itself",
)
CHANGES_TAKEN_AGAIN = _info(
    "changes_taken_again", "the journal takes every change again, after {seconds} s"
)
DISK_LOW = _warning(
    "disk_low",
    "{free} MiB are free on the disk of {directory}, not much more than the next segments need",
    "free room before new holds are refused: older copies, journal.keep, another disk",
)
DISK_STANDS_STILL = _error(
    "disk_stands_still",
    "{waiting} changes wait for the disk, the oldest for {lag} s: no answer leaves",
    "see to the disk (dmesg, iostat -x 1); nothing that was answered is in doubt",
)
DISK_MOVES_AGAIN = _info("disk_moves_again", "changes become durable again, after {seconds} s")
SYNC_SLOW = _warning(
    "sync_slow",
    "syncs are slow: {slow} of the last {syncs} took longer than {limit:g} ms, the longest"
    " {most:.0f} ms so far, and answers wait for them",
    "find out who else writes to that disk (iostat -x 1); log.slow_sync says what is slow",
)
SYNC_FAST_AGAIN = _info("sync_fast_again", "no more slow syncs, after {seconds} s")
SNAPSHOT_TAKEN = _info(
    "snapshot_taken",
    "snapshot {snapshot}: {size} MiB in {seconds:.1f} s, no call waited longer than {stall:.2f} ms",
)
SNAPSHOT_FAILED = _error(
    "snapshot_failed",
    "no snapshot could be written: {reason}",
    "see to it: nothing is lost, but the journal grows and the next start takes longer",
)
UPKEEP_FAILED = _error(
    "upkeep_failed",
    "the data directory can't be looked after: {reason}",
    "see to the disk: room, rights, errors; it is tried again every second",
)

# Calls and connections.
OPEN_FILES_FEW = _warning(
    "open_files_few",
    "this process may have {files} files open: the data plane takes {most} connections, fewer than"
    " server.connections_max",
    "let it have {wanted} (LimitNOFILE in systemd, ulimit -n), or lower server.connections_max",
)
CONNECTIONS_REFUSED = _warning(
    "connections_refused",
    "{refused} connections were refused: server.connections_max are open",
    "find who opens so many (ss -tn), or raise server.connections_max and restart",
)
CALLS_REFUSED = _warning(
    "calls_refused",
    "{refused} calls were refused as OVERLOADED: server.calls_max are open",
    "see what is slow in atp top; if it is the callers that are too many, raise server.calls_max"
    " and restart",
)
BUFFERS_FULL = _warning(
    "buffers_full",
    "{refused} calls were refused as OVERLOADED: messages fill data_plane.buffer_bytes_max",
    "find the clients that don't read their answers, or raise data_plane.buffer_bytes_max and"
    " restart",
)
ANSWERS_LATE = _warning(
    "answers_late",
    "{refused} calls were refused as OVERLOADED: they would have waited longer than"
    " data_plane.wait_max or their own deadline",
    "offer less, or give the server more cores (data_plane.threads); callers that retry must back"
    " off",
)
CONTROL_PLANE_BUSY = _warning(
    "control_plane_busy",
    "{refused} calls of the control plane were refused as OVERLOADED: server.calls_max are open",
    "find the tool that asks so much; checkouts are not affected",
)
OVERLOAD_OVER = _info("overload_over", "nothing was refused by {limit} for {seconds} s")
CONNECTIONS_ENDED = _warning(
    "connections_ended",
    "connections were ended because of what they did, since the last such line: {reasons}",
    "docs/attacks.md has each reason; block the source if it is no client of yours",
)
CALL_FAILED = _error(
    "call_failed",
    "{method} failed: {error} at {place}; its caller was told SERVER_FAULT, nothing changed",
    "a fault of atp's own: report it with this line; log.level=debug adds the details",
)
SCRAPE_FAILED = _error(
    "scrape_failed",
    "a scrape of metrics failed: {error} at {place}; calls are served as before",
    "a fault of atp's own: report it with this line",
)
CALL_FAILED_DETAILS = LogEvent(
    "call_failed_details", logging.DEBUG, "{method} failed: {details}", "for the report"
)
WATCHER_TOO_SLOW = _warning(
    "watcher_too_slow",
    "a watch was ended because its reader took nothing for {seconds:g} s; it can resume from"
    " {sequence}",
    "see to the program that watches: it must keep up, or resume from there",
)
WATCHERS_TOO_MANY = _warning(
    "watchers_too_many",
    "a watch was refused: watch.max ({watch_max}) are open",
    "end the ones that nobody needs, or raise watch.max and restart",
)
BOUND_NEAR = _warning(
    "bound_near",
    "{bound} is used to {percent} %: {used} of {value}",
    "raise the bound before it is reached: over it commands are refused with that name",
)
BOUND_FAR = _info("bound_far", "{bound} is used to {percent} % again: {used} of {value}")

# Changes by operators, the clock, settings, certificates.
CAP_SET = _info("cap_set", "cap {cap} is set: {subject}, {limit}, {mode}; holds from {sequence}")
CAP_REMOVED = _info("cap_removed", "cap {cap} is removed, from {sequence} on")
CLOCK_APART = _warning(
    "clock_apart",
    "the system's clock is {ahead:.3f} s ahead of the server's, which follows it slowly, by 0.5 ms"
    " a second",
    "find out who set the clock, and have NTP keep it; no hold ends early for it",
)
CLOCK_TOGETHER = _info(
    "clock_together",
    "the system's clock is {ahead:.3f} s ahead of the server's, which has caught up",
)
SETTINGS_RELOADED = _info("settings_reloaded", "settings reloaded; changed: {changed}")
SETTINGS_REFUSED = _error(
    "settings_refused",
    "settings not reloaded: {reason}",
    "mend it and send SIGHUP again; the settings in force stay",
)
SETTINGS_WAIT = _warning(
    "settings_wait",
    "these change with the next start only: {names}",
    "restart when it suits, see docs/operations.md",
)
CERTIFICATE_RENEWED = _info(
    "certificate_renewed",
    "{plane}: changed files of TLS are in use, the certificate is for {names} until {until}",
)
CERTIFICATE_REFUSED = _error(
    "certificate_refused",
    "{reason}; the certificate in use stays",
    "put files that fit in place: they are looked at again by themselves, at once after SIGHUP",
)
CERTIFICATE_ENDS_SOON = _warning(
    "certificate_ends_soon",
    "{plane}: the certificate for {names} runs out at {until}",
    "put a new one into its files; it is taken over by itself",
)
CERTIFICATE_ENDED = _error(
    "certificate_ended",
    "{plane}: the certificate for {names} ran out at {until}; clients refuse it",
    "put a new one into its files now; it is taken over by itself",
)
CERTIFICATE_NOT_YET = _error(
    "certificate_not_yet",
    "{plane}: the certificate for {names} is not valid before {since}; clients refuse it",
    "see that the clock is right, or put a certificate that is valid into its files",
)
TLS_CLIENTS_REFUSED = _warning(
    "tls_clients_refused",
    "{plane}: TLS connections refused since the last look: {refused}, the latest: {reason}",
    "see which client has the wrong certificate or speaks no TLS; log.level=debug has its address",
)
TLS_CLIENT = LogEvent(
    "tls_client", logging.DEBUG, "{plane}: the latest was refused from {client}", "see above"
)

# The log itself, and what others write into it.
LINES_LEFT_OUT = _warning(
    "lines_left_out",
    "{left_out} more lines of {of} were left out within a minute",
    "the lines before say what to do; log.lines_per_minute says how many are written",
)
OTHER = _warning("other", "a library says: {text}", "report it if it comes again")


def _by_name(*events: LogEvent) -> Mapping[str, LogEvent]:
    table = {event.name: event for event in events}
    assert len(table) == len(events), "an event is named twice"
    return MappingProxyType(table)


EVENTS = _by_name(*(value for value in list(globals().values()) if isinstance(value, LogEvent)))
"""Every event, in the order of this file."""
