# SPDX-License-Identifier: Apache-2.0

"""The contract of a driver whose objects have any form.

Nothing is known of a backup but the names of its objects, and that none of
their bytes is superfluous.
"""

from collections.abc import Iterator
import contextlib
import functools
from typing import Any

from backup_stores import base as stores_base
from backup_stores import objects
from reference_drivers.contract import records
from reference_drivers.contract import silence


class FilesContract(silence.SilenceContract, records.RecordContract):
    """Records that can be trusted, with one object a backup or with some."""

    early = True
    # Only Cinder's chunked drivers have one that is known to end a restore.
    errors_of_restore = (Exception,)

    def events(self: Any, backups: list[Any], other: list[Any]
               ) -> Iterator[records.Event]:
        # Whatever the store knows of other backups in it.
        for damage in objects.ObjectStore.damages(self.objects, backups[-1]):
            yield records.Event(
                damage.name, damage.level,
                functools.partial(self.damaged, damage, backups[-1],
                                  other[-1]),
                # A driver may name what it likes.
                after_import=(),
                export_fails=damage.family == stores_base.DATA_MISSING)

    def hostile(self: Any, backup: Any, other: Any
                ) -> list[tuple[str, dict[str, Any]]]:
        found: list[tuple[str, dict[str, Any]]] = [
            ('parent', {'parent_id': backup.id}),
            ('size', {'size': 2}),
            ('size', {'size': 0}),
            ('volume_id', {'volume_id': other.volume_id})]
        for field in ('container', 'service_metadata'):
            own, theirs = getattr(backup, field), getattr(other, field)
            if own:
                found += [(field, {field: value})
                          for value in ('', None, f'../{own}', '/etc')]
            if own != theirs:
                found.append((field, {field: theirs}))
        return found

    def delete_and_put_back(self: Any, backup: Any, values: dict[str, Any]
                            ) -> None:
        container, prefix = self.objects.locate(backup)
        kept = {name: self.objects.read(container, name)
                for name in self.objects.list(container, prefix)}
        # It may refuse to delete by such a row.
        with contextlib.suppress(Exception):
            self.cinder.delete(backup.id)
        there = self.objects.list(container, prefix)
        for name, data in kept.items():
            if name not in there:
                self.objects.write(container, name, data)
