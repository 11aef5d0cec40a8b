# SPDX-License-Identifier: Apache-2.0

"""Remains of backups on a storage, for tests."""

import base64
import json

import testtools

from reference_drivers.contract import base
from reference_drivers.scanning import rebuilding
from reference_drivers.scanning import walk

#: The class that a scan gives each kind.
CLASSES = {
    'chunks': 'unfinished',
    'no metadata': 'unfinished',
    'deleted in order': 'deleted',
    'deleted metadata first': 'deleted',
    'empty chunk': 'damaged',
    'metadata cut off': 'damaged',
    'later version': 'foreign',
}


def _encoded(fields):
    """A record as text; not each release has what openstacksdk needs."""
    return base64.b64encode(json.dumps(fields).encode()).decode()


def leave(objects, container, prefix, kind):
    """Leave of a backup only what this kind has.

    :param objects: the :class:`backup_stores.objects.ObjectStore`
    """
    metadata, hashes = f'{prefix}_metadata', f'{prefix}_sha256file'
    chunks = sorted(set(objects.list(container, prefix)) - {metadata, hashes})
    half = len(chunks) // 2 + 1
    if kind in ('chunks', 'no metadata', 'deleted metadata first'):
        objects.delete(container, metadata)
    if kind == 'chunks':
        for name in (hashes, *chunks[half:]):
            objects.delete(container, name)
    elif kind.startswith('deleted'):
        for name in chunks[:half]:
            objects.delete(container, name)
    elif kind == 'empty chunk':
        # The file may be a link to those of other copies.
        objects.delete(container, chunks[-1])
        objects.write(container, chunks[-1], b'')
    elif kind == 'metadata cut off':
        objects.write(container, metadata,
                      objects.read(container, metadata)[:-9])
    elif kind == 'later version':
        objects.write(container, metadata, json.dumps({
            **json.loads(objects.read(container, metadata)),
            'version': '9.0.0'}).encode())


class Scanned(base.Contract, testtools.TestCase):
    """A real store is scanned by the reference driver for it."""

    def test_scanned(self):
        """Each class is found, and what is complete comes back."""
        contents = [base.text(5 * self.chunk)]
        contents.append(self.changed(contents[0], 1, 7))
        backups = self.chain(*contents)
        expected = {one.id: 'complete' for one in backups}
        for kind, found in CLASSES.items():
            backup, = self.chain(contents[0])
            expected[backup.id] = found
            leave(self.objects, *self.objects.locate(backup), kind)
        container, _ = self.objects.locate(backups[0])
        self.objects.write(container, 'volume_1', b'not of a backup')
        expected[None] = 'foreign'
        before = self.snapshot(*self.cinder.made)
        driver = self.cinder.driver()
        store = driver.get_store()
        # Those of other tests are in others.
        containers = {self.objects.locate(one)[0] for one in self.cinder.made}
        found = {one.backup_id: one for one in walk.Walk(
            store, 60, sorted(containers)).run()}
        self.assertEqual(expected, {backup: one.kind
                                    for backup, one in found.items()})
        self.assertEqual(before, self.snapshot(*self.cinder.made))
        whole = {one.id: found[one.id] for one in backups}
        rebuilding.link_up(whole)
        for level in self.levels:
            self.cinder.configure(backup_import_verify__level=level)
            for one in backups:
                self.cinder.lose_row(one.id)
            for one in backups:
                imported = self.cinder.import_record({
                    'backup_service': self.driver,
                    'backup_url': _encoded({
                        **whole[one.id].fields,
                        'driver_info': rebuilding.describe(
                            whole[one.id], whole, store,
                            driver.store_kind)})})
                self.assertEqual('available', imported.status)
        for one, content in zip(backups, contents, strict=True):
            self.assert_restores(one, content)
