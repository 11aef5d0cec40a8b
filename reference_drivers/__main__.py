# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Start ``cinder-backup-verify``, or say what it lacks."""

import sys


def main() -> int:
    """The program, also where only the plugin is installed.

    :returns: the exit code
    """
    try:
        from reference_drivers import verify
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f'error: {error.name} is not installed; run "pip install '
            f"'.[drivers]'\" in a clone of this project\n")
        return 3
    return verify.main()


if __name__ == '__main__':
    sys.exit(main())
