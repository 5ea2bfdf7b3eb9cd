"""Where a withheld report may go by today's settings: a release does not open what the site's policy has closed."""

from __future__ import annotations

from gateway.config import Settings
from gateway.domain.operator import Operator
from gateway.domain.outcome import Policy
from gateway.errors import ReleaseRefusedError
from gateway.routing.study_route import strictest_route
from gateway.store.database import Database
from gateway.store.releases import Released, Releases, Withheld


def release_result(settings: Settings, database: Database, key: str, operator: Operator) -> Released:
    """See `Releases.release`."""

    def destinations_of(withheld: Withheld) -> tuple[str, ...]:
        route = strictest_route(settings, withheld.routes)
        if route.policy.openness < withheld.policy.openness or route.policy in (Policy.SHADOW, Policy.SILENT):
            raise ReleaseRefusedError(f"its route's policy is {route.policy} by now")
        return tuple(name for name in route.destinations if name not in withheld.closed)

    return Releases(database).release(key, destinations_of, operator)
