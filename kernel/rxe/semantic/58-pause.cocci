// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -0 +2
//
// rxe: send nothing behind a request that was refused
//
// What is posted during the pause after an RNR NAK went out at once, was dropped
// as out of order, and went out again after the pause, when the timer runs the
// task.
@@
@@
+	if (qp->req.wait_for_rnr_timer)
+		goto exit;
	wqe = req_next_wqe(qp);
