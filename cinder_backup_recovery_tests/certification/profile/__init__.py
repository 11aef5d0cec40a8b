# SPDX-License-Identifier: Apache-2.0

"""Proof that Cinder's backup records recover volumes."""
