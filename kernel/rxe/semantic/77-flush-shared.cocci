// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +3
//
// rxe: flush the receive request that was taken from a shared queue
//
// It has left the queue, and nobody else completes it.
@@
identifier notify;
@@
 flush_recv_queue(..., bool notify)
 {
	...
	if (qp->srq) {
+		if (notify && qp->resp.wqe)
+			flush_recv_wqe(qp, qp->resp.wqe);
+		qp->resp.wqe = NULL;
		...
	}
	...
 }
