// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -0 +2
//
// rxe: let a memory window not say that memory lasts
//
// Whether pinned memory does is looked at when it is registered, and only if
// the right to flush it for good is asked for.
@@
expression E;
@@
	if (unlikely(E && !(mr->access & IB_ACCESS_LOCAL_WRITE))) { ... }
+	if (unlikely(rxe_adds_persistence(mr, access)))
+		return -EINVAL;
