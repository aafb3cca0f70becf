// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -0 +2
//
// rxe: stop a queue pair's tasks before waiting for them
//
// Destroying a queue pair waits for its tasks to be idle, and only then told
// them to stop. A task that holds a packet for its page is not idle. It waits
// for memory windows that are bound to the queue pair as well.
@@
@@
+	rxe_odp_stop_qp(qp);
+	rxe_unbind_mws(qp);
	err = rxe_cleanup(qp);
