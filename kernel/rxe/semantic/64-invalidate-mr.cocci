// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -0 +4
//
// rxe: invalidate only regions of the queue pair's protection domain
//
// Any user, and any peer with an RC connection, could invalidate those that
// kernel modules had registered.
@@
@@
 rxe_invalidate_mr(...)
 {
	...
+	if (mr_pd(mr) != qp->pd) {
+		ret = -EINVAL;
+		goto err_drop_ref;
+	}
	remote = mr->access & RXE_ACCESS_REMOTE;
	...
 }
