# SPDX-License-Identifier: Apache-2.0
import base64
import json

import ddt
import testtools

from cinder_backup_recovery_tests import exceptions
from cinder_backup_recovery_tests import record

SERVICE = 'cinder.backup.drivers.posix.PosixBackupDriver'

# Written by cinder 29's Backup.encode_record(driver_info={}).
EXPORTED = (
    'eyJkcml2ZXJfaW5mbyI6IHt9LCAiaWQiOiAiNmYxZjdiM2UtOGY2Yi00YTUyLTljMGYtOWQz'
    'YjZhNGYwMDAxIiwgInVzZXJfaWQiOiAidSIsICJwcm9qZWN0X2lkIjogInAiLCAidm9sdW1l'
    'X2lkIjogIjZmMWY3YjNlLThmNmItNGE1Mi05YzBmLTlkM2I2YTRmMDAwMiIsICJob3N0Ijog'
    'bnVsbCwgImF2YWlsYWJpbGl0eV96b25lIjogbnVsbCwgImNvbnRhaW5lciI6IG51bGwsICJw'
    'YXJlbnRfaWQiOiBudWxsLCAic3RhdHVzIjogImF2YWlsYWJsZSIsICJmYWlsX3JlYXNvbiI6'
    'IG51bGwsICJzaXplIjogMSwgImRpc3BsYXlfbmFtZSI6ICJuXHUwMGU0bWUiLCAiZGlzcGxh'
    'eV9kZXNjcmlwdGlvbiI6IG51bGwsICJzZXJ2aWNlX21ldGFkYXRhIjogbnVsbCwgInNlcnZp'
    'Y2UiOiAiY2luZGVyLmJhY2t1cC5kcml2ZXJzLnBvc2l4LlBvc2l4QmFja3VwRHJpdmVyIiwg'
    'Im9iamVjdF9jb3VudCI6IDMsICJ0ZW1wX3ZvbHVtZV9pZCI6IG51bGwsICJ0ZW1wX3NuYXBz'
    'aG90X2lkIjogbnVsbCwgIm51bV9kZXBlbmRlbnRfYmFja3VwcyI6IDAsICJzbmFwc2hvdF9p'
    'ZCI6IG51bGwsICJkYXRhX3RpbWVzdGFtcCI6ICIyMDI2LTAxLTAyVDAzOjA0OjA1WiIsICJy'
    'ZXN0b3JlX3ZvbHVtZV9pZCI6IG51bGwsICJtZXRhZGF0YSI6IHsiYSI6ICJcdTAwZmMifSwg'
    'ImVuY3J5cHRpb25fa2V5X2lkIjogbnVsbCwgImNyZWF0ZWRfYXQiOiBudWxsLCAidXBkYXRl'
    'ZF9hdCI6IG51bGwsICJkZWxldGVkX2F0IjogbnVsbCwgImRlbGV0ZWQiOiBudWxsfQ==')


def _b64(text):
    return base64.b64encode(text.encode('utf-8')).decode('ascii')


@ddt.ddt
class DecodeTest(testtools.TestCase):
    def test_real_record(self):
        fields = record.decode(EXPORTED)
        self.assertEqual('6f1f7b3e-8f6b-4a52-9c0f-9d3b6a4f0001', fields['id'])
        self.assertEqual('n\u00e4me', fields['display_name'])
        self.assertEqual({}, fields['driver_info'])

    def test_round_trip_gives_the_same_string(self):
        self.assertEqual(EXPORTED, record.encode(record.decode(EXPORTED)))

    @ddt.data(
        (None, 'backup_url is not text but null'),
        (b'e30=', 'backup_url is not text but bytes'),
        ('', 'backup_url is empty'),
        ('e3-9', "backup_url is not base64: '-' at character 2 of 4"),
        ('e30=e30=', "backup_url is not base64: '=' at character 3 of 8"),
        ('e30', 'backup_url is not base64: it is cut off or wrongly padded '
                'at character 3'),
        ('e30==', 'backup_url is not base64: it is cut off or wrongly padded '
                  'at character 5'),
        ('e30=\n', "backup_url is not base64: '=' at character 3 of 5"),
        ('/w==', 'backup_url is base64 of something that is not UTF-8: byte '
                 '0xff at offset 0'),
        (_b64('{"a": x}'), 'backup_url is base64 of something that is not '
                           'JSON: Expecting value at character 6 of 8'),
        (_b64('[1]'), 'backup_url is not a JSON object but list'),
        (_b64('null'), 'backup_url is not a JSON object but null'),
        (_b64('{"a": NaN}'), 'backup_url is not JSON: NaN is not a JSON '
                             'value'),
        (_b64('{"id": 1, "id": 2}'), 'backup_url has the field id twice'),
        (_b64('[' * 100000), 'backup_url is JSON that is nested too deeply'),
    )
    @ddt.unpack
    def test_refused(self, backup_url, message):
        err = self.assertRaises(exceptions.InvalidRecord, record.decode,
                                backup_url)
        self.assertEqual(message, str(err))

    def test_cut_off_anywhere_is_refused(self):
        for length in range(len(EXPORTED)):
            self.assertRaises(exceptions.InvalidRecord, record.decode,
                              EXPORTED[:length])

    def test_encode_refuses_what_json_cannot_hold(self):
        self.assertRaises(exceptions.InvalidRecord, record.encode,
                          {'id': object()})


class BackupRecordTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.record = record.BackupRecord(SERVICE, EXPORTED)

    def test_from_and_to_api(self):
        inner = {'backup_service': SERVICE, 'backup_url': EXPORTED}
        for body in (inner, {'backup-record': inner}):
            self.assertEqual(self.record, record.BackupRecord.from_api(body))
        self.assertEqual(inner, self.record.to_api())

    def test_from_api_names_what_is_missing(self):
        err = self.assertRaises(
            exceptions.InvalidRecord, record.BackupRecord.from_api,
            {'backup-record': {'backup_service': SERVICE}})
        self.assertIn('no backup_url', str(err))
        self.assertRaises(exceptions.InvalidRecord,
                          record.BackupRecord.from_api,
                          {'backup-record': None})

    def test_edited(self):
        edited = self.record.edited(size=7, driver_info={'version': 1})
        expected = dict(self.record.fields, size=7,
                        driver_info={'version': 1})
        self.assertEqual(expected, edited.fields)
        self.assertEqual(list(expected), list(edited.fields))
        self.assertEqual({'version': 1}, edited.driver_info)
        self.assertEqual(EXPORTED, self.record.backup_url)

    def test_edited_drops(self):
        self.assertNotIn('size', self.record.edited(size=record.DROP).fields)

    def test_edited_service(self):
        edited = self.record.edited(backup_service='other')
        self.assertEqual(record.BackupRecord('other', EXPORTED), edited)

    def test_fields_are_a_copy(self):
        self.record.fields['size'] = 9
        self.assertEqual(1, self.record.fields['size'])


@ddt.ddt
class CheckTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.record = record.BackupRecord(SERVICE, EXPORTED)

    def test_real_record_is_good(self):
        self.assertEqual([], record.check(self.record))

    def test_unknown_field_of_a_newer_cinder_is_good(self):
        self.assertEqual([], record.check(self.record.edited(novel=[1])))

    def test_key_id_of_vault_is_good(self):
        self.assertEqual([], record.check(
            self.record.edited(encryption_key_id='0' * 32)))

    @ddt.data('id', 'size', 'display_name', 'display_description',
              'container', 'service_metadata', 'object_count', 'driver_info')
    def test_missing(self, name):
        self.assertEqual([f'field {name} is missing'],
                         record.check(self.record.edited(
                             **{name: record.DROP})))

    @ddt.data(
        ({'id': 5}, 'field id is int and should be str'),
        ({'id': None}, 'field id is null and should be str'),
        ({'id': 'x'}, "field id is 'x' and should be a UUID"),
        ({'size': '1'}, 'field size is str and should be int'),
        ({'size': True}, 'field size is bool and should be int'),
        ({'size': None}, 'field size is null and should be int'),
        ({'size': 0}, 'field size is 0 and should be above 0'),
        ({'size': 1.5}, 'field size is float and should be int'),
        ({'driver_info': []}, 'field driver_info is list and should be dict'),
        ({'driver_info': None},
         'field driver_info is null and should be dict'),
        ({'volume_id': record.PLACEHOLDER_VOLUME_ID},
         'field volume_id is the placeholder of an import'),
        ({'volume_id': None}, 'field volume_id is null and should be str'),
        ({'parent_id': 'parent'},
         "field parent_id is 'parent' and should be a UUID"),
        ({'parent_id': '6f1f7b3e-8f6b-4a52-9c0f-9d3b6a4f0001'},
         'field parent_id is the id of the backup itself'),
        ({'status': 'creating'},
         "field status is 'creating' and should be available"),
        ({'deleted': True}, 'field deleted is set'),
        ({'object_count': -1},
         'field object_count is -1 and should not be negative'),
        ({'object_count': '3'}, 'field object_count is str and should be int'),
        ({'container': 3}, 'field container is int and should be str'),
        ({'service_metadata': 'x' * 256}, 'field service_metadata has 256 '
         'characters and should have at most 255'),
        ({'service_metadata': {}},
         'field service_metadata is dict and should be str'),
        ({'data_timestamp': 'today'},
         "field data_timestamp is 'today' and should be a time in ISO 8601"),
        ({'metadata': {'a': 1}}, 'field metadata should be a dict of str'),
        ({'metadata': []}, 'field metadata should be a dict of str'),
        ({'service': 'other'}, "field service is 'other' but backup_service "
         "is 'cinder.backup.drivers.posix.PosixBackupDriver'"),
        ({'backup_service': ''}, 'backup_service is empty'),
        ({'backup_service': None}, 'backup_service is null and should be str'),
    )
    @ddt.unpack
    def test_wrong(self, changes, message):
        self.assertEqual([message],
                         record.check(self.record.edited(**changes)))

    def test_all_at_once(self):
        problems = record.check(self.record.edited(
            id='x', size=0, container=1, object_count=record.DROP))
        self.assertEqual(4, len(problems))

    def test_not_decodable(self):
        self.assertEqual(
            ['backup_service is empty',
             'backup_url is not a JSON object but list'],
            record.check(record.BackupRecord('', _b64(json.dumps([])))))
