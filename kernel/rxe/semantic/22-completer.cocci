// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -0 +8
//
// rxe: hold a response until the page that it goes to is there
@@
@@
	ret = copy_data(...);
+	if (rxe_odp_retryable(ret)) {
+		rxe_odp_requeue_response(qp, pkt);
+		return COMPST_DONE;
+	}
	if (ret) {
		wqe->status = IB_WC_LOC_PROT_ERR;
		return COMPST_ERROR;
	}
