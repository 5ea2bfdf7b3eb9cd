"""Which route takes an instance, and what the header alone decides."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import RouteSettings, Settings
from gateway.domain.attributes import InstanceAttributes
from gateway.domain.outcome import InstanceOutcome, Policy
from gateway.routing.eligibility import check
from gateway.routing.rules import Condition, Lookup, compile_condition


@dataclass(frozen=True, slots=True)
class Decision:
    """outcome is None when the instance is eligible as far as its header tells. reason: a rule's or attribute's name."""

    route: str | None
    outcome: InstanceOutcome | None
    reason: str
    policy: Policy | None = None
    """Of the route."""


class Router:
    """Routes in their order; the first whose condition holds takes the instance. ConfigurationError for a wrong condition."""

    def __init__(self, settings: Settings, *, accept_for_processing: bool = False) -> None:
        """accept_for_processing: the bundle's word (`preprocessing.accept_for_processing`)."""
        self._eligibility = settings.eligibility
        self._accept_for_processing = accept_for_processing
        self._routes: tuple[tuple[RouteSettings, Condition], ...] = tuple(
            (route, compile_condition(route.when, f"routes.{route.name}.when")) for route in settings.routes
        )
        self._names = frozenset(route.name for route in settings.routes)
        self._peer_routes = {peer.name: frozenset(peer.routes) for peer in settings.peers}

    def decide(self, attributes: InstanceAttributes, lookup: Lookup, peer: str | None = None) -> Decision:
        """peer: the name of the `[[peers]]` table that admitted the sender; None = not bound to one, every route is tried."""
        allowed = self._allowed(peer)
        route = next((route for route, condition in self._routes if route.name in allowed and condition.holds(lookup)), None)
        if route is None:
            return Decision(None, InstanceOutcome.INELIGIBLE_ROUTE, "no route matched" if allowed else "peer is no longer configured")
        refusal = check(attributes, self._eligibility, accept_for_processing=self._accept_for_processing)
        if refusal is not None:
            return Decision(route.name, refusal.outcome, refusal.reason, route.policy)
        return Decision(route.name, None, "eligible", route.policy)

    def _allowed(self, peer: str | None) -> frozenset[str]:
        """Where peers have routes of their own, one that is gone has none: which were meant for it is no longer known."""
        if peer is None or not any(self._peer_routes.values()):
            return self._names
        if peer not in self._peer_routes:
            return frozenset()
        return self._peer_routes[peer] or self._names
