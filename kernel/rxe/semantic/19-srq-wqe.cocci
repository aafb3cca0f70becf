// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +5
//
// rxe: use the receive request that a repeated packet has taken already
//
// It may have been completed in error meanwhile, without the packet.
@@
@@
+	if (srq && qp->resp.keep_wqe) {
+		qp->resp.keep_wqe = false;
+		if (qp->resp.wqe)
+			return RESPST_CHK_LENGTH;
+	}
	if (srq)
		return get_srq_wqe(qp);
