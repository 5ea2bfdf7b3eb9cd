"""The one route of a study whose images may have come by several. Pure: settings and names in, a route out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.config import RouteSettings, Settings
from gateway.domain.outcome import Policy

_FROM_STRICTEST: Final = (Policy.SHADOW, Policy.SILENT, Policy.POSITIVE_ONLY, Policy.ALL)


def strictest_route(settings: Settings, names: Iterable[str]) -> RouteSettings:
    """The strictest policy of them holds, and the destinations that all of them have. At least one name."""
    # a route that is no longer configured cannot say what it would allow
    routes = [settings.route(name) or RouteSettings(name=name, policy=Policy.SHADOW) for name in sorted(set(names))]
    strictest = min(routes, key=lambda route: _FROM_STRICTEST.index(route.policy))
    common = tuple(name for name in strictest.destinations if all(name in route.destinations for route in routes))
    return strictest.model_copy(update={"destinations": common})
