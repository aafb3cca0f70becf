// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -4 +2
//
// rxe: bind a memory window only inside its region
//
// The sum of address and length wraps for a window near the end of the
// address space; the check that accesses use does not add. Of a zero based
// window only the length was looked at.
@@
expression A, B, C, D;
@@
-	((A < B) || ((A + C) > (B + D)))
+	mr_check_range(mr, A, C)
@@
expression W;
@@
-	W->wr.wr.mw.length > mr->ibmr.length
+	mr_check_range(mr, W->wr.wr.mw.addr, W->wr.wr.mw.length)
