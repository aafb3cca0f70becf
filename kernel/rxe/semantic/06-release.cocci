// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -0 +1
//
// rxe: release a region's ODP part with the region
@@
identifier elem, mr;
@@
 rxe_mr_cleanup(struct rxe_pool_elem *elem)
 {
	...
+	rxe_odp_mr_release(mr);
	ib_umem_release(mr->umem);
	...
 }
