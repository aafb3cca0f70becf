// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_loc.h
// Lines: -3 +3
//
// rxe: declare flush lengths as 64 bits
//
// A FLUSH of a whole region names no length, and regions are longer than
// 2^32 - 1 bytes.
@@
@@
 int rxe_flush_pmem_iova(struct rxe_mr *mr, u64 iova,
-			 unsigned int length
+			 u64 length
 );
@@
@@
 int rxe_odp_flush_pmem_iova(struct rxe_mr *mr, u64 iova,
-			     unsigned int length
+			     u64 length
 );
@@
@@
 rxe_odp_flush_pmem_iova(struct rxe_mr *mr, u64 iova,
-			 unsigned int length
+			 u64 length
 )
 { ... }
