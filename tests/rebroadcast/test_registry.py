"""Partner sites and destinations: what is taken, what is kept of it, and what is ever told again."""

import pytest
import structlog

from rebroadcast import (
    BroadcastConflict,
    BroadcastInvalid,
    BroadcastNotFound,
    DestinationUnregistered,
    PartnerChange,
)
from rebroadcast.registry import Registry
from rebroadcast.url_policy import UrlPolicy
from store import Store, StoreConfig

KEY = "canary-4f1c-key-of-the-stream-9b2e"
PARTNER = {
    "name": "Partner TV",
    "site": "partner.example",
    "policy_url": "https://partner.example/privacy",
    "uses": ["live"],
    "terms_version": "2026-11",
}
HERE = "rtmp://127.0.0.1/live"


@pytest.fixture
async def store(tmp_path):
    store = await Store.open(StoreConfig(data_dir=tmp_path))
    yield store
    await store.close()


@pytest.fixture
def registry(store):
    return Registry(store, UrlPolicy(allow_private=True))


@pytest.fixture
async def partner(registry):
    return (await registry.add_partner(**PARTNER)).id


def destination(partner_id, **more):
    made = {"name": "Main", "partner": partner_id, "kind": "rtmp", "url": HERE, "key": KEY, "rooms": ()}
    return made | more


async def test_a_stream_key_is_sealed_on_disk_and_masked_everywhere_else(registry, store, partner, tmp_path):
    with structlog.testing.capture_logs() as logs:
        added = await registry.add_destination(**destination(partner))
        at_the_end = await registry.add_destination(**destination(partner, url=f"{HERE}/{KEY}", key=None))
        listed = await registry.destinations()
        for wrong in ({"url": "rtmp://h:22/live"}, {"partner": "pt_none"}, {"name": ""}, {"kind": "srt"}):
            with pytest.raises((BroadcastInvalid, BroadcastNotFound)) as refusal:
                await registry.add_destination(**destination(partner, **wrong))
            assert KEY not in str(refusal.value)
    assert (
        (added.shown_url, added.key_hint) == (at_the_end.shown_url, at_the_end.key_hint) == (HERE, KEY[-4:])
    )
    assert listed == [added, at_the_end]
    assert KEY not in f"{listed!r} {logs!r}"
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"partner.example" in kept, "the control: what is not secret can be found"
    assert KEY.encode() not in kept
    (row, _), *_ = await registry.chosen([added.id], "any")
    assert row.key.reveal() == KEY
    assert KEY not in f"{row!r}"


async def test_a_destination_lasts_until_it_is_removed_and_its_partner_longer(registry, partner):
    added = await registry.add_destination(**destination(partner))
    with pytest.raises(BroadcastConflict):
        await registry.remove_partner(partner)
    await registry.remove_destination(added.id)
    with pytest.raises(BroadcastNotFound):
        await registry.remove_destination(added.id)
    await registry.remove_partner(partner)
    with pytest.raises(BroadcastNotFound):
        await registry.remove_partner(partner)
    assert (await registry.partners(), await registry.destinations()) == ([], [])


async def test_a_site_is_registered_once(registry, partner):
    with pytest.raises(BroadcastConflict):
        await registry.add_partner(**PARTNER)
    other = await registry.add_partner(**PARTNER | {"site": " Other.Example "})
    assert other.site == "other.example"
    assert [one.id for one in await registry.partners()] == [partner, other.id]


async def test_a_room_sees_what_is_for_it_or_for_all(registry, partner):
    for rooms in ((), ("stage",), ("other",)):
        await registry.add_destination(**destination(partner, name=f"for {rooms}", rooms=rooms))
    assert [info.rooms for info in await registry.destinations(room="stage")] == [(), ("stage",)]
    everywhere = [info.id for info in await registry.destinations()]
    assert len(await registry.chosen(everywhere[:2], "stage")) == 2
    with pytest.raises(DestinationUnregistered):
        await registry.chosen(everywhere, "stage")
    for ids in ([], everywhere[:1] * 2):
        with pytest.raises(BroadcastInvalid):
            await registry.chosen(ids, "stage")


@pytest.mark.parametrize(
    "change",
    [
        {"uses": []},
        {"uses": ["live", "sale"]},
        {"policy_url": "ftp://partner.example"},
        {"policy_url": "http://[::1"},
        {"policy_url": ""},
        {"terms_version": "  "},
        {"name": ""},
        {"name": "a\u0000b"},
        {"name": "x" * 101},
        {"site": ""},
        {"site": "a b"},
        {"site": "https://partner.example"},
        {"site": "x" * 254},
        {"origins": ["partner.example"]},
        {"origins": ["https://partner.example/"]},
        {"origins": ["https://user@partner.example"]},
        {"origins": ["https://*.partner.example"]},
        {"origins": ["https://partner.example:port"]},
        {"origins": ["https://partner.example; script-src *"]},
        {"origins": [f"https://{number}.example" for number in range(33)]},
        {"takedown_url": "mailto:a@partner.example"},
        {"takedown_url": "https://127.0.0.1:22/notices"},
        {"from_ms": 2_000, "until_ms": 2_000},
    ],
)
async def test_a_partner_that_is_not_as_described_is_refused(registry, change):
    with pytest.raises(BroadcastInvalid):
        await registry.add_partner(**PARTNER | change)
    assert await registry.partners() == []
    if "site" not in change:
        known = await registry.add_partner(**PARTNER)
        with pytest.raises(BroadcastInvalid):
            await registry.change_partner(known.id, PartnerChange(**change))
        assert await registry.partners() == [known]


async def test_what_a_partner_agreed_to_is_changed_as_far_as_it_is_given(registry, store, partner):
    (before,) = await registry.partners()
    assert await registry.change_partner(partner, PartnerChange()) == before
    everything = {
        "name": "TV",
        "policy_url": "https://partner.example/new",
        "uses": ("live", "replay"),
        "terms_version": "2027-01",
        "origins": ("https://www.partner.example",),
        "takedown_url": "https://127.0.0.1/notices",
        "from_ms": 1_000,
        "until_ms": 2_000,
    }
    changed = await registry.change_partner(partner, PartnerChange(**everything))
    assert {field: getattr(changed, field) for field in everything} == everything
    assert (await registry.partners(), changed.site) == ([changed], before.site)
    terms = (await store.partners.get(partner)).terms()
    assert [terms.in_force("replay", now_ms) for now_ms in (999, 1_000, 2_000)] == [False, True, False]
    for wrong in ({"until_ms": 1_000}, {"from_ms": 2_000}):
        with pytest.raises(BroadcastInvalid):
            await registry.change_partner(partner, PartnerChange(**wrong))
    last = await registry.change_partner(partner, PartnerChange(origins=(), takedown_url="", until_ms=None))
    assert (last.origins, last.takedown_url, last.until_ms) == (before.origins, None, None)
    assert (last.name, last.from_ms) == ("TV", 1_000)
    with pytest.raises(BroadcastNotFound):
        await registry.change_partner("pt_none", PartnerChange())


@pytest.mark.parametrize(
    "change",
    [
        {"url": None},
        {"url": ""},
        {"url": "rtmp://127.0.0.1/"},
        {"url": "rtmp://127.0.0.1", "key": None},
        {"url": "rtmp://127.0.0.1/live", "key": None},
        {"url": "rtmp://[::1/live"},
        {"url": "rtmp://127.0.0.1:port/live"},
        {"url": "rtmp://127.0.0.1:0/live"},
        {"url": "rtmp://user:secret@127.0.0.1/live"},
        {"url": "rtmp://127.0.0.1/live?token=1"},
        {"url": "rtmp://127.0.0.1/live#part"},
        {"url": "http://127.0.0.1/live"},
        {"url": "live"},
        {"url": "rtmp://127.0.0.1/li ve"},
        {"key": "with space"},
        {"key": "line\nbreak"},
        {"key": "x" * 501},
        {"kind": "hls"},
        {"kind": "hls", "url": None},
        {"kind": "srt"},
        {"kind": "tape"},
        {"kind": "srt", "url": "srt://127.0.0.1", "key": None},
        {"kind": "srt", "url": "srt://127.0.0.1:9000/path"},
        {"kind": "srt", "url": "srt://127.0.0.1:9000?mode=listener"},
        {"kind": "srt", "url": "srt://127.0.0.1:9000?passphrase=short"},
        {"kind": "srt", "url": "srt://127.0.0.1:9000?latency=1"},
        {"kind": "srt", "url": "srt://127.0.0.1:9000?streamid=x"},
        {"kind": "srt", "url": "udp://127.0.0.1:9000"},
        {"kind": "whip", "url": "rtmp://127.0.0.1/live"},
        {"kind": "whip", "url": "https://127.0.0.1:22/whip"},
        {"delay_s": -1},
        {"delay_s": 31},
        {"name": "\u202e"},
    ],
)
async def test_a_destination_that_cannot_be_served_is_refused(registry, partner, change):
    with pytest.raises(BroadcastInvalid):
        await registry.add_destination(**destination(partner, **change))
    assert await registry.destinations() == []


async def test_what_follows_the_question_mark_is_part_of_a_key_that_ends_the_url(registry, partner):
    added = await registry.add_destination(
        **destination(partner, url="rtmp://127.0.0.1/live/key?token=secret&x=1", key=None)
    )
    (row, _), *_ = await registry.chosen([added.id], "any")
    assert (row.url, row.key.reveal()) == (HERE, "key?token=secret&x=1")


async def test_the_secrets_of_an_srt_destination_are_sealed_and_its_address_is_shown(registry, partner):
    url = "srt://127.0.0.1:9000?latency=200&passphrase=canary-pass-phrase&streamid=canary-stream-12345678"
    added = await registry.add_destination(**destination(partner, kind="srt", url=url, key=None))
    assert (added.shown_url, added.key_hint) == ("srt://127.0.0.1:9000?latency=200", "5678")
    assert "canary" not in repr(added)
    (row, _), *_ = await registry.chosen([added.id], "any")
    assert row.key.reveal() == "streamid=canary-stream-12345678&passphrase=canary-pass-phrase"


async def test_what_goes_out_in_the_clear_is_marked(registry, partner):
    secret = "srt://127.0.0.1:9000?passphrase=0123456789"
    for kind, url, encrypted in (
        ("rtmp", "rtmp://127.0.0.1/live", False),
        ("rtmp", "rtmps://127.0.0.1/live", True),
        ("srt", "srt://127.0.0.1:9000", False),
        ("srt", secret, True),
        ("whip", "http://127.0.0.1/whip/x", False),
        ("whip", "https://127.0.0.1/whip/x", True),
    ):
        added = await registry.add_destination(**destination(partner, kind=kind, url=url))
        assert added.is_encrypted == encrypted, url


async def test_a_partner_without_origins_may_embed_on_its_own_site(registry):
    assert (await registry.add_partner(**PARTNER)).origins == ("https://partner.example",)
    more = {"site": "other.example", "origins": ["https://www.other.example", "https://other.example:8443"]}
    other = await registry.add_partner(**PARTNER | more)
    assert other.origins == ("https://www.other.example", "https://other.example:8443")


async def test_a_blocked_partner_is_served_nothing_until_it_is_unblocked(registry, store, partner):
    added = await registry.add_destination(**destination(partner))
    assert (await registry.block(partner, is_blocked=True)).is_blocked
    assert (await store.partners.get(partner)).terms().uses == frozenset()
    with pytest.raises(BroadcastConflict):
        await registry.chosen([added.id], "any")
    assert not (await registry.block(partner, is_blocked=False)).is_blocked
    assert await registry.chosen([added.id], "any")
    with pytest.raises(BroadcastNotFound):
        await registry.block("pt_none", is_blocked=True)
