import json
import re

from sfu.engine.types import EXTENSION_NAMES
from sfu.wire import EXTENSION_URIS, extension_name
from tests.sfu.sdp.descriptions import ALL, capture


def test_python_and_engine_speak_of_the_same_extensions():
    assert set(EXTENSION_URIS) == EXTENSION_NAMES


def test_uris_and_names_map_both_ways():
    assert all(extension_name(uri) == name for name, uri in EXTENSION_URIS.items())
    assert extension_name("urn:nobody") is None


def test_every_extension_that_browsers_offered_is_known_or_known_to_be_left_out():
    offered = {uri for name in ALL for uri in re.findall(r"a=extmap:\S+ (\S+)", capture(name))}
    unknown = {uri for uri in offered if extension_name(uri) is None}
    assert unknown == {"urn:ietf:params:rtp-hdrext:csrc-audio-level"}, json.dumps(sorted(unknown))
