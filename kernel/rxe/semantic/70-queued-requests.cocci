// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -0 +2
//
// rxe: bound the requests that wait for the responder
//
// It may wait for a page, and a peer with an unreliable connection does not wait
// for it.
@@
@@
 rxe_resp_queue_pkt(...)
 {
+	if (rxe_hold_drop_request(qp, skb))
+		return;
	...
 }
