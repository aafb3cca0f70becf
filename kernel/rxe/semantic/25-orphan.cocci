// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -0 +1
//
// rxe: let go of the sender when a response has arrived
//
// A looped back packet refers to the queue pair that sent it until it is
// freed. A response that is held for its page, and all that are queued behind
// it, would keep the responder from being destroyed.
@@
@@
 rxe_comp_queue_pkt(...)
 {
	...
+	skb_orphan(skb);
	skb_queue_tail(&qp->resp_pkts, skb);
	...
 }
