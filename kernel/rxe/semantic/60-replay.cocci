// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_resp.c
// Lines: -60 +3
//
// rxe: let repeated READs reach what the READ reached, and not more
//
// A repetition moved the start of what may be repeated, and left its length, so
// that each could reach further than the one before: out of a memory window and
// through its region. And what follows the first packet was checked neither for
// the window's range nor for rights and protection domain.
@@
@@
-rxe_recheck_mr(...)
-{ ... }
@@
expression E;
@@
-	rxe_recheck_mr(qp, E)
+	rxe_read_region(qp, res)
@@
@@
-	(iova + resid) > (res->read.va_org + res->read.length)
+	iova - res->read.va_org > res->read.length - resid
@@
@@
-	res->read.va_org = iova;
	res->read.va = iova;
