// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +4
//
// rxe: use the receive request that a repeated packet has taken already
@@
@@
+	if (srq && qp->resp.keep_wqe) {
+		qp->resp.keep_wqe = false;
+		return RESPST_CHK_LENGTH;
+	}
	if (srq)
		return get_srq_wqe(qp);
