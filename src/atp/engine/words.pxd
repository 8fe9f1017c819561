# The engine's numbers for outcomes, states and kinds: those of proto/atp/v1 and
# atp/vocabulary.py. A test holds the three together. Refusals are in order of precedence.
cdef enum ReservationState:
    STATE_HELD = 1
    STATE_COMMITTED = 2
    STATE_RELEASED = 3
    STATE_EXPIRED = 4

cdef enum RecordKind:  # 1 to 4: a reservation in that state; from here on, receipts
    RECEIPT_COMMIT = 5
    RECEIPT_RELEASE = 6
    RECEIPT_EXTEND = 7
    RECEIPT_ADJUST = 8

cdef enum ReserveOutcome:
    RESERVE_GRANTED = 1
    RESERVE_GRANTED_PARTIALLY = 2
    RESERVE_REQUEST_ID_REUSED = 3
    RESERVE_EXPIRY_OUT_OF_RANGE = 4
    RESERVE_REPLACED_NOT_FOUND = 5
    RESERVE_REPLACED_NOT_OWNED = 6
    RESERVE_REPLACED_ENDED = 7
    RESERVE_SKU_UNKNOWN = 8
    RESERVE_CAP_REACHED = 9
    RESERVE_STOCK_SHORT = 10
    RESERVE_LIMIT_REACHED = 11

cdef enum LineOutcome:
    LINE_GRANTED = 1
    LINE_SKU_UNKNOWN = 2
    LINE_CAP_REACHED = 3
    LINE_STOCK_SHORT = 4
    LINE_NOT_ATTEMPTED = 5

cdef enum ChangeOutcome:
    CHANGE_DONE = 1
    CHANGE_REQUEST_ID_REUSED = 2
    CHANGE_NOT_FOUND = 3
    CHANGE_ALREADY_COMMITTED = 4
    CHANGE_ALREADY_RELEASED = 5
    CHANGE_ALREADY_EXPIRED = 6
    CHANGE_LINE_NOT_FOUND = 7
    CHANGE_QUANTITY_ABOVE_HELD = 8
    CHANGE_EXPIRY_OUT_OF_RANGE = 9
    CHANGE_LIMIT_REACHED = 10

cdef enum StockOutcome:
    STOCK_DONE = 1
    STOCK_REQUEST_ID_REUSED = 2
    STOCK_SKU_UNKNOWN = 3
    STOCK_ON_HAND_CHANGED = 4
    STOCK_BELOW_HELD = 5
    STOCK_OUT_OF_RANGE = 6
    STOCK_LIMIT_REACHED = 7

cdef enum StockReason:
    REASON_NONE = 0
    REASON_RECEIVED = 1
    REASON_RETURNED = 2
    REASON_COUNTED = 3
    REASON_WRITTEN_OFF = 4

cdef enum CapSubject:
    SUBJECT_IP = 1
    SUBJECT_SUBNET = 2
    SUBJECT_CUSTOMER = 3
    SUBJECT_RESERVATION = 4
    SUBJECT_EVERYONE = 5

cdef enum CapMode:
    MODE_ENFORCE = 1
    MODE_SHADOW = 2
    MODE_OFF = 3

cdef enum LimitName:
    LIMIT_NONE = 0
    LIMIT_LIVE_HOLDS = 1
    LIMIT_CAP_COUNTERS = 2
    LIMIT_MEMORY = 3
    LIMIT_SKUS = 4
    LIMIT_JOURNAL_SPACE = 5
    LIMIT_JOURNAL_BACKLOG = 6
