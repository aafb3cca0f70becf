// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_qp.c
// Lines: -0 +3
//
// rxe: forget what is kept for repeated requests when the queue pair is reset
@@
@@
	qp->resp.drop_msg = 0;
+	rxe_hold_restart(qp);
+	qp->resp.keep_wqe = false;
+	qp->resp.flushed = 0;
	qp->resp.goto_error = 0;
