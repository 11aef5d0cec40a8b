# SPDX-License-Identifier: Apache-2.0

"""The chapters for operators, followed word by word on a local cloud."""

import pathlib
import re
import subprocess
import sys

from tests import cloud_cases
from tests import pages

_PAGES = pages.DOCUMENTS / 'admin'
_LIMIT = 900
_STATUS = 'echo "$?"'
# Beside the page, since there is a cloud: Tempest looks at each service with
# our plugin installed. The local cloud claims a Neutron, without which
# upstream's tests are skipped, and has none.
_VERIFY = '\n'.join((
    'sed "s/^neutron = .*/neutron = false/" '
    '"$LOCAL_CLOUD_STATE_DIR/etc/tempest.conf" > tempest.conf',
    'TEMPEST_CONFIG_DIR=$PWD tempest verify-config'))
# A reader's shell knows the status of what ran last, and goes on after it.
_STEP = '''
echo '@@ {number}'; (exit $last)
{command}
last=$?
[ "$last" = 0 ] || {fails} || {{ echo "@@ status $last"; exit 1; }}
'''


class Page:
    """A page, in the shell of one who reads it in an empty directory."""

    page = ''
    least = 0

    def setUp(self):
        super().setUp()
        self.reader = self.temporary / 'reader'
        self.reader.mkdir()
        scripts = pathlib.Path(sys.executable).parent
        self.environment |= {
            'HOME': str(self.temporary),
            'LOCAL_CLOUD_STATE_DIR': str(self.directory),
            'PATH': f'{scripts}:/usr/sbin:/usr/bin:/sbin:/bin'}

    def read(self):
        """The files and commands of the page."""
        steps = []
        for block in pages.blocks(_PAGES / self.page):
            if block.caption:
                (self.reader / block.caption).write_text(block.body)
            if block.what == 'console':
                steps += block.steps
        return steps

    def follow(self, steps):
        """Type it all into one shell.

        :returns: what was printed after each command
        """
        script = ['last=0']
        for number, (command, _) in enumerate(steps):
            fails = [one for one, _ in steps[number + 1:number + 2]]
            script.append(_STEP.format(
                number=number, command=command,
                fails='true' if fails == [_STATUS] else 'false'))
        path = self.temporary / 'script'
        path.write_text(''.join(script))
        said = self.temporary / 'said'
        with open(said, 'w') as output:
            shell = subprocess.Popen(
                ['bash', path], cwd=self.reader, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, process_group=0)
        self.addCleanup(shell.wait)
        self.addCleanup(self._kill_group, shell)
        try:
            shell.wait(_LIMIT)
        except subprocess.TimeoutExpired:
            self.fail(f'not done after {_LIMIT} s:\n{said.read_text()}')
        seen = re.split(r'^@@ \d+\n', said.read_text(), flags=re.M)[1:]
        return [one.rstrip('\n') for one in seen]

    def check(self, steps):
        """Each command, and what it prints, is as on the page."""
        seen = self.follow(steps)
        for (command, said), output in zip(steps, seen, strict=False):
            self.assertNotRegex(output, r'(?m)^@@ status', command)
            self.assertIsNone(pages.expected(said, output),
                              f'$ {command}\n{output}\nand not\n{said}')
        self.assertEqual(len(steps), len(seen))
        self.assertLess(self.least, len(steps))
        self.assert_nothing_left()


class RecoveryTest(Page, cloud_cases.CloudCase):
    page = 'recovery.rst'
    least = 40

    def test_page(self):
        steps = self.read()
        steps.insert(-1, (_VERIFY, ''))
        self.check(steps)


class SwitchingTest(Page, cloud_cases.CloudCase):
    page = 'switching.rst'
    least = 30

    def test_page(self):
        self.check(self.read())
