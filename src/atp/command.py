"""The commands that a batch is made of: `client.execute([command.reserve({"MUG": 1}), ...])`.

Each takes the arguments of the client's method of the same name and sends nothing by itself.
"""

from atp.client.batches import Command, Result
from atp.client.data_calls import commit, extend, release, reserve

__all__ = ["Command", "Result", "commit", "extend", "release", "reserve"]
