// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -3 +3
//
// rxe: let an RDMA READ wait for its page
//
// As for a WRITE; the reply may be under way already, see
// rxe_odp_read_error().
@@
expression E1, E2;
@@
-	err = rxe_mr_copy(mr, E1, E2, payload, RXE_FROM_MR_OBJ);
+	err = rxe_mr_copy_ahead(mr, E1, E2, payload, res->read.resid,
+				RXE_FROM_MR_OBJ);
	if (err) {
		kfree_skb(skb);
-		state = RESPST_ERR_RKEY_VIOLATION;
+		state = rxe_odp_read_error(qp, req_pkt, err);
		goto err_out;
	}
