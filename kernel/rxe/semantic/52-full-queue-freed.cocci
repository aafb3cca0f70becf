// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_net.c
// Lines: -2 +1
//
// rxe: look whether somebody waits for packets after they are counted
//
// The other half of rxe_wait_for_skbs(): the count is changed with full
// ordering.
@@
expression E;
@@
-	qp->need_req_skb && E
+	READ_ONCE(qp->need_req_skb) && E
