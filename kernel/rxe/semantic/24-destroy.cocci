// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -0 +2
//
// rxe: stop a queue pair's tasks before waiting for them
//
// Destroying a queue pair waits for its references, and only then told its tasks
// to stop. A packet that waits for its page is a reference, and so is a memory
// window that is bound to the queue pair.
@@
@@
+	rxe_hold_stop(qp);
+	rxe_unbind_mws(qp);
	err = rxe_cleanup(qp);
