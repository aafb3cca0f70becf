// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -3 +3
//
// rxe: flush regions of more than 4 GiB completely
//
// The length of a FLUSH of a whole region was cut to 32 bits on its way to the
// loop that writes back, which then reported success for the rest.
@@
identifier mr, iova, length;
@@
 rxe_mr_flush_pmem_iova(struct rxe_mr *mr, u64 iova,
-unsigned int length
+u64 length
 )
 { ... }
@@
identifier mr, start, length;
@@
 rxe_flush_pmem_iova(struct rxe_mr *mr, u64 start,
-unsigned int length
+u64 length
 )
 { ... }
@@
@@
	bytes =
-	min_t(unsigned int, length, PAGE_SIZE - page_offset);
+	min_t(u64, length, PAGE_SIZE - page_offset);
	va = kmap_local_page(info->page);
	arch_wb_cache_pmem(...);
