"""The long versions of what the tests hold in a small form: many kills, faults, damaged files, wrong calls, one table.

``make torture`` runs them; see ``docs/torture.md``. Each promise is a function that yields cases.
"""
