# SPDX-License-Identifier: Apache-2.0

"""Programs that a test calls in its own process."""

import contextlib
import io


def call(main, *arguments):
    """Call the main function of a program.

    :returns: the exit status, the standard output, and the errors
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(one) for one in arguments])
        except SystemExit as error:
            status = error.code
    return int(status), out.getvalue(), err.getvalue()
