// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -63 +8
//
// rxe: bind a memory window only to what stays until the window lets go
//
// Binding can fail: the region may be on its way out.
@@
@@
-rxe_do_invalidate_mw(...)
-{ ... }
@@
@@
-	rxe_do_invalidate_mw(mw);
+	rxe_mw_release(mw, RXE_MW_STATE_FREE);
@@
identifier qp, wqe, mw, mr, access;
@@
 rxe_do_bind_mw(
-	struct rxe_qp *qp,
	struct rxe_send_wqe *wqe, struct rxe_mw *mw,
-	struct rxe_mr *mr,
	int access)
 {
	...
	mw->length = ...;
-	if (mw->mr) { ... }
-	if (mw->length) { ... }
-	if (mw->ibmw.type == IB_MW_TYPE_2) { ... }
 }
@@
@@
	if (ret)
		goto err_unlock;
-	rxe_do_bind_mw(qp, wqe, mw, mr, access);
+	ret = rxe_mw_attach(qp, mw, mr);
+	if (ret)
+		goto err_unlock;
+	rxe_do_bind_mw(wqe, mw, access);
@@
@@
 rxe_mw_cleanup(...)
 {
	...
	rxe_put(pd);
-	if (mw->mr) { ... }
-	if (mw->qp) { ... }
-	mw->access = 0;
-	mw->addr = 0;
-	mw->length = 0;
-	mw->state = RXE_MW_STATE_INVALID;
+	rxe_mw_release(mw, RXE_MW_STATE_INVALID);
 }
