"""Partner sites: registered, changed, shut out; what their terms do not cover is cut at once."""

from collections.abc import Sequence

from rebroadcast.on_air import OnAir
from rebroadcast.registry import Registry
from rebroadcast.takedowns import Takedowns
from rebroadcast.types import PartnerChange, PartnerInfo
from rooms import RoomService


class Partners:
    """The sites that rooms are sent to, and what they agreed to."""

    def __init__(self, registry: Registry, stage: OnAir, rooms: RoomService, takedowns: Takedowns) -> None:
        self._registry = registry
        self._stage = stage
        self._rooms = rooms
        self._takedowns = takedowns

    async def add(
        self,
        *,
        name: str,
        site: str,
        policy_url: str,
        uses: Sequence[str],
        terms_version: str,
        origins: Sequence[str] = (),
        takedown_url: str | None = None,
        from_ms: int = 0,
        until_ms: int | None = None,
    ) -> PartnerInfo:
        """Registers a partner site. Raises: as `Registry.add_partner`."""
        info = await self._registry.add_partner(
            name=name,
            site=site,
            policy_url=policy_url,
            uses=uses,
            terms_version=terms_version,
            origins=origins,
            takedown_url=takedown_url,
            from_ms=from_ms,
            until_ms=until_ms,
        )
        await self._rooms.consent.policy.reload_partners()
        return info

    async def change(self, partner: str, change: PartnerChange) -> PartnerInfo:
        """Changes what a partner agreed to; what its terms no longer cover is cut when this returns.

        Raises:
            BroadcastNotFound: there is none; BroadcastInvalid.
        """
        info = await self._registry.change_partner(partner, change)
        await self._rooms.consent.policy.reload_partners()
        if change.takedown_url:
            await self._takedowns.readdressed(partner)
        return info

    async def get(self, partner: str) -> PartnerInfo | None:
        """One partner site; None when there is none."""
        return next((info for info in await self._registry.partners() if info.id == partner), None)

    async def all(self) -> list[PartnerInfo]:
        """All partner sites."""
        return await self._registry.partners()

    async def block(self, partner: str, *, is_blocked: bool) -> PartnerInfo:
        """Turns a partner's kill switch; blocked, everything that goes there has ended when this returns.

        Raises:
            BroadcastNotFound: there is none.
        """
        try:
            if is_blocked:
                await self._stage.shut_out(partner)
            info = await self._registry.block(partner, is_blocked=is_blocked)
            if is_blocked:
                await self._stage.shut_out(partner)  # the opposite may have been asked for meanwhile
        except BaseException:
            self._stage.let_in(partner)
            raise
        if not is_blocked:
            self._stage.let_in(partner)
        await self._rooms.consent.policy.reload_partners()
        return info

    async def remove(self, partner: str) -> None:
        """Removes a partner without destinations. Raises: as `Registry.remove_partner`."""
        await self._registry.remove_partner(partner)
        await self._rooms.consent.policy.reload_partners()
