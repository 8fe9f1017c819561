# The engine: decides about stock. Cimport-only modules with inline bodies, compiled into `_core`
# as one unit. No I/O, no clock, no random number, no Python object. From base to leaf: native,
# limits, words, layout, arena, hashing, locks, expiry, stock, caps, scratch, events, records,
# reserve, change, supply, sweep, read, check.
