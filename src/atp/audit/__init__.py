"""The audit: proves from a history and the server's journal that every answer was true.

Owns the verdict. Knows the formats on disk and the promises of the API, and nothing of the engine's
code; reads only.
"""

from __future__ import annotations

from atp.audit.failed import AuditFailed
from atp.audit.run import ENDED_MAX, REMEMBER_NS, audit
from atp.audit.verdict import FAULTS, LAWS, Finding, Verdict

__all__ = [
    "ENDED_MAX",
    "FAULTS",
    "LAWS",
    "REMEMBER_NS",
    "AuditFailed",
    "Finding",
    "Verdict",
    "audit",
]
