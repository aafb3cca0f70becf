// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mw.c
// Lines: -3 +1
//
// rxe: bind a memory window only inside its region
//
// The sum of address and length wraps for a window near the end of the
// address space; the check that accesses use does not add.
@@
expression A, B, C, D;
@@
-	((A < B) || ((A + C) > (B + D)))
+	mr_check_range(mr, A, C)
