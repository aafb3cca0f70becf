// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +1
//
// rxe: give a memory region its On-Demand Paging part
//
// An ODP region has no umem: the mirror has its pages. What it has instead
// hangs on this pointer.
@@
@@
struct rxe_mr {
	...
	struct ib_umem *umem;
+	struct rxe_odp *odp;
	...
};
