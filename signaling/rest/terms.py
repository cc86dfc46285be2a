"""The terms: read by everybody, published by an administrator."""

import time

from policy import Media, TermsDocument, TermsUse, Use
from signaling.errors import Problem
from signaling.rest.bodies import TermsBody
from signaling.rest.endpoint import Call, Operations
from signaling.views import TermsText, terms_text

api = Operations(problems=("not_found",))


@api("GET", "/terms", "getTerms", "The terms in force", is_public=True)
async def _current(call: Call) -> TermsText:
    document = call.context.services.rooms.consent.policy.terms.current(time.time_ns() // 1_000_000)
    if document is None:
        raise Problem("not_found", "No terms are in force yet")
    return terms_text(document)


@api("GET", "/terms/{version}", "getTermsVersion", "A version of the terms", is_public=True)
async def _version(call: Call) -> TermsText:
    document = call.context.services.rooms.consent.policy.terms.get(call.part("version"))
    if document is None:
        raise Problem("not_found", "There is no such version of the terms")
    return terms_text(document)


@api(
    "POST",
    "/terms",
    "publishTerms",
    "Publish a version of the terms",
    body=TermsBody,
    status=201,
    problems=("conflict",),
)
async def _publish(call: Call) -> TermsText:
    body: TermsBody = call.body
    consent = call.context.services.rooms.consent
    if consent.policy.terms.get(body.version) is not None:
        raise Problem(
            "conflict", "That version is published, and published terms never change: choose another name"
        )
    document = TermsDocument(
        version=body.version,
        number=max(item.number for item in consent.policy.terms.documents) + 1,
        title=body.title,
        effective_at_ms=body.effective_ms,
        is_material=body.material,
        paragraphs=tuple(body.paragraphs),
        age_statement=body.age_statement,
        uses=tuple(
            TermsUse(
                use=Use(item.use),
                title=item.title,
                text=item.text,
                media=frozenset(Media(kind) for kind in item.media),
            )
            for item in body.uses
        ),
    )
    await consent.policy.publish(document)
    return terms_text(document)
