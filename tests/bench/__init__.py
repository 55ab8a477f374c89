"""Benchmarks: each compares two sides in one session, prints a table, and adds to one last line of JSON."""
