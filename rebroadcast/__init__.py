"""Rooms and recordings sent to other sites: programs, outputs, retries, within the broadcast terms."""
