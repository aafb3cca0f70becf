// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -1 +1
//
// rxe: do not log what a peer can cause at will: receive completions
@@
@@
-rxe_err_qp
+rxe_dbg_qp
 (...)
