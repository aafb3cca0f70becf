// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_loc.h
// Lines: -2 +1
//
// rxe: tell ODP regions by their own part, not by their umem
@@
identifier mr;
expression E;
@@
is_odp_mr(struct rxe_mr *mr)
{
-	return E;
+	return mr->odp;
}
