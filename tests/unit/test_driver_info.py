# SPDX-License-Identifier: Apache-2.0

"""Records of every version that was ever exported, and edited ones.

``driver_info_v1`` has the records of a chain of two and its objects, made by
the DefaultBackupDriver of the first release. It is never made again.
"""

import json
import os
import shutil
from unittest import mock

from cinder.objects import backup as backup_objects
import testtools

from reference_drivers import driver_info as driver_infos
from reference_drivers.ceph import driver_info as ceph_driver_infos
from reference_drivers.contract import environment
from reference_drivers.recovery_keys import wrapping
from reference_drivers.verification import errors

_HERE = os.path.dirname(os.path.abspath(__file__))


class OldRecordsTest(testtools.TestCase):

    def test_version_1(self):
        source = os.path.join(_HERE, 'driver_info_v1')
        with open(os.path.join(source, 'records.json')) as stream:
            full, child = json.load(stream)
        for level in ('record', 'presence', 'content'):
            cinder = environment.Environment(
                'reference_drivers.default.DefaultBackupDriver',
                {'backup_import_verify__level': level})
            with cinder:
                shutil.copytree(os.path.join(source, 'store'),
                                os.path.join(cinder.directory, 'backup'))
                imported = [cinder.import_record(one)
                            for one in (child, full)]
                self.assertEqual(['available'] * 2,
                                 [one.status for one in imported])
                for backup, words in zip(
                        imported, (b'version I ', b'version 1 '),
                        strict=True):
                    self.assertEqual(bytes(70000) + words * 3000,
                                     cinder.restore(backup.id))
                # What is exported now is the same but for the place.
                again = cinder.export(imported[0])
                old, new = (
                    backup_objects.Backup.decode_record(
                        one['backup_url'])['driver_info']
                    for one in (child, again))
                self.assertEqual({**old, 'location': new['location']}, new)


class NamesTest(testtools.TestCase):

    def test_names_of_parents_come_back(self):
        backup_id = '6f1f7b3e-8f6b-4a52-9c0f-000000000001'
        volume_id = '7f1f7b3e-8f6b-4a52-9c0f-000000000002'
        for name in (f'6f/1f/{backup_id}', 'volumebackups', 'a{b}c{v}{c}',
                     '{', '=x', f'x{backup_id}{volume_id}{backup_id}',
                     f'volume_{volume_id}_2026_backup_{backup_id}'):
            short = driver_infos.shorten(name, backup_id, volume_id)
            self.assertLessEqual(len(short), len(name) + 1)
            self.assertEqual(name, driver_infos.lengthen(
                short, backup_id, volume_id))

    def test_no_object(self):
        for value in ([], 'x', 1, None):
            self.assertRaises(errors.WrongRecord, driver_infos.check, value,
                              'id')


class RoomTest(testtools.TestCase):

    def test_parents_in_ceph(self):
        """They leave room for a key that is wrapped for more recipients."""
        parents = [f'{number:036d}' for number in range(100)]
        seen = mock.Mock(size=1, meta=b'', place=mock.Mock(
            url='rbd://p/i@s', image='i', snapshot='s'))
        lengths = set()
        for wrapped in (None, {'tag': 't' * 100}, {'tag': 't' * 1500}):
            info = ceph_driver_infos.make(
                mock.Mock(id='b', volume_id='v', parent_id=parents[0],
                          snapshot_id=None, size=1),
                mock.Mock(pool='p', base='i'), seen, None, parents,
                wrapped and {'fingerprint': 'f', 'wrapped': wrapped})
            left = driver_infos.LIMIT - len(json.dumps(info))
            self.assertLess(0, left)
            lengths.add(len(info['parents']))
            if wrapped:
                self.assertLess(wrapping.ROOM - len(json.dumps(wrapped)),
                                left)
        self.assertEqual(2, len(lengths), lengths)

    def test_wrapped_key_without_room(self):
        """No record, and not one that lacks its key."""
        info = {'backup_id': 'b', 'container': 'c' * 4096,
                'encryption': {'fingerprint': None}}
        self.assertIs(info, driver_infos.limited(info))
        info['encryption']['wrapped'] = {'tag': 't'}
        err = self.assertRaises(errors.WrongRecord, driver_infos.limited,
                                info)
        self.assertIn('name fewer recovery_recipients', str(err))
        info['container'] = 'c' * 3000
        self.assertIs(info, driver_infos.limited(info))
