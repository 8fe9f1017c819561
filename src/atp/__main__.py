"""`python -m atp` is the `atp` command. Decides nothing."""

from __future__ import annotations

from atp.cli import main

if __name__ == "__main__":
    main()
