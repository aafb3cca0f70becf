// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -9 +12
//
// rxe: let a SEND wait for the page of its receive buffer
//
// And complete the receive request with the status that a local access error
// has, where it was that of a malformed request.
@@
@@
 static enum resp_states send_data_in(struct rxe_qp *qp,
+	struct rxe_pkt_info *pkt,
	void *data_addr, int data_len)
 { ... }
@@
@@
	err =
-	copy_data(qp->pd, IB_ACCESS_LOCAL_WRITE, &qp->resp.wqe->dma,
+	rxe_copy_wqe(qp->pd, IB_ACCESS_LOCAL_WRITE, &qp->resp.wqe->dma, RXE_MAX_SGE,
		  data_addr, data_len, RXE_TO_MR_OBJ);
	if (unlikely(err))
-		return (err == -ENOSPC) ? RESPST_ERR_LENGTH : RESPST_ERR_MALFORMED_WQE;
+		return rxe_odp_recv_error(qp, pkt, err);
@@
expression E1, E2;
@@
	err =
-	send_data_in(qp, E1, E2)
+	send_data_in(qp, pkt, E1, E2)
	;
