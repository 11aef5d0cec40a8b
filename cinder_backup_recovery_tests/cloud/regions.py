# SPDX-License-Identifier: Apache-2.0

"""The ledger of another region, whose ids may be those of the first.

A backup that is shipped has one id at both sites. A
clean-up must know which Cinder has it: a resource of another region is
recorded under its kind and the region, ``backup@RegionTwo``.
"""

from typing import Any

from cinder_backup_recovery_tests.cloud import ledger as resource_ledger

_MARK = '@'


def named_in(ledger: resource_ledger.Ledger) -> list[str]:
    """List the regions of which something may be left."""
    return sorted({entry.kind.partition(_MARK)[2]
                   for entry in ledger.entries() if _MARK in entry.kind})


class RegionLedger(resource_ledger.Ledger):
    """The resources of one other region, under the plain kinds."""

    def __init__(self, ledger: resource_ledger.Ledger, region: str) -> None:
        super().__init__(ledger.directory)
        self._suffix = _MARK + region

    def _append(self, event: dict[str, Any]) -> None:
        if 'kind' in event:
            event = {**event, 'kind': event['kind'] + self._suffix}
        super()._append(event)

    def _events(self, torn: list[str] | None = None) -> list[dict[str, Any]]:
        found = []
        tokens = set()
        for event in super()._events(torn):
            if 'kind' not in event:
                # Of a request that was recorded before, by its token.
                if event['token'] in tokens:
                    found.append(event)
            elif event['kind'].endswith(self._suffix):
                tokens.add(event.get('token'))
                found.append({**event, 'kind': event['kind'].removesuffix(
                    self._suffix)})
        return found
