// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -54 +54
//
// rxe: do not log what an unprivileged process can cause at will
//
// A refused call has its errno. The same text 54 times in the kernel log tells
// an administrator nothing, and anybody can fill it.
@@
@@
(
-rxe_err_ah
+rxe_dbg_ah
|
-rxe_err_cq
+rxe_dbg_cq
|
-rxe_err_dev
+rxe_dbg_dev
|
-rxe_err_mr
+rxe_dbg_mr
|
-rxe_err_mw
+rxe_dbg_mw
|
-rxe_err_pd
+rxe_dbg_pd
|
-rxe_err_qp
+rxe_dbg_qp
|
-rxe_err_srq
+rxe_dbg_srq
|
-rxe_err_uc
+rxe_dbg_uc
)
 (...)
