# Every bound that is fixed when the engine is compiled. Those that are settings are in
# atp/settings.py.
cdef enum:
    SHARDS = 64
    SKU_BYTES_MAX = 64
    REQUEST_ID_BYTES_MAX = 64
    CUSTOMER_ID_BYTES_MAX = 64
    CAP_ID_BYTES_MAX = 64
    BASKET_LINES_MAX = 4096
    QUANTITY_MAX = 1000000000  # units of one line, after adding up; fits int32
    CAPS_MAX = 1024
    CAP_SKUS_MAX = 1024
    CAP_OVERRIDES_MAX = 4096
    CAP_REFUSALS_MAX = 16  # reported in one answer
    SUBNET_PREFIXES_MAX = 8  # distinct pairs of prefix lengths over all caps
    SNAPSHOT_ASIDE_BYTES_MAX = 1 << 30  # kept for a snapshot by those who change things meanwhile
    WINDOW_STEPS = 256  # a window moves in this many steps

cdef extern from *:
    """
    static const long long ATP_STOCK_MAX = 1000000000000LL;
    static const long long ATP_TIME_MAX = 1LL << 62;
    static const long long ATP_WINDOW_MAX = 366LL * 24 * 3600 * 1000000000LL;
    static const long long ATP_NEVER = INT64_MAX;
    """
    const long long STOCK_MAX "ATP_STOCK_MAX"  # size of any counter of a SKU, units
    const long long TIME_MAX "ATP_TIME_MAX"  # ns since the Unix epoch; year 2116
    const long long WINDOW_MAX "ATP_WINDOW_MAX"  # ns; 366 days
    const long long NEVER "ATP_NEVER"
