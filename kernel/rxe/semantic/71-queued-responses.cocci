// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -0 +4
//
// rxe: bound the responses that wait for the completer
//
// While it waits for the page of the first one, those of a READ of 2 GiB all came
// in. What was dropped is asked for again when all that is there has been used.
@@
@@
	skb_orphan(skb);
+	if (rxe_hold_drop_response(qp, skb))
+		return;
@@
@@
	skb = skb_dequeue(&qp->resp_pkts);
	if (skb) { ... }
+	if (!skb)
+		rxe_hold_recover(qp);
