// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -4 +12
//
// rxe: hold a request until the page of its data is there
//
// The work request stays as it is and the task comes back to it after a while.
// A work request whose data is outside its region has a local protection error,
// as any other that may not touch its data (IBTA 10.10.2.2).
@@
@@
	err = finish_packet(...);
	if (unlikely(err)) {
+		if (rxe_hold_request(qp, err)) {
+			kfree_skb(skb);
+			if (ah)
+				rxe_put(ah);
+			goto exit;
+		}
		...
	}
@@
@@
-	err == -EFAULT
+	err == -EFAULT || err == -EINVAL
@@
@@
	err =
-	copy_data(qp->pd, 0, &wqe->dma,
+	rxe_copy_wqe(qp->pd, 0, &wqe->dma, qp->sq.max_sge,
		  ...);
@@
@@
	qp->need_req_skb = 0;
+	rxe_hold_sent(qp);
