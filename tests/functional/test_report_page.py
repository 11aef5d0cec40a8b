# SPDX-License-Identifier: Apache-2.0

"""The page of a report in a real browser."""

import json
import os
import pathlib
import shutil
import tempfile
from unittest import mock

import testtools

from cinder_backup_recovery_tests import facts
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.verdict import document
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import required

try:
    from selenium import webdriver
    from selenium.webdriver.chrome import service
except ImportError:
    webdriver = None

PHONE, _DESK = 360, 1280
_UUID = '95768a00-5e36-4c0d-a19c-2b1e5d5a691f'
_OBJECT = f'volume_{_UUID}/20261122181539/az_nova_backup_{_UUID}'
#: Opens all that a reader can open.
_OPEN = 'document.querySelectorAll("details").forEach(d => d.open = true);'
#: Elements that reach out of the page to the right.
_TOO_WIDE = '''
return [...document.body.querySelectorAll('*')].filter(
    e => e.getClientRects().length &&
         e.getBoundingClientRect().right > arguments[0] + 0.5).map(
    e => e.outerHTML.slice(0, 80)).concat(
  document.documentElement.scrollWidth > arguments[0] ? ['the page'] : []);
'''
#: Texts that WCAG 2 calls too faint (AA).
_FAINT = '''
function rgb(text) { return text.match(/[\\d.]+/g).map(Number); }
function light([r, g, b]) {
  return [r, g, b].map(c => c / 255).map(
    c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce(
    (sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
}
function ground(e) {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] == 1) return c;
    if (c[3] != 0) throw 'a colour that shines through';
  }
  return [255, 255, 255];
}
const found = [];
for (const e of document.body.querySelectorAll('*')) {
  if (!e.getClientRects().length || e.closest('svg')) continue;
  if (![...e.childNodes].some(
        n => n.nodeType == 3 && n.textContent.trim())) continue;
  const style = getComputedStyle(e);
  const two = [light(rgb(style.color)), light(ground(e))].sort(
    (a, b) => b - a);
  const ratio = (two[0] + 0.05) / (two[1] + 0.05);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
  if (ratio < (large ? 3 : 4.5))
    found.push(`${ratio.toFixed(2)}: ${e.outerHTML.slice(0, 80)}`);
}
return found;
'''


def need_browser():
    """Skip where there is no browser, unless there has to be one.

    :returns: the paths of the browser and of its driver
    """
    browser = shutil.which('chromium') or shutil.which('google-chrome')
    driver = shutil.which('chromedriver')
    missing = [name for name, found in (
        ('chromium', browser), ('chromium-driver', driver),
        ('selenium', webdriver)) if not found]
    if missing:
        required.missing(
            'CBRT_REQUIRE_BROWSER',
            f'the page is opened nowhere without {", ".join(missing)}')
    return browser, driver


def make(fails=False):
    """A page of the real suite's size.

    :param fails: whether there is all that can be wrong
    """
    manifest = tiers.load()
    required = [f'cinder_backup_recovery_tests.{name}[id-{uuid}]'
                for tier in manifest.tiers
                for uuid, names in tier.tests.items() for name in names]
    outcome = [results.Result(
        test_id, results.Status.PASS, 3.5 + number % 7,
        facts=facts.Facts(
            steps=[facts.Step('create volume backup-recovery-ba825bb5-'
                              'volume-1', 1.3),
                   facts.Step(f'import full backup {_UUID}', 0.9)],
            answers=[facts.Answer(
                'full backup', 'metadata changed', 'full backup',
                f'fail_reason: Invalid backup: object {_OBJECT}_metadata is '
                f'missing')])
    ) for number, test_id in enumerate(required)]
    outcome[2] = results.Result(
        required[2], results.Status.KNOWN, 1, facts=facts.Facts(
            defect=facts.Defect('x', _UUID, False, 'it shows')))
    if fails:
        outcome[0] = results.Result(
            required[0], results.Status.FAIL, 60.5,
            f'Traceback:\n  File "x.py"\nAssertionError: <script>throw 1'
            f'</script>{"x" * 500}',
            facts.Facts(steps=[facts.Step('compare', 1.0, failed=True)]),
            (results.Request('21:05:11', 500, 'GET',
                             f'http://127.0.0.1:1/{"a" * 200}'),))
        outcome[1] = results.Result(required[1], results.Status.ERROR, 2,
                                    'its worker ended before the test did')
        outcome[3] = results.Result(required[3], results.Status.SKIP, 0,
                                    'no Nova')
        del outcome[4:20]
    return page.render(document.build(required, outcome, manifest, {
        'backup': 'vendor.drivers.backup.with.a.long.name.VendorBackupDriver',
        'versions': {'cinder': '29.0.0', 'keystone': '30.0.0'},
        'seconds': 392.2, 'denied': ['nothing'] if fails else [],
        'contradictions': ['import_verify'] if fails else [],
        'configuration': {'tempest.conf': {'cinder_backup_recovery': {
            'database_connection': f'mysql+pymysql://cinder:***@{_UUID}/c',
            'an_option_with_a_name_that_is_rather_long_for_a_phone': ''}}},
    }), manifest)


class BrowserCase(testtools.TestCase):
    """A real browser.

    :cvar directory: of temporary files
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        browser, driver = need_browser()
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        options.set_capability('goog:loggingPrefs',
                               {'browser': 'ALL', 'performance': 'ALL'})
        temporary = tempfile.TemporaryDirectory(prefix='cbrt-browser-')
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        for argument in ('--headless=new', '--no-sandbox',
                         '--disable-dev-shm-usage',
                         '--disable-background-networking',
                         f'--user-data-dir={cls.directory / "profile"}'):
            options.add_argument(argument)
        with mock.patch.dict(os.environ, {'SE_OFFLINE': 'true',
                                          'HOME': temporary.name}):
            cls.browser = webdriver.Chrome(
                options=options, service=service.Service(driver))
        cls.addClassCleanup(cls.browser.quit)

    def open_file(self, path, width=_DESK, scheme='light'):
        """Open a page, and all that a reader can open in it.

        :returns: the addresses that it asked for, and what the console says
        """
        self.browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
            'width': width, 'height': 800, 'deviceScaleFactor': 2,
            'mobile': width == PHONE})
        self.browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {
            'features': [{'name': 'prefers-color-scheme', 'value': scheme}]})
        for kind in ('performance', 'browser'):
            self.browser.get_log(kind)
        self.browser.get(path.as_uri())
        self.browser.execute_script(_OPEN)
        asked = []
        for entry in self.browser.get_log('performance'):
            message = json.loads(entry['message'])['message']
            if message['method'] == 'Network.requestWillBeSent':
                asked.append(message['params']['request']['url'])
        return ([url for url in asked
                 if url != path.as_uri() and not url.startswith('data:')],
                [entry['message'] for entry in self.browser.get_log('browser')
                 ])

    def text(self):
        """The page as a reader sees it."""
        return self.browser.find_element('tag name', 'body').text

    def assert_fits_phone(self):
        """All is visible without scrolling to the side."""
        self.assertEqual(PHONE, self.browser.execute_script(
            'return innerWidth'))
        self.assertEqual([], self.too_wide())

    def too_wide(self):
        """Elements that reach out of a phone's page to the right."""
        return self.browser.execute_script(_TOO_WIDE, PHONE)

    def faint(self):
        """Texts without contrast."""
        return self.browser.execute_script(_FAINT)


class PageInBrowserTest(BrowserCase):
    def open(self, text, width=_DESK, scheme='light'):
        """Open a page of this text, as open_file."""
        path = self.directory / f'{self.id().rpartition(".")[2]}.html'
        path.write_text(text)
        return self.open_file(path, width, scheme)

    def test_quiet(self):
        """It sends no request, and the console has nothing to say."""
        for fails in (False, True):
            self.assertEqual(([], []), self.open(make(fails)))

    def test_phone(self):
        """All is visible without scrolling to the side."""
        for fails in (False, True):
            self.open(make(fails), PHONE)
            self.assert_fits_phone()

    def test_contrast(self):
        for fails in (False, True):
            text = make(fails)
            seen = set()
            for scheme in ('light', 'dark'):
                self.open(text, scheme=scheme)
                self.assertEqual([], self.faint())
                seen.add(self.browser.execute_script(
                    'return getComputedStyle(document.body).backgroundColor'))
            self.assertEqual(2, len(seen))

    def test_what_is_read_first(self):
        self.open(make(), PHONE)
        text = self.text()
        for part in ('certified', 'What was proved', 'record', 'recovery',
                     'verified', 'portable', 'earned',
                     'Damages, and the answers of the imports', 'Durations',
                     'known defect x'):
            self.assertIn(part, text)
        self.assertNotIn('Failures and errors', text)
        bar = self.browser.find_element('css selector', '.durations svg')
        self.assertGreater(bar.rect['width'], PHONE / 2)

    def test_what_is_read_first_of_a_failure(self):
        self.open(make(True), PHONE)
        text = self.text()
        for part in ('error', 'Errors of the kit or its set-up',
                     'Failures and errors',
                     'AssertionError: <script>throw 1</script>',
                     '500 GET http://127.0.0.1:1/', 'compare: failed',
                     'not run', 'The run shows that it has: import_verify'):
            self.assertIn(part, text)

    def test_these_checks(self):
        """Each of them finds what it is meant for."""
        good = make()
        broken = good.replace("img-src data:", "img-src *").replace(
            '</body>', '<img src="http://127.0.0.1:9/x.png"></body>')
        asked, said = self.open(broken)
        self.assertEqual(['http://127.0.0.1:9/x.png'], asked)
        # Where the policy of the page is unchanged, no request is sent.
        asked, said = self.open(good.replace(
            '</body>', '<script src="http://127.0.0.1:9/x.js"></script>'
                       '</body>'))
        self.assertEqual(1, len(said), said)
        self.open(good.replace('overflow-wrap: anywhere', ''), PHONE)
        self.assertNotEqual([], self.too_wide())
        for scheme, colour in (('light', '#566074'), ('dark', '#a4aec0')):
            self.assertIn(colour, good)
            self.open(good.replace(colour, '#808080'), scheme=scheme)
            self.assertNotEqual([], self.faint())
