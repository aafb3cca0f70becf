// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_comp.c
// Lines: -1 +1
//
// rxe: do not log what a peer can cause at will: send completions
@@
@@
-rxe_err_qp
+rxe_dbg_qp
 (...)
