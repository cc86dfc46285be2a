"""The media engine as a model in memory: same commands, events, gates and SRTP, no thread and no socket.

It forwards, taps and gates as the core does, without NACK, RTX, congestion control and the choice of layers
and voices. For tests.
"""

from sfu.engine.fake.engine import FakeEngine
from sfu.engine.fake.rtp import FakeRtp

__all__ = ["FakeEngine", "FakeRtp"]
