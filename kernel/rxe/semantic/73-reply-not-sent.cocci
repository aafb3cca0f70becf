// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -2 +2
//
// rxe: have a READ repeated whose answer could not be sent
//
// The RNR NAK left it where it was, and whatever the peer sent next was answered
// with its middle.
@@
@@
-	state = RESPST_ERR_RNR;
+	state = rxe_odp_read_error(qp, req_pkt, -EAGAIN);
