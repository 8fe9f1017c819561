"""The sale before the sale: load, faults and an audit of every answer, as named profiles.

Owns nothing itself. `python -m loadtests` (sale.py) runs a profile (profiles.py) against a server,
with the users of Locust (users/) or the product's own generator (native.py), breaks things in the
midst of it (faults/), and asks the audit whether every answer was true. Not part of the package
that is installed: it lives in the repository, beside the tests.
"""
