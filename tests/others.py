"""Programs that aren't ours, as children of tests that a sanitizer watches: not watched themselves.

Owns their environment: what is preloaded into the tests would make curl wait for ever, and find
faults that are nobody's here.
"""

from __future__ import annotations

import os


def unwatched() -> dict[str, str]:
    """This process's environment, without what is loaded before a program."""
    return {name: text for name, text in os.environ.items() if name != "LD_PRELOAD"}
