// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: let the pause after an RNR NAK grow with the time that a page takes
@@
@@
	send_ack(qp, AETH_RNR_NAK | (~AETH_TYPE_MASK &
-	qp->attr.min_rnr_timer
+	rxe_hold_rnr_timer(qp)
	), ...)
