# SPDX-License-Identifier: Apache-2.0

"""One request at a time: the export and import calls."""
