// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -3 +3
//
// rxe: do not wait for packets that have been sent meanwhile
//
// The last of them may be freed between the look at their number and the
// request to be told, and then nobody is.
@@
@@
-	qp->need_req_skb = 0;
+	WRITE_ONCE(qp->need_req_skb, 0);
@@
@@
-	qp->need_req_skb = 1;
-	goto exit;
+	if (rxe_wait_for_skbs(qp))
+		goto exit;
