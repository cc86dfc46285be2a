"""The composition root: command line, configuration, wiring, supervision of worker processes, logging.

Floor 6: it may import everything, nothing imports it.
"""
