"""Running the system on one machine: embedded PostgreSQL and Valkey, and the supervisor of all processes.

Nothing in this package imports Django: it starts what Django needs.
"""
