// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -0 +1
//
// rxe: end a long access to a region that is being deregistered
@@
@@
+	rxe_odp_mr_stop(mr);
	cleanup_err = rxe_cleanup(mr);
	if (cleanup_err)
		rxe_err_mr(mr, "cleanup failed, err = %d\n", cleanup_err);
	kfree_rcu_mightsleep(mr);
