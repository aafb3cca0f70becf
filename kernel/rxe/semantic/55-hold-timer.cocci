// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_qp.c
// Lines: -0 +2
//
// rxe: make and end the timer of the packets that wait for a page
@@
@@
	rxe_init_task(&qp->send_task, ...);
+	rxe_hold_init(qp);
@@
@@
	if (qp->send_task.func)
		rxe_cleanup_task(&qp->send_task);
+	rxe_hold_destroy(qp);
