"""The one route of a study whose images may have come by several. Pure: settings and names in, a route out."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.config import RouteSettings, Settings
from gateway.domain.outcome import Policy


def strictest_route(settings: Settings, names: Iterable[str], decided: Iterable[Policy] = ()) -> RouteSettings:
    """The strictest policy of them holds, and the destinations that all of them have. At least one name.

    decided: the policies that the images were decided under; one that is stricter than today's still holds (ADR 0004).
    """
    # a route that is no longer configured cannot say what it would allow
    routes = [settings.route(name) or RouteSettings(name=name, policy=Policy.SHADOW) for name in sorted(set(names))]
    strictest = min(routes, key=lambda route: route.policy.openness)
    common = tuple(name for name in strictest.destinations if all(name in route.destinations for route in routes))
    policy = min((strictest.policy, *decided), key=lambda policy: policy.openness)
    return strictest.model_copy(update={"destinations": common, "policy": policy})
