# SPDX-License-Identifier: Apache-2.0

"""The page for vendors, followed word by word."""

import pathlib
import re
import subprocess
import sys
import textwrap

import fixtures
import testtools

DOCUMENTS = pathlib.Path(__file__).parents[2] / 'doc' / 'source'
PAGE = DOCUMENTS / 'user' / 'certify.rst'
_BLOCK = re.compile(
    r'^\.\. (?P<kind>code-block|literalinclude):: (?P<what>\S+)\n'
    r'(?P<options>(?:   :.*\n)*)\n?(?P<body>(?:(?:   .*)?\n)*)', re.M)
_STATUS = re.compile(r'\(exit status (\d)\)')


class VendorPageTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        temporary = self.useFixture(fixtures.TempDir()).path
        scripts = pathlib.Path(sys.executable).parent
        self.environment = {
            'PATH': f'{scripts}:/usr/bin:/bin', 'TMPDIR': temporary,
            'PYTHONPATH': str(DOCUMENTS.parents[1]),
            # A test is the same each time; users draw others.
            'BACKUP_CERTIFY_RUN_HISTORIES_SEED': '613998'}

    def write(self, block):
        caption = re.search(r':caption: (\S+)', block['options'])
        if caption is None:
            return
        text = textwrap.dedent(block['body'])
        if block['kind'] == 'literalinclude':
            text = (DOCUMENTS / block['what'].lstrip('/')).read_text()
            start = re.search(r':start-at: (.*)', block['options'])[1]
            text = text[text.index(f'\n{start}'):]
        (self.directory / caption[1]).write_text(text)

    def follow(self, body):
        """Run each command, and compare what it says."""
        for step in re.split(r'^\$ ', textwrap.dedent(body), flags=re.M)[1:]:
            command, _, said = step.partition('\n')
            done = subprocess.run(
                command, shell=True, cwd=self.directory, text=True,
                env=self.environment, capture_output=True, timeout=500)
            status = _STATUS.search(said)
            self.assertEqual(
                (int(status[1]) if status else 0, ''),
                (done.returncode, done.stderr), f'{command}\n{done.stdout}')
            where = 0
            for line in said.splitlines():
                # Three dots stand for whatever there is.
                pattern = '.*'.join(map(re.escape, line.split('...')))
                found = re.compile(f'^{pattern}$', re.M).search(
                    done.stdout, where) if line.strip('. ') else None
                if line.strip('. '):
                    self.assertIsNotNone(found, f'{line}\n{done.stdout}')
                    where = found.end()
            self.commands += 1

    def test_page(self):
        self.commands = 0
        for block in _BLOCK.finditer(PAGE.read_text()):
            self.write(block)
            if block['what'] == 'console':
                self.follow(block['body'])
        self.assertEqual(7, self.commands)
        self.assertEqual(
            ['acme-report', 'acme-report.tar.gz', 'acme.yaml',
             'backups.sqlite', 'cinder.conf', 'file_driver.py',
             'file_objects.py', 'sqlite_driver.py', 'sqlite_objects.py',
             'vault', 'vault-report', 'vault.conf', 'vault.yaml'],
            sorted(path.name for path in self.directory.iterdir()
                   if path.name != '__pycache__'))
