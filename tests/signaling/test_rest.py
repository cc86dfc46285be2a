"""The REST API: every endpoint, who may call it, and the document that describes it."""

import re
from pathlib import Path
from typing import Any

import msgspec
from openapi_spec_validator import OpenAPIV31SpecValidator

from policy import DEFAULT_TERMS, Permission
from signaling import Rate
from signaling.openapi import document
from signaling.rest import BASE, ENDPOINTS
from tests.signaling.rig import NEW_TERMS, rig
from tests.signaling.services import everything

DOCUMENT = document("Parley", "1")


def test_the_document_is_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_endpoint_is_described_once() -> None:
    described = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}
    assert described == {(endpoint.method, BASE + endpoint.path) for endpoint in ENDPOINTS}
    names = [endpoint.name for endpoint in ENDPOINTS]
    assert len(names) == len(set(names))


def test_every_endpoint_but_the_public_ones_says_which_grant_it_needs() -> None:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if operation["security"]:
                assert "grants" in operation["description"], (method, path)
                assert {"401", "403"} <= set(operation["responses"])


async def test_the_document_is_served() -> None:
    async with rig() as house:
        status, served = await house.get(f"{BASE}/openapi.json")
        assert status == 200
        assert served["paths"].keys() == DOCUMENT["paths"].keys()


def concrete(path: str) -> str:
    return BASE + re.sub(r"\{(\w+)\}", r"x\1", path)


PROTECTED = [endpoint for endpoint in ENDPOINTS if not endpoint.is_public]


# Row 26: nothing but the public endpoints answers without a grant.


async def test_without_a_token_every_endpoint_but_the_public_ones_is_401() -> None:
    async with rig(failures=Rate(per_s=1_000, burst=1_000)) as house:
        for endpoint in PROTECTED:
            for headers in (
                {},
                {"Authorization": "Bearer x"},
                {"Authorization": "Basic eDp5"},
                {"Authorization": "x"},
            ):
                status, body = await house.request(endpoint.method, concrete(endpoint.path), headers=headers)
                assert (status, body["code"]) == (401, "unauthorized"), endpoint.name


async def test_with_a_guests_token_every_endpoint_but_the_door_and_ones_own_consent_is_403() -> None:
    async with rig() as house:
        for endpoint in PROTECTED:
            if endpoint.name in {"getDoor", "listConsents", "listErasures", "listCopies", "withdraw"}:
                continue
            status, body = await house.request(
                endpoint.method, concrete(endpoint.path), headers=house.bearer()
            )
            assert (status, body["code"]) == (403, "forbidden"), endpoint.name


async def test_a_token_in_the_query_is_not_a_token() -> None:
    async with rig() as house:
        token = house.token(permissions=(Permission.ADMIN,), room=None)
        assert (await house.get(f"{BASE}/rooms?token={token}&access_token={token}"))[0] == 401


async def test_answers_fit_their_schema(tmp_path: Path) -> None:
    results = {endpoint.name: endpoint.result for endpoint in ENDPOINTS}
    async with everything(tmp_path) as house:
        await house.join("ada")
        admin = house.admin()
        for name, method, path, body in SUCCESSES:
            status, answer = await house.request(method, BASE + path, json=body, headers=admin)
            assert status in {200, 201, 202, 204}, (name, answer)
            if results[name] is not None:
                msgspec.convert(answer, results[name])


SUCCESSES: tuple[tuple[str, str, str, Any], ...] = (
    ("createRoom", "POST", "/rooms", {"name": "hall", "mode": "explicit", "max_participants": 5}),
    ("listRooms", "GET", "/rooms", None),
    ("getRoom", "GET", "/rooms/hall", None),
    ("changeRoom", "PATCH", "/rooms/hall", {"chat": False, "uses": ["record"], "loudest": 3}),
    ("listParticipants", "GET", "/rooms/demo/participants", None),
    ("getParticipant", "GET", "/rooms/demo/participants/ada", None),
    ("getDoor", "GET", "/rooms/demo/door", None),
    ("moderate", "POST", "/rooms/demo/participants/ada/actions", {"action": "mute"}),
    (
        "createToken",
        "POST",
        "/tokens",
        {"identity": "bo", "room": "demo", "grants": ["join"], "uses": ["live"]},
    ),
    ("createInvitation", "POST", "/rooms/demo/invitations", {"ttl_s": 60}),
    ("getSite", "GET", "/site", None),
    ("startRecording", "POST", "/recordings", {"room": "demo"}),
    ("listRecordings", "GET", "/recordings?room=demo", None),
    ("getRecording", "GET", "/recordings/rec_1", None),
    ("listFiles", "GET", "/recordings/rec_1/files", None),
    ("pauseRecording", "POST", "/recordings/rec_1/pause", None),
    ("resumeRecording", "POST", "/recordings/rec_1/resume", None),
    ("holdRecording", "POST", "/recordings/rec_1/holds", {"reason": "a claim"}),
    ("listHolds", "GET", "/recordings/rec_1/holds", None),
    ("releaseHold", "DELETE", "/recordings/rec_1/holds/hold_1", None),
    ("listErasures", "GET", "/consents/withdrawals?identity=ada", None),
    ("stopRecording", "POST", "/recordings/rec_1/stop", None),
    ("renderRecording", "POST", "/recordings/rec_1/renditions", {"layout": "speaker"}),
    ("listRenditions", "GET", "/recordings/rec_1/renditions", None),
    ("getRendition", "GET", "/recordings/rec_1/renditions/rnd_1", None),
    ("getPlayback", "GET", "/recordings/rec_1/playback", None),
    ("listQuotes", "GET", "/recordings/rec_1/chat?limit=2", None),
    ("createViewerLink", "POST", "/recordings/rec_1/links", {"ttl_s": 600}),
    ("removeRendition", "DELETE", "/recordings/rec_1/renditions/rnd_1", None),
    ("deleteRecording", "DELETE", "/recordings/rec_1", None),
    (
        "addPartner",
        "POST",
        "/partners",
        {
            "name": "TV",
            "site": "tv.example",
            "policy_url": "https://tv.example/privacy",
            "uses": ["live"],
            "terms_version": "1",
        },
    ),
    ("changePartner", "PATCH", "/partners/par_1", {"terms_version": "2", "until_ms": None}),
    ("createEmbed", "POST", "/rooms/demo/embeds", {"partner": "par_1"}),
    ("listPartners", "GET", "/partners", None),
    (
        "addDestination",
        "POST",
        "/destinations",
        {
            "name": "Main",
            "partner": "par_1",
            "kind": "rtmp",
            "url": "rtmp://tv.example/app",
            "key": "k4nary-1234",
        },
    ),
    ("listDestinations", "GET", "/destinations", None),
    ("blockPartner", "POST", "/partners/par_1/block", None),
    ("unblockPartner", "POST", "/partners/par_1/unblock", None),
    ("startBroadcast", "POST", "/broadcasts", {"room": "demo", "destinations": ["dst_2"]}),
    ("listBroadcasts", "GET", "/broadcasts", None),
    ("getBroadcast", "GET", "/broadcasts/bc_3", None),
    ("addToBroadcast", "POST", "/broadcasts/bc_3/destinations", {"destination": "dst_9"}),
    ("takeOutOfBroadcast", "DELETE", "/broadcasts/bc_3/destinations/dst_9", None),
    ("dumpBroadcast", "POST", "/broadcasts/bc_3/dump", None),
    ("changeBroadcast", "PATCH", "/broadcasts/bc_3", {"layout": "speaker"}),
    ("stopBroadcast", "POST", "/broadcasts/bc_3/stop", None),
    ("removeDestination", "DELETE", "/destinations/dst_2", None),
    ("removePartner", "DELETE", "/partners/par_1", None),
    ("getTerms", "GET", "/terms", None),
    ("getTermsVersion", "GET", f"/terms/{DEFAULT_TERMS.version}", None),
    ("publishTerms", "POST", "/terms", NEW_TERMS),
    ("listConsents", "GET", "/consents?room=demo", None),
    ("listCopies", "GET", "/consents/copies?identity=ada&room=demo", None),
    ("listTakedowns", "GET", "/takedowns", None),
    ("retryTakedown", "POST", "/takedowns/td_1/retry", None),
    ("acknowledgeTakedown", "POST", "/takedowns/td_1/acknowledgement", {"code": "right"}),
    ("getTakedownKey", "GET", "/takedowns/key", None),
    ("withdraw", "POST", "/consents/withdrawals", {"identity": "ada", "room": "demo"}),
    ("closeRoom", "DELETE", "/rooms/demo", None),
)


def test_every_endpoint_has_a_success_here() -> None:
    elsewhere = {
        "getFile",
        "getRenditionFile",
        "getRenditionCaptions",
        "getRenditionStill",
        "createDevelopmentToken",
        "createGuest",
    }
    assert {name for name, *_ in SUCCESSES} | elsewhere == {endpoint.name for endpoint in ENDPOINTS}
