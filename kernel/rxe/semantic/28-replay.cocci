// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: replay a READ by its own length
//
// It went by the length of whatever request came last, and a zero there made
// it copy from no region.
@@
@@
-	!res->replay || qp->resp.length == 0
+	!res->replay || res->read.length == 0
