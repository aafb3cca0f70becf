// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe.c
// Lines: -0 +1
//
// rxe: announce implicit ODP
//
// A region over the whole address space is a window like any other.
@@
expression caps;
@@
	caps |= IB_ODP_SUPPORT;
+	caps |= IB_ODP_SUPPORT_IMPLICIT;
