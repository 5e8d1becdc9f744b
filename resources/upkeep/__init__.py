"""Upkeep of the lake: few files, no rows that nobody sees, nothing older than it is kept.

All of it runs beside writers and readers. What others are busy with is left for the next time, and said.
"""
