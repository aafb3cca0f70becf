// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -19 +2
//
// rxe: check a remote access against its memory window
//
// The responder checked the range of the region below the window only, so
// that a peer with the key of a 4 KiB window reached all of the region: of an
// implicit one, the whole address space. And it looked at the window without
// its lock, while it could be invalidated, and then used a region that might
// have been freed.
@@
@@
-	struct rxe_mw *mw = NULL;
@@
@@
-	mw = rxe_lookup_mw(qp, access, rkey);
-	if (!mw) {
+	mr = rxe_request_region(qp, pkt, access);
+	if (!mr) {
		...
	}
-
-	mr = mw->mr;
-	if (!mr) { ... }
-	if (mw->access & IB_ZERO_BASED)
-		qp->resp.offset = mw->addr;
-	rxe_get(mr);
-	rxe_put(mw);
-	mw = NULL;
@@
@@
-	if (mw)
-		rxe_put(mw);
