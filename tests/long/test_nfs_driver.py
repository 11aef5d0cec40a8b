# SPDX-License-Identifier: Apache-2.0

"""The reference driver for NFS: a real server, and the kernel's own client.

Where this kernel has no client, or these tests are not root's, they run in a
UML; each reports on standard error which of the two it was.
"""

from tests import nfs_uml

_CASES = 'tests.functional.nfs_cases'


class NFSTest(nfs_uml.InnerCase):
    """One kernel for all of these, since it takes long to start."""

    # The adapter of the contract sees the directory that is shared. What a
    # server that is away comes to is NFSDamageTest's.
    lacks = ('store_stop', 'store_pause')

    def test_contract(self):
        ran = self.run_inner(f'{_CASES}.NFSContractTest')
        self.assertIn(f'{_CASES}.NFSContractTest.test_every_damage', ran)

    def test_damage_to_the_share(self):
        ran = self.run_inner(f'{_CASES}.NFSDamageTest',
                             f'{_CASES}.NFSRequestsTest')
        self.assertIn(f'{_CASES}.NFSDamageTest.test_server_that_hangs', ran)
        self.assertIn(f'{_CASES}.NFSRequestsTest.'
                      'test_requests_do_not_grow_with_the_chunks', ran)
