# SPDX-License-Identifier: Apache-2.0

"""A restored volume, compared with the hashes of its backup."""

import hashlib
import io
import json
import os
import pathlib
from unittest import mock

import ddt

from reference_drivers import verify
from reference_drivers.contract import base
from reference_drivers.verification import restored
from tests import prove_cases

_BLOCK = base.Contract.block
_CHUNK = base.Contract.chunk


@ddt.ddt
class ProveTest(prove_cases.ProveCase):
    def extents(self, found):
        return [(one['kind'], one['offset'], one['length'])
                for one in found['extents']]

    def test_each_generation(self):
        """No false alarm, whatever a link of a chain has left to others."""
        contents = self.generations()
        for backup, content in zip(self.chain(*contents), contents,
                                   strict=True):
            found = self.prove(backup, content)
            self.assertEqual((True, False, len(content), None), (
                found['ok'], found['anchored'], found['bytes_read'],
                found['rest']))
            self.assertIn(f'{len(content)}/{len(content)} bytes',
                          self.log.getvalue())
            self.assertEqual(1, self.log.getvalue().count('\n'))

    def test_extents(self):
        """Each is named, neighbours as one; to the end of the last block."""
        content = base.noise(70 * _BLOCK + 5)
        backup, = self.chain(content)
        wrong = bytearray(content)
        for at in (0, 3 * _BLOCK, 4 * _BLOCK + 9, 31 * _BLOCK, 32 * _BLOCK,
                   len(content) - 1):
            wrong[at] ^= 1
        found = self.prove(backup, wrong, status=1)
        self.assertEqual([
            ('differs', 0, _BLOCK), ('differs', 3 * _BLOCK, 2 * _BLOCK),
            ('differs', 31 * _BLOCK, 2 * _BLOCK),
            ('differs', 70 * _BLOCK, 5)], self.extents(found))
        self.assertEqual(0, found['extents_omitted'])
        with mock.patch.object(restored, 'MOST', 2):
            found = self.prove(backup, wrong, status=1)
        self.assertEqual((2, 2), (len(found['extents']),
                                  found['extents_omitted']))

    def test_zeros(self):
        """For data, and data for zeros, also of a block that is cut."""
        content = bytes(_BLOCK) + base.noise(_BLOCK) + bytes(_BLOCK + 7)
        backup, = self.chain(content)
        self.prove(backup, content)
        found = self.prove(backup, bytes(len(content)), status=1)
        self.assertEqual([('differs', _BLOCK, _BLOCK)], self.extents(found))
        found = self.prove(backup, content[:-1] + b'x', status=1)
        self.assertEqual([('differs', 3 * _BLOCK, 7)], self.extents(found))

    def test_larger_volume(self):
        """The part behind the backup is named, and what is in it."""
        content = base.text(_CHUNK + 5)
        chain = self.chain(content, self.changed(content, 0))
        for backup, start in zip(chain, (content, self.changed(content, 0)),
                                 strict=True):
            found = self.prove(backup, start + bytes(3 << 20))
            self.assertEqual({'offset': len(content), 'length': 3 << 20},
                             found['rest'])
            larger = start + bytes(1 << 20) + b'x' + bytes(1 << 20)
            found = self.prove(backup, larger, status=1)
            (kind, offset, length), = self.extents(found)
            self.assertEqual('behind', kind)
            at = len(content) + (1 << 20)
            self.assertTrue(offset <= at < offset + length, offset)
            found = self.prove(backup, larger, '--ignore-rest')
            self.assertEqual(len(larger) - len(content),
                             found['rest']['length'])

    def test_smaller_volume(self):
        content = base.text(3 * _BLOCK)
        backup, = self.chain(content)
        found = self.prove(backup, content[:2 * _BLOCK], status=1)
        self.assertEqual([('missing', 2 * _BLOCK, _BLOCK)],
                         self.extents(found))
        found = self.prove(backup, b'', status=1)
        self.assertEqual([('missing', 0, len(content))], self.extents(found))

    @ddt.data(512, 3 << 20)
    def test_blocks_of_any_size(self, block):
        self.cinder.configure(backup_file_size=2 * block,
                              backup_sha_block_size_bytes=block)
        content = base.noise(5 * block + 1)
        backup, = self.chain(content)
        self.prove(backup, content)
        wrong = content[:-2] + b'xx'
        found = self.prove(backup, wrong, status=1)
        self.assertEqual('differs', found['extents'][-1]['kind'])
        self.assertEqual(len(content), sum(self.extents(found)[-1][1:]))

    def records(self, *backups):
        """A file with the records of backups, of each an old one, too."""
        path = pathlib.Path(self.cinder.directory, 'records')
        lines = ['{"version": 1, "records": 0}', 'not JSON']
        for backup in backups:
            record = self.cinder.export(backup)
            lines += [
                json.dumps({'id': backup.id, **record,
                            'exported': '2026-11-29T03:00:00Z'}),
                json.dumps({'id': backup.id, 'exported': None,
                            'backup_url': 'eA=='}),
                json.dumps({'action': 'import', 'id': backup.id})]
        path.write_text('\n'.join(lines))
        return path

    def test_record(self):
        """It finds hashes that were changed with the volume."""
        contents = self.generations()[:2]
        backups = self.chain(*contents)
        records = self.records(*backups)
        for backup, content in zip(backups, contents, strict=True):
            self.assertTrue(self.prove(backup, content, '--records',
                                       records)['anchored'])
        backup, content = backups[0], contents[0]
        directory = os.path.join(self.cinder.directory, 'backup',
                                 backup.container)
        path = os.path.join(directory,
                            f'{backup.service_metadata}_sha256file')
        hashes = pathlib.Path(path).read_text()
        wrong = b'x' + content[1:]
        old, new = (hashlib.sha256(one[:_BLOCK]).hexdigest()
                    for one in (content, wrong))
        pathlib.Path(path).write_text(hashes.replace(old, new))
        self.prove(backup, wrong)
        found = self.prove(backup, wrong, '--records', records, status=1)
        self.assertEqual('content', found['problems'][0]['kind'])
        # Another backup's record says nothing of this one.
        records.write_text('\n'.join(
            line for line in records.read_text().splitlines()
            if backup.id not in line))
        found = self.prove(backup, content, '--records', records, status=3)
        self.assertIn('has no record of backup',
                      found['problems'][0]['message'])

    def test_what_cannot_be_compared(self):
        """It is neither equal nor different."""
        content = base.text(_CHUNK)
        backup, = self.chain(content)
        found = self.prove(backup, content, '--records', '/nonexistent',
                           status=3)
        self.assertIsNone(found['ok'])
        arguments = verify.parser().parse_args(
            ['--restored', '/nonexistent', backup.id])
        out = io.StringIO()
        self.assertEqual(3, verify.Command(
            arguments, self.cinder.driver(), self.cinder.context, out,
            out).run())
        self.assertIn('/nonexistent: No such file', out.getvalue())
        directory = os.path.join(self.cinder.directory, 'backup',
                                 backup.container)
        os.remove(os.path.join(directory,
                               f'{backup.service_metadata}_sha256file'))
        found = self.prove(backup, content, status=3)
        self.assertEqual('no hashes', found['problems'][0]['kind'])

    def test_text(self):
        content = base.text(_CHUNK)
        backup, = self.chain(content)
        path = pathlib.Path(self.cinder.directory, 'restored')
        path.write_bytes(b'x' + content[1:] + bytes(9))
        out = io.StringIO()
        arguments = verify.parser().parse_args(
            ['--quiet', '--restored', str(path), backup.id])
        self.assertEqual(1, verify.Command(
            arguments, self.cinder.driver(), self.cinder.context, out,
            None).run())
        self.assertEqual([
            f'{backup.id} DAMAGED', f'  differs: {_BLOCK} bytes at 0',
            '  the volume has 9 bytes after the end of the backup'],
            out.getvalue().splitlines())
