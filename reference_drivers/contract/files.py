# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""What a record must prove, for a driver whose objects have any form.

Nothing is known of them but what the store adapter says: which objects a
backup has, and that none of their bytes is superfluous.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
from typing import Any

from reference_drivers.contract import records
from reference_drivers.contract import silence


def _flipped(where: float) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        at = min(int(where * len(data)), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]

    return change


#: The lowest level that must find it, and what becomes of an object.
DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    'object missing': ('presence', lambda data: None),
    'object cut off': ('presence', lambda data: data[:-1]),
    'object longer': ('presence', lambda data: data + b'\0'),
    'object empty': ('presence', lambda data: b''),
    'first byte changed': ('content', _flipped(0)),
    'byte changed': ('content', _flipped(0.5)),
    'last byte changed': ('content', _flipped(1)),
}
#: The same object of another backup is in its place.
OF_ANOTHER = 'object of another'


class FilesContract(silence.SilenceContract, records.RecordContract):
    """Records that can be trusted, with one object a backup or with some."""

    damages = {name: (lowest, '{image}')
               for name, (lowest, _) in DAMAGES.items()} | {
                   OF_ANOTHER: ('content', '{image}')}
    early = True
    # Only Cinder's chunked drivers have one that is known to end a restore.
    errors_of_restore = (Exception,)
    #: Which of the objects of a backup is damaged.
    number = 0

    def test_every_damage(self: Any) -> None:
        """Found at its level and named; undone, it imports again."""
        backup, _ = self.chain(*self._contents())
        # More objects than these are more of the same.
        for number in range(min(3, len(self._own(backup)))):
            self.number = number
            super().test_every_damage()

    def _own(self: Any, backup: Any) -> list[str]:
        """The backup's objects; the first, the last, and the others."""
        names = self.objects.list(*self.objects.locate(backup))
        return names[:1] + names[:0:-1]

    def named(self: Any, backup: Any) -> str:
        return self._own(backup)[self.number]

    @contextlib.contextmanager
    def damaged(self: Any, name: str, backup: Any, parent: Any
                ) -> Iterator[None]:
        container, _ = self.objects.locate(backup)
        target = self.named(backup)
        data = self.objects.read(container, target)
        new = (self.objects.read(self.objects.locate(parent)[0],
                                 self.named(parent))
               if name == OF_ANOTHER else DAMAGES[name][1](data))
        if new is None:
            self.objects.delete(container, target)
        else:
            self.objects.write(container, target, new)
        try:
            if new is None:
                # No record may claim what no restore can keep.
                self.rejected(f'{name}: the export', self.cinder.export,
                              backup)
            yield
        finally:
            self.objects.write(container, target, data)

    def restore_damaged(self: Any, name: str, backup: Any, part: str,
                        content: bytes) -> None:
        for volume in (None, self.cinder.create_volume(b'old')):
            self.not_restored(name, backup.id, volume)

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
