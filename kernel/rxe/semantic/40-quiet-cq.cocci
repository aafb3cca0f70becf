// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_cq.c
// Lines: -1 +1
//
// rxe: do not log what a peer can cause at will: a full completion queue
@@
@@
-	rxe_err_cq
+	rxe_dbg_cq
	(cq, "queue full\n");
