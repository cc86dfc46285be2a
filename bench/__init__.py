"""What the server costs on this machine, measured by native load in processes of its own.

Each bench is a module to run (`python -m bench.forward`); results go to `bench/out/` as JSON. Figures are
told beside a calibration of the same run, since the machine's mood moves both.
"""

__all__: list[str] = []
