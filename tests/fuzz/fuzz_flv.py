"""Fuzz target: Annex B from encoders and publishers, on its way into FLV."""

from rebroadcast.worker import flv
from tests.fuzz import harness


def one_input(data: bytes) -> None:
    units = flv.split_annex_b(data)
    if any(b"\x00\x00\x01" in unit for unit in units):
        raise AssertionError("a start code inside a unit")
    flv.avc_frame(data, is_keyframe=True)
    try:
        flv.avc_configuration(data)
    except flv.FlvError:
        return


if __name__ == "__main__":
    harness.run(one_input)
