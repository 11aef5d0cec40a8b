# SPDX-License-Identifier: Apache-2.0

"""The site of a registry in a real browser."""

from tests.functional import test_report_page as browser
from tests.unit import registries


def setUpModule():
    registries.set_up_module()


class RegistryInBrowserTest(browser.BrowserCase):
    """The program's own site, of reports of real runs of a small suite."""

    def setUp(self):
        super().setUp()
        self.registry = self.useFixture(registries.Directory())
        self.registry.fill()
        code, out, err = self.registry.make('--source',
                                            'https://127.0.0.1:9/tree')
        self.assertEqual((0, []), (code, err), out)
        self.pages = sorted(self.registry.site.rglob('*.html'))
        # The index, three drivers, and six reports of them.
        self.assertEqual(10, len(self.pages))

    def test_quiet(self):
        """No page sends a request, and the console has nothing to say."""
        for path in self.pages:
            self.assertEqual(([], []), self.open_file(path), path)

    def test_phone(self):
        """All is visible without scrolling to the side."""
        for path in self.pages:
            self.open_file(path, browser.PHONE)
            self.assert_fits_phone()

    def test_contrast(self):
        for path in self.pages:
            seen = set()
            for scheme in ('light', 'dark'):
                self.open_file(path, scheme=scheme)
                self.assertEqual([], self.faint(), path)
                seen.add(self.browser.execute_script(
                    'return getComputedStyle(document.body).backgroundColor'))
            self.assertEqual(2, len(seen))

    def follow(self, text):
        """Go where a link leads."""
        self.browser.find_element('link text', text).click()

    def test_from_page_to_page(self):
        """Index, driver, report, and back, on a phone."""
        self.open_file(self.registry.site / 'index.html', browser.PHONE)
        text = self.text()
        for part in ('Backup drivers', 'certified', 'failed', 'on a cloud',
                     'Not counted', 'acme/changed', 'acme/twice',
                     '<script>throw 1</script>'):
            self.assertIn(part, text)
        self.follow('acme')
        self.assertIn('/drivers/acme.html', self.browser.current_url)
        text = self.text()
        days = [text.index(day) for day in (
            '2026-11-02', '2026-11-01', '2026-10-01', '2026-09-01')]
        self.assertEqual(sorted(days), days)
        self.assert_fits_phone()
        bar = self.browser.find_element('css selector', '.tests svg')
        self.assertGreater(bar.rect['width'], browser.PHONE / 3)
        self.follow('failed')
        self.assertIn('/reports/', self.browser.current_url)
        self.assertIn('VerifyTest.test_maybe', self.text())
        self.follow('acme')
        self.follow('All drivers')
        self.assertIn('/index.html', self.browser.current_url)

    def test_no_word_is_torn(self):
        """Heads and versions are in one line on a desk."""
        for name in 'index.html', 'drivers/acme.html':
            self.open_file(self.registry.site / name)
            lines = self.browser.execute_script(
                'return [...document.querySelectorAll(".rows thead th, '
                '.rows td:nth-child(2) > div, .rows .tier .status")].map('
                'e => { const r = document.createRange(); '
                'r.selectNodeContents(e); return [e.textContent, new Set('
                '[...r.getClientRects()].map(c => c.top)).size]; })')
            self.assertGreater(len(lines), 15)
            self.assertEqual([], [text for text, number in lines
                                  if number != 1 and ':' not in text])

    def test_columns(self):
        """A table on a desk, without its labels; a list on a phone."""
        for width, head in (1280, True), (browser.PHONE, False):
            self.open_file(self.registry.site / 'index.html', width)
            row = self.browser.find_element('css selector', '.rows tbody tr')
            cells = row.find_elements('css selector', 'th, td')
            self.assertEqual(8, len(cells))
            self.assertEqual(1 if head else 8,
                             len({cell.rect['y'] for cell in cells}))
            self.assertEqual(head, self.browser.find_element(
                'css selector', '.rows thead').is_displayed())
            self.assertEqual(not head, self.browser.find_element(
                'css selector', '.rows .label').is_displayed())

    def test_these_checks(self):
        """Each of them finds what it is meant for, on this site."""
        path = self.registry.site / 'index.html'
        good = path.read_text()
        path.write_text(good.replace('img-src data:', 'img-src *').replace(
            '</main>', '<img src="http://127.0.0.1:9/x.png"></main>'))
        self.assertEqual(['http://127.0.0.1:9/x.png'],
                         self.open_file(path)[0])
        path.write_text(good.replace('overflow-wrap: anywhere', ''))
        self.open_file(path, browser.PHONE)
        self.assertNotEqual([], self.too_wide())
        for scheme, colour in (('light', '#2b4fa8'), ('dark', '#a9c4ff')):
            self.assertIn(colour, good)
            path.write_text(good.replace(colour, '#808080'))
            self.open_file(path, scheme=scheme)
            self.assertNotEqual([], self.faint())
