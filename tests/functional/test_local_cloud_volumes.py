# SPDX-License-Identifier: Apache-2.0

"""The volume driver of the local cloud, through the public API only."""

import os
import pathlib

import requests
import testtools

from local_cloud import fixture
from local_cloud import identity
from local_cloud import tempest_conf
from tests import cloud_cases

MIB = 1024 ** 2
GIB = 1024 ** 3
VERSION = {'OpenStack-API-Version': 'volume 3.70'}
# A GiB is more than can be looked at often; these are its places.
_LARGER = ('cinder_backup_recovery_tests.scenario.test_contents.'
           'TextVolumeTest.test_restored_onto_larger_volume')
PLACES = (0, 3 * MIB, 700 * MIB, GIB - MIB)


def pattern(word, size=MIB):
    """Content that says where it comes from."""
    return (word.encode() * (size // len(word) + 1))[:size]


class VolumeCase(testtools.TestCase):
    volumes = 'files'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.local = fixture.LocalCloud(volumes=cls.volumes)
        cls.local.setUp()
        cls.addClassCleanup(cls.local.cleanUp)
        cls.session = identity.Session(cls.local.state)
        cls.files = cls.local.state.data / 'volumes'

    def setUp(self):
        super().setUp()
        self.addCleanup(self._none_left)

    def _none_left(self):
        """No file stays of what a test has made and lost."""
        for kind in ('snapshots', 'volumes'):
            for resource in self._get(f'/{kind}')[kind]:
                self._delete(kind, resource['id'])
        self.assertEqual([], os.listdir(self.files))

    # The API

    def _get(self, path):
        return self.session.get('cinder', path)

    def _post(self, path, **body):
        return self.session.request('POST', 'cinder', path, json=body,
                                    headers=VERSION)

    def _wait(self, kind, resource_id, wanted='available'):
        def there():
            self.seen = self._get(f'/{kind}/{resource_id}')[kind[:-1]]
            return self.seen['status'] == wanted or (
                'error' in self.seen['status'])

        cloud_cases.until(there, f'{kind} {resource_id} {wanted}')
        self.assertEqual(wanted, self.seen['status'])
        return self.seen

    def _volume(self, size=1, wanted='available', **body):
        volume = self._post('/volumes', volume={'size': size, **body})
        return self._wait('volumes', volume['volume']['id'], wanted)['id']

    def _snapshot(self, volume_id):
        snapshot = self._post('/snapshots', snapshot={
            'volume_id': volume_id})['snapshot']
        return self._wait('snapshots', snapshot['id'])['id']

    def _delete(self, kind, resource_id):
        self.session.request('DELETE', 'cinder', f'/{kind}/{resource_id}')

        def gone():
            try:
                self._get(f'/{kind}/{resource_id}')
            except requests.HTTPError as error:
                return error.response.status_code == 404
            return False

        cloud_cases.until(gone, f'{kind} {resource_id} gone')

    def _act(self, volume_id, wanted='available', **action):
        self._post(f'/volumes/{volume_id}/action', **action)
        return self._wait('volumes', volume_id, wanted)

    def _image(self, content, **properties):
        image = self.session.request('POST', 'glance', '/v2/images', json={
            'name': 'image', 'disk_format': 'raw',
            'container_format': 'bare', **properties})
        self.addCleanup(self._delete_image, image['id'])
        self.session.request(
            'PUT', 'glance', f'/v2/images/{image["id"]}/file', data=content,
            headers={'Content-Type': 'application/octet-stream'})
        return image['id']

    def _delete_image(self, image_id):
        self.session.request('DELETE', 'glance', f'/v2/images/{image_id}')

    # The content, where an attachment would find it

    def _path(self, volume_id):
        return pathlib.Path(self.files, f'volume-{volume_id}')

    def _write(self, volume_id, word, places=PLACES):
        with open(self._path(volume_id), 'r+b') as file:
            for place in places:
                file.seek(place)
                file.write(pattern(word))

    def _read(self, volume_id, place, size=MIB):
        with open(self._path(volume_id), 'rb') as file:
            file.seek(place)
            return file.read(size)

    def _assert_holds(self, volume_id, word, size=1):
        self.assertEqual(size * GIB, self._path(volume_id).stat().st_size)
        for place in PLACES:
            self.assertTrue(pattern(word) == self._read(volume_id, place),
                            f'at {place}')
        self.assertEqual(bytes(MIB), self._read(volume_id, MIB))
        # It is as sparse as what it was made of.
        self.assertLess(self._path(volume_id).stat().st_blocks * 512,
                        32 * MIB)

    def _backup(self, volume_id):
        backup = self._post('/backups', backup={'volume_id': volume_id})[
            'backup']['id']
        self._wait('backups', backup)
        self._wait('volumes', volume_id)
        return backup

    def _restore(self, backup_id, **onto):
        volume_id = self._post(f'/backups/{backup_id}/restore', restore=onto)[
            'restore']['volume_id']
        self._wait('volumes', volume_id)
        self._wait('backups', backup_id)
        return volume_id


class VolumeDriverTest(VolumeCase):

    def test_create_extend_delete(self):
        volume = self._volume()
        self._write(volume, 'first')
        self._act(volume, **{'os-extend': {'new_size': 2}})
        self._assert_holds(volume, 'first', 2)
        self.assertEqual(bytes(MIB), self._read(volume, 2 * GIB - MIB))
        self._delete('volumes', volume)
        self.assertFalse(self._path(volume).exists())

    def test_snapshot(self):
        volume = self._volume()
        self._write(volume, 'first')
        snapshot = self._snapshot(volume)
        self._write(volume, 'later')
        self._assert_holds(self._volume(snapshot_id=snapshot), 'first')
        self._assert_holds(self._volume(2, snapshot_id=snapshot), 'first', 2)
        self._assert_holds(volume, 'later')

    def test_clone(self):
        volume = self._volume()
        self._write(volume, 'first')
        clone = self._volume(source_volid=volume)
        larger = self._volume(2, source_volid=volume)
        self._write(volume, 'later')
        self._assert_holds(clone, 'first')
        self._assert_holds(larger, 'first', 2)

    def test_revert(self):
        volume = self._volume()
        self._write(volume, 'first')
        snapshot = self._snapshot(volume)
        self._write(volume, 'later')
        self._act(volume, revert={'snapshot_id': snapshot})
        self._assert_holds(volume, 'first')

    def test_revert_after_extend(self):
        volume = self._volume()
        snapshot = self._snapshot(volume)
        self._act(volume, **{'os-extend': {'new_size': 2}})
        # Cinder refuses it, and the volume is what it was.
        error = self.assertRaises(
            requests.HTTPError, self._post, f'/volumes/{volume}/action',
            revert={'snapshot_id': snapshot})
        self.assertEqual(400, error.response.status_code)
        self.assertEqual(2 * GIB, self._path(volume).stat().st_size)

    def test_from_image(self):
        content = pattern('image') + bytes(2 * MIB) + pattern('after', 777)
        volume = self._volume(imageRef=self._image(content))
        self.assertEqual(GIB, self._path(volume).stat().st_size)
        self.assertTrue(content == self._read(volume, 0, len(content)))
        self.assertEqual(bytes(MIB), self._read(volume, len(content)))
        self.assertLess(self._path(volume).stat().st_blocks * 512, 3 * MIB)

    def test_upload_twice(self):
        """The second upload of one process once waited without end."""
        volume = self._volume()
        self._write(volume, 'first')
        for _ in range(2):
            image = self._post(f'/volumes/{volume}/action', **{
                'os-volume_upload_image': {
                    'image_name': 'upload', 'disk_format': 'raw',
                    'container_format': 'bare'}})[
                        'os-volume_upload_image']['image_id']
            self.addCleanup(self.session.request, 'DELETE', 'glance',
                            f'/v2/images/{image}')
            self._wait('volumes', volume)
            shown = self.session.get('glance', f'/v2/images/{image}')
            self.assertEqual(('active', GIB),
                             (shown['status'], shown['size']))
            stored = next((self.local.state.data / 'images').glob(image))
            with open(stored, 'rb') as file:
                for place in PLACES:
                    file.seek(place)
                    self.assertTrue(pattern('first') == file.read(MIB))

    def test_reimage(self):
        volume = self._volume()
        self._write(volume, 'old', (0, MIB, 2 * MIB, 3 * MIB, 4 * MIB))
        content = pattern('new') + bytes(2 * MIB) + pattern('end', 512)
        self._act(volume, **{'os-reimage': {
            'image_id': self._image(content), 'reimage_reserved': False}})
        self.assertEqual(GIB, self._path(volume).stat().st_size)
        # Zeros of the image have overwritten what was there.
        self.assertTrue(content == self._read(volume, 0, len(content)))
        # What is beyond its end stays.
        self.assertTrue(pattern('old')[512:] == self._read(
            volume, 3 * MIB + 512, MIB - 512))
        self.assertTrue(pattern('old') == self._read(volume, 4 * MIB))

    def test_an_image_larger_than_the_volume(self):
        # Sparse on its way, too: no process has a GiB of zeros in memory.
        def content():
            yield from (bytes(MIB) for _ in range(1024))
            yield b'more'

        image = self._image(content())
        error = self.assertRaises(
            requests.HTTPError, self._post, '/volumes',
            volume={'size': 1, 'imageRef': image})
        self.assertEqual(400, error.response.status_code)
        self.assertIn('larger than', error.response.text)
        volume = self._volume()
        self._write(volume, 'first')
        try:
            self._post(f'/volumes/{volume}/action', **{'os-reimage': {
                'image_id': image, 'reimage_reserved': False}})
        except requests.HTTPError as error:
            self.assertEqual(400, error.response.status_code)
        cloud_cases.until(lambda: self._get(f'/volumes/{volume}')['volume'][
            'status'] in ('available', 'error'), 'the end of it')
        self.assertEqual(GIB, self._path(volume).stat().st_size)
        self._assert_holds(volume, 'first')

    def test_a_failed_creation_leaves_no_file(self):
        image = self._image(pattern('image'))
        # The store has lost what Glance believes to have.
        (self.local.state.data / 'images' / image).unlink()
        volume = self._post('/volumes', volume={
            'size': 1, 'imageRef': image})['volume']['id']
        self._wait('volumes', volume, 'error')
        self.assertFalse(self._path(volume).exists())

    def test_capacity(self):
        pools = self._get('/scheduler-stats/get_pools?detail=true')['pools']
        self.assertEqual(1, len(pools))
        pool = pools[0]['capabilities']
        system = os.statvfs(self.files)
        self.assertAlmostEqual(
            system.f_blocks * system.f_frsize / GIB,
            float(pool['total_capacity_gb']), delta=0.1)
        self.assertLess(0, float(pool['free_capacity_gb']))
        self.assertLess(float(pool['free_capacity_gb']),
                        float(pool['total_capacity_gb']))
        self.assertEqual('local', pool['storage_protocol'])
        self.assertTrue(pool['thin_provisioning_support'])

    def test_backup_and_restore(self):
        volume = self._volume()
        self._write(volume, 'first')
        backup = self._backup(volume)
        self._write(volume, 'later')
        # Onto a volume that is full of something else, and to a new one.
        self._write(volume, 'rubbish', (MIB, 600 * MIB))
        self._restore(backup, volume_id=volume)
        for place in PLACES:
            self.assertTrue(pattern('first') == self._read(volume, place))
        self.assertEqual(bytes(MIB), self._read(volume, MIB))
        self.assertEqual(bytes(MIB), self._read(volume, 600 * MIB))
        self._assert_holds(self._restore(backup), 'first')
        self._delete('backups', backup)


class PlainFilesTest(VolumeCase):
    """Volumes that Cinder cuts, as those of its driver for NFS."""

    volumes = 'plain-files'

    def test_a_restore_cuts_the_file(self):
        source = self._volume()
        self._write(source, 'first', PLACES[:2])
        backup = self._backup(source)
        larger = self._volume(2)
        self._write(larger, 'later', (0, GIB + MIB))
        self._restore(backup, volume_id=larger)
        # Its size in Cinder is still 2.
        self.assertEqual(2, self.seen_volume(larger)['size'])
        self.assertEqual(GIB, self._path(larger).stat().st_size)
        self.assertTrue(pattern('first') == self._read(larger, 0))
        new = self._restore(backup)
        # By Cinder's drivers it ends with the data.
        self.assertEqual(GIB, self._path(new).stat().st_size)
        self.assertTrue(pattern('first') == self._read(new, PLACES[1]))
        self._delete('backups', backup)

    def seen_volume(self, volume_id):
        return self._get(f'/volumes/{volume_id}')['volume']

    def test_the_suite_knows_the_defect(self):
        """It is declared by the protocol of the volumes, or a failure."""
        # If it were declared and did not occur, the test would fail.
        code, text = cloud_cases.recover(self.local, _LARGER)
        self.assertEqual(0, code, text)
        self.assertIn('Ran 1 test', text)
        path = tempest_conf.path(self.local.state)
        path.write_text(path.read_text().replace('known_defects = all', ''))
        code, text = cloud_cases.recover(self.local, _LARGER)
        self.assertEqual(1, code, text)
        self.assertIn('1 truncated', text)
        self.assertIn('This looks like the known Cinder defect '
                      'restore-cuts-files', text)
