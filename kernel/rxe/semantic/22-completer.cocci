// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -6 +10
//
// rxe: hold a response until the page that it goes to is there
@@
expression E1, E2;
@@
-	ret = copy_data(qp->pd, IB_ACCESS_LOCAL_WRITE, &wqe->dma, E1, E2, RXE_TO_MR_OBJ);
+	ret = rxe_copy_wqe(qp->pd, IB_ACCESS_LOCAL_WRITE, &wqe->dma, qp->sq.max_sge,
+		     E1, E2, RXE_TO_MR_OBJ);
+	if (rxe_hold_response(qp, pkt, ret))
+		return COMPST_EXIT;
	if (ret) {
		wqe->status = IB_WC_LOC_PROT_ERR;
		return COMPST_ERROR;
	}
