# Numbers of the engine as Python knows them: bounds by name, and the enumerations. Included by
# _core.pyx.

LIMITS = {
    "sku_bytes_max": bounds.SKU_BYTES_MAX,
    "request_id_bytes_max": bounds.REQUEST_ID_BYTES_MAX,
    "customer_id_bytes_max": bounds.CUSTOMER_ID_BYTES_MAX,
    "cap_id_bytes_max": bounds.CAP_ID_BYTES_MAX,
    "basket_lines_max": bounds.BASKET_LINES_MAX,
    "quantity_max": bounds.QUANTITY_MAX,
    "stock_max": bounds.STOCK_MAX,
    "caps_max": bounds.CAPS_MAX,
    "cap_skus_max": bounds.CAP_SKUS_MAX,
    "cap_overrides_max": bounds.CAP_OVERRIDES_MAX,
    "cap_refusals_max": bounds.CAP_REFUSALS_MAX,
    "subnet_prefixes_max": bounds.SUBNET_PREFIXES_MAX,
    "shards": bounds.SHARDS,
}
_LIMIT_MEANINGS = {
    "sku_bytes_max": "bytes of a SKU",
    "request_id_bytes_max": "bytes of a request id",
    "customer_id_bytes_max": "bytes of a customer id",
    "cap_id_bytes_max": "bytes of a cap id",
    "basket_lines_max": "lines of a basket",
    "quantity_max": "units of one SKU in a basket",
    "stock_max": "units in any counter of a SKU",
    "caps_max": "caps",
    "cap_skus_max": "SKUs of one cap",
    "cap_overrides_max": "overrides of one cap",
    "cap_refusals_max": "caps reported in one refusal",
    "subnet_prefixes_max": "distinct pairs of prefix lengths over all caps on subnets",
    "shards": "shards, each with a lock",
    "sku_max": "SKUs known",
    "live_holds_max": "reservations that hold units",
    "cap_counters_max": "counts of caps that are not 0",
    "ended_max": "ended reservations and request ids remembered",
    "memory": "bytes in use by the engine's tables",
}
_LIMIT_NAMES = {
    limit: limit_name(limit).decode("ascii") for limit in range(LIMIT_JOURNAL_BACKLOG + 1)
}

# The engine's numbers by the names of vocabulary.py; a test holds them against it.
NUMBERS = {
    "ReservationState": {
        "HELD": STATE_HELD, "COMMITTED": STATE_COMMITTED, "RELEASED": STATE_RELEASED,
        "EXPIRED": STATE_EXPIRED,
    },
    "ReserveOutcome": {
        "GRANTED": RESERVE_GRANTED, "GRANTED_PARTIALLY": RESERVE_GRANTED_PARTIALLY,
        "REQUEST_ID_REUSED": RESERVE_REQUEST_ID_REUSED,
        "EXPIRY_OUT_OF_RANGE": RESERVE_EXPIRY_OUT_OF_RANGE,
        "REPLACED_NOT_FOUND": RESERVE_REPLACED_NOT_FOUND,
        "REPLACED_NOT_OWNED": RESERVE_REPLACED_NOT_OWNED,
        "REPLACED_ENDED": RESERVE_REPLACED_ENDED, "SKU_UNKNOWN": RESERVE_SKU_UNKNOWN,
        "CAP_REACHED": RESERVE_CAP_REACHED, "STOCK_SHORT": RESERVE_STOCK_SHORT,
        "LIMIT_REACHED": RESERVE_LIMIT_REACHED,
    },
    "LineOutcome": {
        "GRANTED": LINE_GRANTED, "SKU_UNKNOWN": LINE_SKU_UNKNOWN, "CAP_REACHED": LINE_CAP_REACHED,
        "STOCK_SHORT": LINE_STOCK_SHORT, "NOT_ATTEMPTED": LINE_NOT_ATTEMPTED,
    },
    "ChangeOutcome": {
        "DONE": CHANGE_DONE, "REQUEST_ID_REUSED": CHANGE_REQUEST_ID_REUSED,
        "NOT_FOUND": CHANGE_NOT_FOUND, "ALREADY_COMMITTED": CHANGE_ALREADY_COMMITTED,
        "ALREADY_RELEASED": CHANGE_ALREADY_RELEASED, "ALREADY_EXPIRED": CHANGE_ALREADY_EXPIRED,
        "LINE_NOT_FOUND": CHANGE_LINE_NOT_FOUND, "QUANTITY_ABOVE_HELD": CHANGE_QUANTITY_ABOVE_HELD,
        "EXPIRY_OUT_OF_RANGE": CHANGE_EXPIRY_OUT_OF_RANGE, "LIMIT_REACHED": CHANGE_LIMIT_REACHED,
    },
    "StockOutcome": {
        "DONE": STOCK_DONE, "REQUEST_ID_REUSED": STOCK_REQUEST_ID_REUSED,
        "SKU_UNKNOWN": STOCK_SKU_UNKNOWN, "ON_HAND_CHANGED": STOCK_ON_HAND_CHANGED,
        "BELOW_HELD": STOCK_BELOW_HELD, "OUT_OF_RANGE": STOCK_OUT_OF_RANGE,
        "LIMIT_REACHED": STOCK_LIMIT_REACHED,
    },
    "StockReason": {
        "RECEIVED": REASON_RECEIVED, "RETURNED": REASON_RETURNED, "COUNTED": REASON_COUNTED,
        "WRITTEN_OFF": REASON_WRITTEN_OFF,
    },
    "CapSubject": {
        "IP": SUBJECT_IP, "SUBNET": SUBJECT_SUBNET, "CUSTOMER": SUBJECT_CUSTOMER,
        "RESERVATION": SUBJECT_RESERVATION, "EVERYONE": SUBJECT_EVERYONE,
    },
    "CapMode": {"ENFORCE": MODE_ENFORCE, "SHADOW": MODE_SHADOW, "OFF": MODE_OFF},
}
_KNOWN_REASONS = frozenset(NUMBERS["StockReason"].values())

# Looked up by number, because calling an enumeration costs more than judging a basket.
_STATES = {int(one): one for one in words.ReservationState}
_RESERVE_OUTCOMES = {int(one): one for one in words.ReserveOutcome}
_LINE_OUTCOMES = {int(one): one for one in words.LineOutcome}
_CHANGE_OUTCOMES = {int(one): one for one in words.ChangeOutcome}
_STOCK_OUTCOMES = {int(one): one for one in words.StockOutcome}
