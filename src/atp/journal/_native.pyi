"""Typed face of the journal's compiled unit."""

def pack_records(data: bytes, next: int, first: int, last: int) -> tuple[bytes, int, int, int]:
    """Packs records as one atp.v1.WatchResponse: those from `first` up to `last`, in order.

    `data` begins with the record whose sequence is `next`. Returns the message (empty when no event
    is in it), the events in it, the sequence expected after the last record read, and the bytes
    read. Stops early where no whole and sound record of the expected sequence stands.
    """
