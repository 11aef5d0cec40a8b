# SPDX-License-Identifier: Apache-2.0

"""Programs that measure time. No test depends on their figures."""
