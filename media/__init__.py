"""Codec building blocks shared by the media plane, recorder, rebroadcast and bench.

Import the submodule that you need; the ones that load PyAV (mux, decode) stay unloaded until then.
"""
