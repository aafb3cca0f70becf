// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -1 +2
//
// rxe: give an unexpected response the status that it has, without a warning
//
// A peer can send what it likes (IBTA 9.9.2.4.1).
@@
@@
-	WARN_ON_ONCE(wqe->status == IB_WC_SUCCESS);
+	if (wqe->status == IB_WC_SUCCESS)
+		wqe->status = IB_WC_BAD_RESP_ERR;
