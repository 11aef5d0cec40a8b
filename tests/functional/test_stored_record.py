# SPDX-License-Identifier: Apache-2.0

"""Backups that have their record beside them, and scans that read it."""

import base64
import json
from unittest import mock
import uuid

from cinder import objects
import ddt
from oslo_utils import timeutils
import testtools

from reference_drivers import options
from reference_drivers import stored_record
from reference_drivers.contract import base
from reference_drivers.scanning import walk
from tests.functional import test_contract_default
from tests.functional import test_zero_chunks


@ddt.ddt
class StoredRecordTest(test_contract_default.Directory, base.Contract,
                       testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.use(True)

    def use(self, value):
        self.cinder.configure(**{f'{options.GROUP}__store_record': value})

    def scanned(self, backup):
        """The finding of a scan about a backup."""
        found, = (one for one in walk.Walk(
            self.cinder.driver().get_store()).run()
            if one.backup_id == backup.id)
        return found

    def metadata(self, backup):
        name = f'{backup.service_metadata}_metadata'
        return json.loads(self.objects.read(backup.container, name))

    def change(self, backup, **changes):
        """Write other metadata."""
        found = {**self.metadata(backup), **changes}
        self.objects.write(
            backup.container, f'{backup.service_metadata}_metadata',
            json.dumps(found, sort_keys=True, indent=2).encode())

    def test_all_that_only_the_row_has(self):
        """Owner, key, snapshot, time and properties come back by a scan."""
        key_id, snapshot_id = str(uuid.uuid4()), str(uuid.uuid4())
        # As a user may call them: names of fields.
        properties = {'parent_id': 'x', '"backup_id": "': '\n'}
        backup, = self.chain(
            base.text(self.chunk), encryption_key_id=key_id,
            metadata=properties, user_id='user', project_id='owner',
            snapshot_id=snapshot_id, data_timestamp=timeutils.utcnow(True))
        found = self.scanned(backup)
        self.assertEqual(('complete', []), (found.kind, found.without))
        record = objects.Backup.decode_record(backup.encode_record())
        for name in (*walk.rebuilding.ONLY_IN_RECORD, 'project_id',
                     'user_id', 'encryption_key_id', 'size', 'created_at'):
            self.assertEqual(record[name], found.fields[name], name)
        self.assertEqual((key_id, properties, 'owner'), tuple(
            found.fields[name] for name in (
                'encryption_key_id', 'metadata', 'project_id')))

    @staticmethod
    def name_driver(backup, driver):
        backup.service = driver
        backup.save()

    def test_nothing_else_is_changed(self):
        """Cinder's driver ignores it, and so does a chain."""
        contents = base.text(2 * self.chunk), base.noise(2 * self.chunk)
        chain = self.chain(*contents)
        self.cinder.configure(backup_driver=test_zero_chunks.CINDER)
        for backup in chain:
            self.assertIn(stored_record.ENTRY, self.metadata(backup))
            self.name_driver(backup, test_zero_chunks.CINDER)
        for backup, content in zip(chain, contents, strict=True):
            self.assert_restores(backup, content)
        self.cinder.configure(backup_driver=self.driver)
        for backup in chain:
            self.name_driver(backup, self.driver)
        for backup, content in zip(chain, contents, strict=True):
            record = self.cinder.export(backup)
            self.cinder.lose_row(backup.id)
            self.assertEqual('available',
                             self.cinder.import_record(record).status)
            self.assert_restores(backup, content)
        self.use(False)
        backup, = self.chain(contents[0])
        self.assertNotIn(stored_record.ENTRY, self.metadata(backup))

    def test_a_record_that_cannot_be_made(self):
        """The backup is one without it."""
        with mock.patch.object(objects.Backup, 'encode_record',
                               side_effect=RuntimeError('no')):
            backup, = self.chain(base.text(self.chunk))
        self.assertNotIn(stored_record.ENTRY, self.metadata(backup))
        self.assert_restores(backup, base.text(self.chunk))
        self.assertLessEqual({*walk.rebuilding.ONLY_IN_RECORD},
                             {*self.scanned(backup).without})

    @ddt.data(None, 7, '', 'x', [], {}, 'W10=',
              base64.b64encode(b'{"id": 1}').decode())
    def test_no_record(self, value):
        """A scan goes on with what else is there."""
        backup, = self.chain(base.text(self.chunk))
        self.change(backup, record=value)
        found = self.scanned(backup)
        self.assertEqual('complete', found.kind)
        self.assertLessEqual({*walk.rebuilding.ONLY_IN_RECORD},
                             {*found.without})

    def test_wrong_fields(self):
        """Each is left out for itself; where the data is, none says."""
        backup, = self.chain(base.text(self.chunk))
        fields = objects.Backup.decode_record(backup.encode_record())
        self.change(backup, record=base64.b64encode(json.dumps({
            **fields, 'snapshot_id': 1, 'metadata': [], 'project_id': 'a/b',
            'data_timestamp': '2026-11-29T02:00:00Z', 'container': 'other',
            'volume_id': 'other', 'parent_id': 'other'}).encode()).decode())
        found = self.scanned(backup)
        self.assertLessEqual({'snapshot_id', 'metadata'}, {*found.without})
        # The volume's.
        self.assertEqual(self.cinder.project_id, found.fields['project_id'])
        self.assertEqual(
            ('2026-11-29T02:00:00Z', backup.container, backup.volume_id,
             None), tuple(found.fields[name] for name in (
                 'data_timestamp', 'container', 'volume_id', 'parent_id')))

    def test_of_another_backup(self):
        one, = self.chain(base.text(self.chunk))
        other, = self.chain(base.text(self.chunk), project_id='other')
        self.change(one, record=self.metadata(other)['record'])
        self.assertNotEqual('other', self.scanned(one).fields['project_id'])
