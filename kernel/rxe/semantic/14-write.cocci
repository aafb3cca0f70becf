// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -3 +5
//
// rxe: let an RDMA WRITE wait for its page
//
// The first packet of a WRITE names its length, so page faults are sized by
// what is left of it, not by the packet. A page that is not there in time is
// answered with an RNR NAK; it is no access error.
@@
expression E1, E2, E3;
@@
-	err = rxe_mr_copy(E1, E2, E3, data_len, RXE_TO_MR_OBJ);
+	err = rxe_mr_copy_ahead(E1, E2, E3, data_len, qp->resp.resid,
+				RXE_TO_MR_OBJ);
	if (err) {
-		rc = get_rkey_violation_state(pkt);
+		rc = rxe_odp_resp_error(qp, pkt, err,
+					get_rkey_violation_state(pkt));
		goto out;
	}
