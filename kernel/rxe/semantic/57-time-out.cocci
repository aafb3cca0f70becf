// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -2 +6
//
// rxe: time out only if a response is due
//
// While the peer's RNR NAK or a page of ours keeps the requester from sending,
// none is. The time-out counted as an attempt even so, and ended the connection
// after retry_cnt of them. And the timer of what has been answered was left
// running, and ended what happened to be under way next. Looking for a page is no
// answer, and leaves the timer of what is due as it is.
@@
@@
	qp->comp.timeout_retry =
-	1
+	rxe_hold_awaits_peer(qp)
	;
@@
@@
 reset_retry_timer(...)
 {
	...
	if (...) {
		spin_lock_irqsave(...);
+		if (!rxe_hold_keeps_timer(qp))
+			timer_delete(&qp->retrans_timer);
		if (... &&
-		    psn_compare(qp->req.psn, qp->comp.psn) > 0
+		    psn_compare(qp->req.psn, qp->comp.psn) > 0 &&
+		    rxe_hold_awaits_peer(qp) && !timer_pending(&qp->retrans_timer)
		   )
			mod_timer(...);
		...
	}
	...
 }
@@
@@
	qp->req.wait_for_rnr_timer = 1;
+	timer_delete(&qp->retrans_timer);
