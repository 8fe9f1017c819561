"""What an audit comes to: findings with what shows them, checks, figures, and how it is told.

Owns the names of findings and laws, in the order of the native half's enumerations. Decides
nothing: an audit without findings is sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LAWS: tuple[tuple[str, str], ...] = (
    ("no_oversell", "held units are never more than those on hand"),
    ("conservation", "on hand = received + adjusted - sold"),
    ("hold_ends_once", "each unit held is sold or given back once"),
    ("one_hold", "a request id stands for one thing"),
    ("caps", "no subject has more in force than its cap"),
    ("expiry", "a hold ends at its expire time, not before and not after"),
    ("acknowledged", "what was answered as done is in the journal, as it was answered"),
    ("asked_for", "what is in the journal was asked for"),
    ("real_time", "what was answered first comes first in the journal"),
    ("truth", "a refusal, a repeat or a read was true at a moment between question and answer"),
    ("fairness", "who asks later is not served before one who was refused"),
)
"""Name and meaning of each law."""

FAULTS: tuple[tuple[str, str], ...] = (
    ("oversold", "no_oversell"),
    ("not_conserved", "conservation"),
    ("units_end_twice", "hold_ends_once"),
    ("two_holds", "one_hold"),
    ("done_twice", "one_hold"),
    ("cap_exceeded", "caps"),
    ("late_change", "expiry"),
    ("early_expiry", "expiry"),
    ("late_expiry", "expiry"),
    ("unknown_hold", "hold_ends_once"),
    ("bad_grant", "asked_for"),
    ("lost_change", "acknowledged"),
    ("other_change", "acknowledged"),
    ("never_asked", "asked_for"),
    ("refused_yet_done", "asked_for"),
    ("one_change_two_answers", "acknowledged"),
    ("wrong_repeat", "truth"),
    ("order_broken", "real_time"),
    ("untrue_refusal", "truth"),
    ("untrue_read", "truth"),
    ("overtaken", "fairness"),
)
"""Name of each finding, and of the law that it breaks."""

_MEANING = dict(LAWS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation. `slice` has the entries of history and journal that show it, in order, each a
    line for people."""

    name: str
    law: str
    text: str
    slice: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "law": self.law,
            "text": self.text,
            "slice": list(self.slice),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an audit.

    `findings` are the first of each name, `counts` how many of each name there are in all, `checks`
    how often each law was checked, `figures` numbers by name (sizes in bytes, times in seconds),
    `notes` what a reader must know: torn ends, and what could not be judged.
    """

    findings: tuple[Finding, ...]
    counts: Mapping[str, int]
    checks: Mapping[str, int]
    figures: Mapping[str, int | float]
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return not self.counts

    def as_json(self) -> dict[str, object]:
        """The same as an object of plain values."""
        return {
            "ok": self.ok,
            "findings": [finding.as_json() for finding in self.findings],
            "counts": dict(self.counts),
            "checks": dict(self.checks),
            "figures": dict(self.figures),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The verdict for people, many lines."""
        lines = []
        for name, total in self.counts.items():
            shown = [finding for finding in self.findings if finding.name == name]
            lines.append(f"{name} (law {shown[0].law}: {_MEANING[shown[0].law]}), {total:,} in all")
            for finding in shown:
                lines += [f"  {finding.text}", *(f"    {line}" for line in finding.slice)]
            more = f"  and {total - len(shown):,} more" if total > len(shown) else ""
            lines += [more, ""] if more else [""]
        lines += ["checks made:"]
        lines += [f"  {self.checks[law]:>15,}  {law}: {meaning}" for law, meaning in LAWS]
        lines += ["", *self._figures(), *(f"note: {note}" for note in self.notes)]
        count = sum(self.counts.values())
        judged = "every answer that was judged" if self.figures["before_start"] else "every answer"
        answer = f"sound: {judged} was true" if self.ok else f"NOT SOUND: {count:,} findings"
        return "\n".join([*lines, f"verdict: {answer}"])

    def _figures(self) -> list[str]:
        of = self.figures
        return [
            f"{of['commands']:,} commands in {of['calls']:,} calls, {of['unanswered']:,} of them"
            f" without an answer ({of['unanswered_done']:,} were done)",
            f"{of['changes']:,} changes, {of['first']:,} to {of['last']:,}:"
            f" {of['base_changes']:,} before the history, {of['after_changes']:,} after it,"
            f" {of['expiries']:,} expiries",
            f"{of['skus']:,} SKUs, {of['holds']:,} holds, {of['counts']:,} counts of caps",
            f"{of['stock_refusals']:,} refusals for want of units;"
            f" {of['overtaken_after_return']:,} of them before somebody who asked later was granted"
            " units that had come back",
            f"{of['seconds']:.2f} s, {of['commands_per_s']:,.0f} commands/s,"
            f" {of['memory_bytes'] / 1e6:,.0f} MB of tables",
        ]
