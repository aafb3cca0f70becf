// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_req.c
// Lines: -1 +1
//
// rxe: read a request to bind a memory window once
//
// What is checked in it has to be what is bound, and it is in memory that user
// space can change in between: the rights of the window, and whether it has a
// region at all.
@@
@@
-	ret = rxe_bind_mw(qp, wqe);
+	ret = rxe_bind_mw_once(qp, wqe);
