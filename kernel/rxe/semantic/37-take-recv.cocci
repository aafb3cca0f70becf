// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +2
//
// rxe: begin a receive request at its beginning
//
// Where it is in its elements came from user space.
@@
@@
	memcpy(&qp->resp.srq_wqe, wqe, size);
+	rxe_take_recv(&qp->resp.srq_wqe.wqe, num_sge);
