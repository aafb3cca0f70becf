// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -4 +11
//
// rxe: hold a request until the page of its data is there
//
// The work request stays as it is and the task comes back to it; in between it
// sees a queue pair that is being destroyed. A work request whose data is
// outside its region has a local protection error, as any other that may not
// touch its data (IBTA 10.10.2.2).
@@
@@
	err = finish_packet(...);
	if (unlikely(err)) {
+		if (rxe_odp_retryable(err)) {
+			kfree_skb(skb);
+			if (ah)
+				rxe_put(ah);
+			goto done;
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
