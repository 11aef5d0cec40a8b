# SPDX-License-Identifier: Apache-2.0

"""A random sequence of what is done with encrypted volumes at two sites.

After each step every volume and backup has a key of its own in its site's key
manager, the right one, and there is no other.
"""

import collections
import dataclasses
import random

from castellan.common import exception as castellan_exception
from cinder import exception

from reference_drivers.contract import base
from tests.key_sequences import sites as site_module

_LENGTH = 100_000
# At a site.
_VOLUMES = 3
#: How often each step is chosen.
_WEIGHTS = {'create': 1, 'write': 1, 'back_up': 4, 'ship': 5, 'restore': 4,
            'delete_backup': 3, 'delete_volume': 1, 'lose_rows': 1,
            'lose_database': 1, 'restore_to_plain': 1, 'away': 2}
#: What Cinder, castellan and the driver end requests with.
ERRORS = (exception.CinderException, castellan_exception.CastellanException)


class Lost(Exception):
    """A key is lost or left over, or the data is another."""


@dataclasses.dataclass(frozen=True)
class Volume:
    """The things that a volume must have."""

    content: bytes
    key: bytes


@dataclasses.dataclass(frozen=True)
class Backup:
    """The things that a backup must have, at each site that has it."""

    id: str
    volume_id: str
    parent_id: str | None
    content: bytes
    key: bytes


class Sequence:
    """One sequence, the same each time for a seed.

    :param sites: both, without volumes
    :param seed: of the choices
    :ivar told: the steps that were begun, for people
    :ivar wrong: what was wrong after the last of them, None for nothing
    :ivar done: how often each step was done
    """

    def __init__(self, sites, seed):
        self._sites, self._cinder = sites, sites.cinder
        self._random = random.Random(seed)
        self._known = {}
        self._generation = 0
        self.kind = sites.kind
        self.told, self.wrong = [], None
        self.done = collections.Counter()

    def run(self, length):
        """Do so many steps, and delete everything.

        :raises Lost: saying what is wrong after the last step of ``told``
        """
        for site in self._sites.sites:
            self._at(site)
            self._create(site)
            self._back_up(site)
        while sum(self.done.values()) < length:
            name, = self._random.choices([*_WEIGHTS], [*_WEIGHTS.values()])
            site = self._random.choice(self._sites.sites)
            self._at(site)
            if getattr(self, f'_{name}')(site):
                self.done[name] += 1
                self.check()
        for site in self._sites.sites:
            self._at(site)
            self._say(f'everything at {site.name} is deleted')
            for backup_id in [*site.backups][::-1]:
                self._cinder.delete(backup_id)
                del site.backups[backup_id]
            for volume_id in [*site.volumes]:
                self._sites.delete_volume(volume_id)
                del site.volumes[volume_id]
            self.check()
        if self._sites.stored():
            raise Lost(f'files are left: {self._sites.stored()}')

    def check(self):
        """Compare the keys of the key managers with those of the rows.

        :raises Lost: saying what is wrong
        """
        for manager, its in self._sites.managers():
            project = self._cinder.project_id
            found = manager.ids(project)
            wanted = {}
            for site in its:
                things = site.volumes | site.backups
                rows = self._sites.row_keys(site)
                if rows.keys() != things.keys():
                    raise Lost(f'rows at {site.name}: {sorted(rows)} and not '
                               f'{sorted(things)}')
                for row, key_id in rows.items():
                    self._check_key(manager, found, site, things[row], row,
                                    key_id)
                    place = f'{row} at {site.name}'
                    other = wanted.setdefault(key_id, place)
                    if other != place or key_id in site.left:
                        raise Lost(f'key {key_id} of {place} is that of '
                                   f'{other}, too, or was lost')
            left = set().union(*(site.left for site in its))
            if found - wanted.keys() - left:
                raise Lost(f'keys of no volume and no backup are left over: '
                           f'{sorted(found - wanted.keys() - left)}')
            if left - found:
                raise Lost(f'keys that records name are deleted: '
                           f'{sorted(left - found)}')

    def _check_key(self, manager, found, site, thing, row, key_id):
        if key_id not in found:
            raise Lost(f'{row} at {site.name} has lost its key {key_id}')
        if key_id not in self._known:
            self._known[key_id] = manager.key(self._cinder.project_id, key_id)
        if self._known[key_id] != thing.key:
            raise Lost(f'{row} at {site.name} has another key than its '
                       f'data, {key_id}')

    def _at(self, site):
        self._sites.go(site)

    def _say(self, text):
        self.told.append(text)

    def _pick(self, things):
        return self._random.choice([*things]) if things else None

    # Steps: each returns whether it could be done.

    def _create(self, site):
        if len(site.volumes) >= _VOLUMES:
            return False
        content = self._content()
        volume = self._cinder.create_volume(content, type_id=site.type_id)
        self._say(f'volume {volume.id} is made at {site.name}')
        key_id = volume.encryption_key_id
        key = b''
        if self._sites.kind != site_module.FIXED:
            key = self._known[key_id] = site.manager.key(
                self._cinder.project_id, key_id)
        site.volumes[volume.id] = Volume(content, key)
        return True

    def _content(self):
        self._generation += 1
        return base.text(_LENGTH, self._generation)

    def _write(self, site):
        volume_id = self._pick(site.volumes)
        if volume_id is None:
            return False
        self._say(f'volume {volume_id} at {site.name} is written')
        old = site.volumes[volume_id]
        # The second half stays: an incremental backup has less to store.
        new = self._content()[:_LENGTH // 2] + old.content[_LENGTH // 2:]
        self._cinder.write_volume(volume_id, new)
        site.volumes[volume_id] = dataclasses.replace(old, content=new)
        return True

    def _back_up(self, site):
        volume_id = self._pick(site.volumes)
        if volume_id is None:
            return False
        before = [one for one in site.backups.values()
                  if one.volume_id == volume_id]
        parent = before[-1] if before and self._random.random() < 0.6 else (
            None)
        self._say(f'volume {volume_id} at {site.name} is backed up'
                  f'{f" on {parent.id}" if parent else ""}')
        row = self._cinder.create_backup(
            self._sites.volume(volume_id),
            self._cinder.backup(parent.id) if parent else None)
        volume = site.volumes[volume_id]
        site.backups[row.id] = Backup(row.id, volume_id, row.parent_id,
                                      volume.content, volume.key)
        return True

    def _other(self, site):
        return next(one for one in self._sites.sites if one is not site)

    def _ship(self, site):
        """Ship a backup, with the parents that are not there."""
        target = self._other(site)
        found = self._pick([one for one in site.backups
                            if one not in target.backups])
        chain = []
        while found is not None and found not in target.backups:
            chain.insert(0, found)
            found = site.backups[found].parent_id
        for backup_id in chain:
            self._say(f'backup {backup_id} is shipped to {target.name}')
            self._at(site)
            record = self._sites.record(backup_id)
            self._sites.copy(record, site, target)
            self._at(target)
            if (self._sites.kind == site_module.SEPARATE and
                    self._random.random() < 0.3):
                self._say('first without the private key')
                self._refused('the key manager has no key', lambda record=(
                    record): self._sites.import_alone(record))
                self._cinder.delete(backup_id)
                # A row that was deleted here before still names its data,
                # which went with it.
                self._sites.copy(record, site, target)
            self._import(record)
            target.backups[backup_id] = site.backups[backup_id]
        return bool(chain)

    def _import(self, record):
        if self._sites.kind == site_module.FIXED or (
                self._sites.kind == site_module.SHARED and
                self._random.random() < 0.5):
            self._sites.import_alone(record)
        else:
            self._sites.import_with_key(record)
        row = self._cinder.backup(record.id)
        if row.status != 'available':
            raise Lost(f'backup {record.id} is {row.status} after its '
                       f'import: {row.fail_reason}')

    @staticmethod
    def _refused(words, function):
        """A request ends in an error that has some words."""
        try:
            function()
        except Exception as err:
            if words in str(err):
                return
            raise Lost(f'"{words}" is not in the error: {err}') from err
        raise Lost(f'no error: "{words}"')

    def _restore(self, site):
        backup_id = self._pick(site.backups)
        if backup_id is None:
            return False
        self._restored(site, backup_id, self._pick([None, *site.volumes]))
        return True

    def _restored(self, site, backup_id, volume_id):
        """Restore a backup and compare.

        :param volume_id: of the target, a new one if it is None
        """
        backup = site.backups[backup_id]
        if volume_id is None:
            volume_id = self._cinder.create_volume(type_id=site.type_id).id
        self._say(f'backup {backup_id} is restored to volume {volume_id} at '
                  f'{site.name}')
        restored = self._cinder.restore(backup_id,
                                        self._sites.volume(volume_id))
        if restored != backup.content:
            raise Lost(f'backup {backup_id} is restored with other data')
        site.volumes[volume_id] = Volume(backup.content, backup.key)

    def _restore_to_plain(self, site):
        """As the command of each user does, without a type."""
        backup_id = self._pick(site.backups)
        if backup_id is None:
            return False
        self._say(f'backup {backup_id} is restored to a plain volume at '
                  f'{site.name}')
        target = self._cinder.create_volume(base.noise(10))
        # A fixed key has no name: where the type of its volume is unknown,
        # the one to use cannot be named.
        self._refused('restore to a volume of ' + (
            '' if self._sites.kind == site_module.FIXED else 'type LUKS'),
            lambda: self._cinder.restore(backup_id, target))
        target.destroy()
        return True

    def _delete_backup(self, site):
        backup_id = self._pick([one for one in site.backups
                                if not site.children(one)])
        if backup_id is None:
            return False
        self._say(f'backup {backup_id} is deleted at {site.name}')
        self._cinder.delete(backup_id)
        del site.backups[backup_id]
        return True

    def _delete_volume(self, site):
        volume_id = self._pick(site.volumes)
        if volume_id is None:
            return False
        self._say(f'volume {volume_id} is deleted at {site.name}')
        self._sites.delete_volume(volume_id)
        del site.volumes[volume_id]
        return True

    # Loss

    def _lose_rows(self, site):
        """Lose the rows of some backups, and import them."""
        lost = [one for one in site.backups if self._random.random() < 0.5]
        if not lost:
            return False
        soft = self._random.random() < 0.3
        self._say(f'rows at {site.name} are '
                  f'{"marked as deleted" if soft else "lost"}: {lost}')
        found = [self._sites.record(one) for one in lost]
        for backup_id in lost:
            key_id = self._cinder.backup(backup_id).encryption_key_id
            if not soft:
                site.left.add(key_id)
            self._cinder.lose_row(backup_id, soft)
        for record in found:
            self._import(record)
        return True

    def _lose_database(self, site):
        if not site.backups:
            return False
        self._say(f'the database of {site.name} is lost')
        found = [self._sites.record(one) for one in site.backups]
        site.left |= {*self._sites.row_keys(site).values()}
        self._sites.lose_database()
        site.volumes.clear()
        for record in found:
            self._import(record)
        return True

    # Faults

    def _away(self, site):
        """Each request ends in an error while the key manager is away.

        It changes nothing, and can be repeated.
        """
        backup_id = self._pick([one for one in site.backups
                                if not site.children(one)])
        if backup_id is None or self._sites.kind == site_module.FIXED:
            return False
        what = self._pick(['export', 'import', 'restore', 'delete'])
        self._say(f'the key manager is away: {what} of {backup_id} at '
                  f'{site.name}')
        record = self._sites.record(backup_id)
        volume = self._cinder.create_volume(type_id=site.type_id)
        if what == 'import':
            site.left.add(self._cinder.backup(backup_id).encryption_key_id)
            self._cinder.lose_row(backup_id)
        with self._sites.away():
            self._refused('the key manager did not give key', {
                'export': lambda: self._sites.record(backup_id),
                'import': lambda: self._sites.import_alone(record),
                'restore': lambda: self._cinder.restore(backup_id, volume),
                'delete': lambda: self._cinder.delete(backup_id)}[what])
        self._sites.delete_volume(volume.id)
        if what == 'import':
            # Of an import that failed only the row is deleted.
            self._cinder.delete(backup_id)
            self._import(record)
        if what == 'delete':
            # It can be repeated, or given up.
            row = self._cinder.backup(backup_id)
            if row.status != 'error' or not row.fail_reason:
                raise Lost(f'backup {backup_id} is {row.status} after a '
                           f'delete that failed')
            row.status = 'available'
            row.save()
            self._restored(site, backup_id, None)
        return True
