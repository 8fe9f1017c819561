# The methods of ReservationService, by number, and their requests' names.

cdef enum Method:
    RESERVE = 0
    COMMIT = 1
    RELEASE = 2
    EXTEND = 3
    GET_RESERVATION = 4
    GET_AVAILABILITY = 5
    EXECUTE = 6
    METHOD_COUNT = 7


cdef inline const char* request_name(int method) noexcept nogil:
    if method == RESERVE:
        return b"atp.v1.ReserveRequest"
    if method == COMMIT:
        return b"atp.v1.CommitRequest"
    if method == RELEASE:
        return b"atp.v1.ReleaseRequest"
    if method == EXTEND:
        return b"atp.v1.ExtendRequest"
    if method == GET_RESERVATION:
        return b"atp.v1.GetReservationRequest"
    if method == GET_AVAILABILITY:
        return b"atp.v1.GetAvailabilityRequest"
    return b"atp.v1.ExecuteRequest"
