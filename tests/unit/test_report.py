# SPDX-License-Identifier: Apache-2.0

"""The reports of a run, and the check of other reports."""

import json
import pathlib
import re
import shutil
import subprocess
from xml.etree import ElementTree

import fixtures
import jsonschema
import subunit
import testtools

from cinder_backup_recovery_tests.certification import main
from cinder_backup_recovery_tests.certification.report import digests
from cinder_backup_recovery_tests.certification.report import junit
from cinder_backup_recovery_tests.certification.report import page
from cinder_backup_recovery_tests.certification.report import table
from cinder_backup_recovery_tests.certification.report import writer
from cinder_backup_recovery_tests.certification.verdict import (
    document as document_,
)
from cinder_backup_recovery_tests.certification.verdict import results
from cinder_backup_recovery_tests.certification.verdict import tiers
from tests import programs
from tests.unit import reports


class ReportTestCase(testtools.TestCase):
    """With one good report and one with a failure, both of real runs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, fails in (('good', False), ('bad', True)):
            fixture = reports.SmallReport(fails)
            fixture.setUp()
            cls.addClassCleanup(fixture.cleanUp)
            setattr(cls, name, fixture)

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(tiers, 'load',
                                                 self._load))
        self.temporary = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def _load(self, path=None, only=(), load=tiers.load):
        return load(path) if path else reports.manifest()

    def document(self, fixture):
        return json.loads((fixture.directory / 'results.json').read_text())


class ReportTest(ReportTestCase):
    def test_files(self):
        for fixture in self.good, self.bad:
            self.assertEqual(
                ['SHA256SUMS', 'junit.xml', 'logs', 'report.html',
                 'results.json', 'results.subunit', 'tiers.json'],
                sorted(path.name for path in fixture.directory.iterdir()))
            # Anybody can check them.
            subprocess.run(['sha256sum', '--check', '--strict', '--quiet',
                            'SHA256SUMS'], cwd=fixture.directory, check=True)
            self.assertIn('logs/cinder.log', digests.read(fixture.directory))

    def test_document(self):
        document = self.document(self.good)
        self.assertEqual([], document_.problems(document))
        self.assertEqual(
            ('certified', [], [('record', 'earned', {'pass': 1, 'known': 1}),
                               ('verified', 'earned', {'pass': 2})]),
            (document['verdict'], document['reasons'],
             [(one['name'], one['state'], one['counts'])
              for one in document['tiers']]))
        self.assertEqual(reports.manifest().digest, document['manifest'])
        self.assertEqual(('failed', 'failed'), (
            self.document(self.bad)['verdict'],
            self.document(self.bad)['tiers'][1]['state']))

    def test_schema(self):
        """It is one itself, and lets nothing else pass."""
        path = pathlib.Path(main.__file__).parent / 'data' / (
            f'results-{document_.VERSION}.schema.json')
        jsonschema.Draft202012Validator.check_schema(
            json.loads(path.read_text()))
        good = self.document(self.good)
        for name in good:
            without = {key: value for key, value in good.items()
                       if key != name}
            # What only one kind of run has is not asked for.
            self.assertTrue(document_.problems(without), name)
            self.assertTrue(document_.problems({**good, name: 1.5})
                            if name != 'seconds' else
                            document_.problems({**good, name: '1'}), name)
        good['tests'][0]['status'] = 'maybe'
        self.assertThat(document_.problems(good)[0],
                        testtools.matchers.StartsWith('$.tests[0].status: '))

    def test_no_secret_in_any_file(self):
        """Also where it was cut, quoted, printed or logged by a test."""
        document = self.document(self.bad)
        failed, = (test for test in document['tests']
                   if test['status'] == 'fail')
        self.assertIn('***', failed['reason'])
        self.assertEqual('***', document['configuration']['tempest.conf'][
            'auth']['admin_password'])
        self.assertIn('a line\n', (
            self.bad.directory / 'logs' / 'cinder.log').read_text())
        for fixture in self.bad, self.good:
            texts = {path.name: path.read_bytes()
                     for path in fixture.directory.rglob('*')
                     if path.is_file()}
            texts['terminal'] = fixture.out.encode()
            texts['attachments'] = self.attachments(fixture)
            for secret in (*reports.SECRETS.values(), 'plant<', 'plant&lt;',
                           'planted+in%2F', 'planted%2Bin', 'ed-in-profile'):
                self.assertEqual([], [name for name, text in texts.items()
                                      if secret.encode() in text], secret)

    def attachments(self, fixture):
        """Those of the stream, of which each may be in several pieces."""
        found = []

        def take(case):
            for name, content in case['details'].items():
                found.append(name.encode() + b''.join(content.iter_bytes()))

        into = testtools.StreamToDict(take)
        into.startTestRun()
        with (fixture.directory / 'results.subunit').open('rb') as file:
            subunit.ByteStreamToStreamResult(file, 'stdout').run(into)
        into.stopTestRun()
        self.assertTrue(any(one.startswith(b'story') for one in found))
        return b'\n'.join(found)

    def test_requests_of_a_failing_test(self):
        failed, = (test for test in self.document(self.bad)['tests']
                   if test['status'] == 'fail')
        self.assertEqual(
            [{'time': '21:05:11', 'status': 500, 'method': 'GET',
              'url': 'http://127.0.0.1:1/v3/backups?x=*** 0.021s'}],
            failed['requests'])

    def test_junit(self):
        suite = ElementTree.parse(self.bad.directory / 'junit.xml').getroot()
        self.assertEqual(
            ('4', '1', '0', '1'),
            tuple(suite.get(name) for name in ('tests', 'failures', 'errors',
                                               'skipped')))
        failure = suite.find('.//failure')
        self.assertIn('<script>', failure.get('message'))
        known = suite.find('.//skipped')
        self.assertIn('known defect import-negative-size', known.get(
            'message'))
        case = suite.find('testcase[@classname="small_suite.test_x.'
                          'RecordTest"]')
        self.assertTrue(case.get('name').startswith('test_'))

    def test_junit_of_what_did_not_run(self):
        document = self.document(self.good)
        document['tests'] = [results.Result(
            'setUpClass (small_suite.test_x.RecordTest)', results.Status.SKIP,
            0, 'lacks\x1bit').as_document()]
        suite = ElementTree.fromstring(junit.render(document).encode())
        self.assertEqual(
            ('3', '0', '2', '1'),
            tuple(suite.get(name) for name in ('tests', 'failures', 'errors',
                                               'skipped')))
        self.assertEqual('lacks\ufffdit', suite.find('.//skipped').text)
        self.assertEqual('setUpClass', suite.find('testcase').get('name'))

    def test_table_still_reads_it(self):
        code, out, _ = programs.call(
            table.main, self.good.directory / 'results.json')
        self.assertEqual(0, code)
        self.assertIn('3 pass, 1 known', out)

    def test_an_older_report_goes_and_nothing_else(self):
        directory = self.good.copy(self.temporary / 'again')
        (directory / 'mine.txt').touch()
        writer.Report(directory)
        self.assertEqual(
            ['logs', 'mine.txt'],
            sorted(path.name for path in directory.rglob('*')))

    def assert_refused(self, directory, name):
        before = sorted(directory.rglob('*'))
        error = self.assertRaises(writer.ReportError, writer.Report,
                                  directory)
        self.assertIn(f'{directory / name} was not written by this '
                      'program', str(error))
        self.assertEqual(before, sorted(directory.rglob('*')))

    def test_a_log_of_another_program(self):
        """It would be in the next report, and go with that."""
        directory = self.good.copy(self.temporary / 'again')
        (directory / 'logs' / 'mine.log').touch()
        self.assert_refused(directory, 'logs/mine.log')

    def test_a_list_of_digests_that_points_elsewhere(self):
        """Nothing outside of the report is removed."""
        mine = self.temporary / 'mine'
        mine.touch()
        directory = self.temporary / 'report'
        directory.mkdir()
        (directory / 'logs').mkdir()
        for name in ('../mine', str(mine), 'logs/../../mine', 'mine',
                     'logs', 'report.html/mine'):
            (directory / 'SHA256SUMS').write_text(f'{"0" * 64}  {name}\n')
            if name in ('logs', 'report.html/mine'):
                # It would be the report's, and there is none.
                writer.Report(directory)
            else:
                self.assert_refused(directory, 'SHA256SUMS')
            self.assertTrue(mine.exists())


class PageTest(ReportTestCase):
    def page(self, fixture):
        return (fixture.directory / 'report.html').read_text()

    def test_asks_no_server(self):
        for fixture in self.good, self.bad:
            text = self.page(fixture)
            self.assertIn("default-src 'none'", text)
            self.assertEqual([], re.findall(
                r'<(?:script|img|iframe|link rel="stylesheet)', text))
            self.assertEqual([], re.findall(
                r'(?:src|href)="(?!#|data:)', text))
            self.assertNotIn('url(', text)

    def test_nothing_of_a_test_is_markup(self):
        self.assertIn('&lt;script&gt;alert(1)', self.page(self.bad))
        self.assertIn('&lt;b&gt;no&lt;/b&gt;', self.page(self.bad))

    def test_damages(self):
        text = ' '.join(self.page(self.good).split())
        for part in ('metadata missing', 'Invalid backup: object x/metadata '
                     'is missing', 'no error: the damage was not found'):
            self.assertIn(part, text)
        answers = [one for test in self.document(self.good)['tests']
                   for one in test['answers']]
        self.assertEqual([True, False, True],
                         [bool(one['error']) for one in answers])

    def test_tests_by_tier(self):
        """Each once, under the tier that asks for it."""
        document = self.document(self.good)
        # A class of which each tier has a part, and one of no tier.
        document['tests'].append({**document['tests'][0],
                                  'id': 'small_suite.test_x.Other.test_1'})
        document['required'].append('small_suite.test_x.Other.test_2')
        text = page.render(document, reports.manifest())
        at = [text.index(part, text.index('Each test, step by step'))
              for part in ('A record <', '.RecordTest<', 'Damage <',
                           '.VerifyTest<', 'Of no tier', '.Other.test_1',
                           'test_2')]
        self.assertEqual(sorted(at), at)
        for test in document['tests']:
            self.assertEqual(1, text.count(f'<p class="id">{test["id"]}</p>'),
                             test['id'])

    def test_way(self):
        """In one process is less than on a cloud, and is said."""
        document = self.document(self.good)
        self.assertNotIn('<dt>Tested', page.render(document))
        for way, said in (('driver', 'in one process'),
                          ('cloud', 'on a cloud'), ('other', 'other')):
            self.assertIn(f'<dt>Tested</dt><dd>{said}<',
                          page.render({**document, 'way': way}))

    def test_many_reasons(self):
        """The first are read at once, and the rest is in the report."""
        document = self.document(self.bad)
        document['reasons'] = [f'reason {number}.' for number in range(99)]
        text = page.render(document, reports.manifest())
        first, _, rest = text.partition('and 93 more')
        self.assertEqual([f'reason {number}.' for number in range(6)],
                         re.findall(r'reason \d+\.', first))
        self.assertEqual(93, len(re.findall(r'reason \d+\.', rest)))
        self.assertNotIn(' more</span>', self.page(self.bad))

    def test_every_verdict(self):
        document = self.document(self.bad)
        for code in results.ExitCode:
            document['verdict'] = code.name.lower().replace('_', ' ')
            text = page.render(document, reports.manifest())
            self.assertIn(f'<span class="word">{document["verdict"]}</span>',
                          text)

    def test_without_tiers_and_tests(self):
        """Of a run that ended before its first test."""
        document = self.document(self.good)
        document.update(tiers=[], manifest=None, tests=[], known_defects=[],
                        configuration={}, reasons=['the disk is full'])
        text = page.render(document)
        self.assertIn('the disk is full', text)
        self.assertIn('not run', text)


class VerifyReportTest(ReportTestCase):
    def program(self, directory):
        return programs.call(main.main, 'verify-report', directory)

    def changed(self, function=None, sums=True, of=None, again=True,
                status=1):
        """Check a report of which results.json was edited.

        :param function: edits the document
        :param sums: whether the digests were made anew
        :param again: whether the other files were made anew, too
        :param status: the expected exit status
        :returns: the lines of the output
        """
        directory = (of or self.good).copy(self.temporary / 'changed')
        if function:
            reports.change(directory, 'results.json', function)
        if again:
            reports.remake(directory)
        if sums:
            reports.sum_up(directory)
        code, out, err = self.program(directory)
        self.assertEqual((status, ''), (code, err), out)
        return out.splitlines()

    def test_holds(self):
        for fixture, verdict, earned in (
                (self.good, 'certified', 'record, verified'),
                (self.bad, 'failed', 'record')):
            code, out, err = self.program(fixture.directory)
            self.assertEqual(
                (0, f'{fixture.directory}: verified: vendor, Cinder '
                    f'29.0.0: {verdict}; tiers earned: {earned}\n', ''),
                (code, out, err))

    def test_an_edited_document(self):
        def edit(document):
            document['backup'] = 'another one'

        out = self.changed(edit, sums=False, again=False)
        self.assertEqual(
            ['results.json is not the file that SHA256SUMS was made of',
             'junit.xml differs from what results.json gives',
             'report.html differs from what results.json gives'],
            [line for line in out if line.startswith((
                'results.json', 'junit.xml', 'report.html'))])

    def test_a_changed_verdict(self):
        def edit(document):
            document.update(verdict='certified', exit_code=0, reasons=[])

        out = self.changed(edit, of=self.bad)
        self.assertIn('the report says certified (exit status 0), but its '
                      'results give failed (exit status 1)', out)
        self.assertTrue(any(line.startswith('the reasons lack: VerifyTest.'
                                            'test_maybe failed') for line
                            in out), out)

    def test_a_changed_tier(self):
        def edit(document):
            document['tiers'][1]['state'] = 'earned'

        out = self.changed(edit, of=self.bad)
        self.assertIn('tier verified: the report says earned (1 pass, 1 '
                      'fail), but its results give failed (1 pass, 1 fail)',
                      out)

    def test_a_changed_result(self):
        """Everything else made to agree with it."""
        def edit(document):
            for test in document['tests']:
                if test['status'] == 'fail':
                    test.update(status='pass', reason='', requests=[])
            document.update(document_.judgement(document,
                                                reports.manifest()))

        out = self.changed(edit, of=self.bad)
        self.assertEqual(
            ['VerifyTest.test_maybe: results.json says pass, and '
             'results.subunit fail'], out[:-1])

    def test_a_changed_story(self):
        def edit(document):
            for test in document['tests']:
                if test['steps']:
                    test['steps'][0]['what'] = 'all is well'
                    return

        out = self.changed(edit)
        self.assertRegex(out[0], 'its reason, facts or requests are not those'
                                 ' of results.subunit')

    def test_a_changed_answer(self):
        """A damage that was not found, made one that was."""
        def edit(document):
            for test in document['tests']:
                for answer in test['answers']:
                    answer['error'] = answer['error'] or 'found'

        out = self.changed(edit)
        self.assertIn('VerifyTest.test_damaged: its reason, facts or requests '
                      'are not those of results.subunit', out)

    def test_a_removed_test(self):
        """From all that the document says of it."""
        def edit(document):
            for name in 'tests', 'required':
                document[name] = [
                    one for one in document[name]
                    if 'test_maybe' not in (one if isinstance(one, str)
                                            else one['id'])]
            document.update({**document_.judgement(document, None),
                             'tiers': document['tiers']})

        out = self.changed(edit, of=self.bad)
        for line in (
                'the report says certified (exit status 0), but its results '
                'give not certifiable (exit status 2)',
                'the reasons lack: the suite has no small_suite.test_x.'
                'VerifyTest.test_maybe, which the tier verified asks for',
                'VerifyTest.test_maybe is missing from results.json '
                '(present in results.subunit)'):
            self.assertIn(line, out)

    def test_a_removed_test_of_the_manifest(self):
        directory = self.good.copy(self.temporary / 'changed')

        def edit(document):
            document['tiers'][1]['tests'].popitem()

        reports.change(directory, 'tiers.json', edit)
        reports.sum_up(directory)
        code, out, _ = self.program(directory)
        self.assertEqual(1, code)
        self.assertIn('tiers.json is not the manifest that results.json was '
                      'made with', out)
        self.assertIn('it lacks small_suite.test_x.VerifyTest.test_maybe '
                      '(verified)', out)

    def test_no_tiers(self):
        def edit(document):
            document.update(manifest=None, tiers=[])

        out = self.changed(edit)
        self.assertIn('results.json: no tiers; a certification requires '
                      'them', out)

    def test_quick(self):
        """It holds as what it is, and never as a certification."""
        def quick(document):
            document.update(
                quick=document['required'], manifest=None, tiers=[],
                verdict='not certifiable', exit_code=2, reasons=[
                    'the set-up works: quick has run one recovery, and '
                    'certifies nothing'])

        def lie(document):
            quick(document)
            document.update(verdict='certified', exit_code=0, reasons=[])

        self.changed(quick, status=0)
        shutil.rmtree(self.temporary / 'changed')
        out = self.changed(lie)
        self.assertIn('the report says certified (exit status 0), but its '
                      'results give not certifiable (exit status 2)', out)

    def test_an_invented_result(self):
        def edit(document):
            document['tests'].append({
                **document['tests'][0], 'id': 'small_suite.test_x.X.test_1'})

        out = self.changed(edit)
        self.assertIn('X.test_1 is missing from results.subunit (present in '
                      'results.json)', out)

    def test_an_edited_page(self):
        for name in 'report.html', 'junit.xml':
            directory = self.bad.copy(self.temporary / name)
            path = directory / name
            path.write_text(path.read_text().replace('failed', 'certified'))
            reports.sum_up(directory)
            code, out, _ = self.program(directory)
            self.assertEqual(1, code)
            self.assertIn(f'{name} differs from what results.json gives', out)

    def test_another_version_of_the_kit(self):
        """Files that only that version can make again are not compared."""
        for name, value, said in (
                ('kit', '99.0.0', 'version 99.0.0 ('),
                ('commit', 'c0ffee', '(c0ffee) of the kit')):
            def edit(document, name=name, value=value):
                document[name] = value

            out = self.changed(edit, again=False, status=0)
            self.assertThat(out[0], testtools.matchers.StartsWith(
                'note: junit.xml and report.html were made by version '))
            self.assertIn(said, out[0])
            shutil.rmtree(self.temporary / 'changed')

    def test_missing_files(self):
        for name in ('SHA256SUMS', 'junit.xml', 'report.html', 'tiers.json',
                     'results.subunit', 'logs/cinder.log'):
            directory = self.good.copy(
                self.temporary / name.replace('/', '-'))
            (directory / name).unlink()
            code, out, _ = self.program(directory)
            self.assertEqual(1, code, name)
            self.assertIn(name, out)

    def test_a_file_without_a_digest(self):
        directory = self.good.copy(self.temporary / 'changed')
        sums = directory / digests.NAME
        sums.write_text(''.join(
            line for line in sums.read_text().splitlines(True)
            if 'results.json' not in line))
        code, out, _ = self.program(directory)
        self.assertEqual(1, code)
        self.assertIn('results.json is not in SHA256SUMS', out)

    def test_against_the_schema(self):
        def edit(document):
            document['tests'][0]['status'] = 'fine'

        out = self.changed(edit, again=False)
        self.assertThat(out[0], testtools.matchers.StartsWith(
            "results.json: $.tests[0].status: 'fine' is not one of"))

    def test_tiers_that_are_none(self):
        directory = self.good.copy(self.temporary / 'changed')
        for tests in {'1': [1, 'a']}, {'1': None}, []:
            reports.change(directory, 'tiers.json', lambda document,
                           tests=tests: document['tiers'][0].update(
                               tests=tests))
            reports.sum_up(directory)
            code, out, err = self.program(directory)
            self.assertEqual((1, ''), (code, err))
            self.assertIn('tiers.json is no manifest of tiers', out)

    def test_stream_that_cannot_be_read(self):
        """Wherever a byte of it was changed, or it was cut off."""
        directory = self.good.copy(self.temporary / 'changed')
        path = directory / 'results.subunit'
        content = path.read_bytes()
        for changed in (content[:3] + bytes(2) + content[5:], b'\xb3',
                        content.replace(b'utf8', b'ut\xff8', 1),
                        content[:len(content) // 2]):
            path.write_bytes(changed)
            reports.sum_up(directory)
            code, out, err = self.program(directory)
            self.assertEqual((1, ''), (code, err))
            self.assertIn('results.subunit', out)

    def test_numbers_and_depths_that_no_page_shows(self):
        directory = self.good.copy(self.temporary / 'changed')
        for text, said in (
                ('{"verdict": 1e999}', 'is too large'),
                ('{"verdict": -Infinity}', 'is too large'),
                ('{"verdict": NaN}', 'is too large'),
                (f'{{"verdict": {"9" * 4000}}}', 'is too large'),
                ('[' * 90 + ']' * 90, 'more deeply than 50 levels'),
                ('[' * 100000, 'is not JSON: maximum recursion'),
                (r'{"verdict": "\ud800"}', 'surrogates not allowed')):
            (directory / 'results.json').write_text(text)
            code, out, err = self.program(directory)
            self.assertEqual((3, '', 1), (code, out, err.count('\n')), text)
            self.assertIn(said, err)

    def test_unreadable(self):
        other = self.good.copy(self.temporary / 'schema')
        reports.change(other, 'results.json',
                       lambda document: document.update(schema=1))
        text = self.good.copy(self.temporary / 'text')
        (text / 'results.json').write_text('no JSON')
        for directory, message in (
                (self.temporary / 'nowhere', 'No such file or directory'),
                (other, 'has version 1 of the schema'),
                (text, 'is not JSON')):
            code, out, err = self.program(directory)
            self.assertEqual((3, '', 1), (code, out, err.count('\n')))
            self.assertTrue(err.startswith('error: '), err)
            self.assertIn(message, err)
