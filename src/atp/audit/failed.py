"""The one exception of the audit: what it was given can't be judged. Is no finding."""

from __future__ import annotations


class AuditFailed(Exception):
    """The history or the data directory can't be judged: which, where, and what to do."""
