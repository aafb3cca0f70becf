// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -2 +3
//
// rxe: pin regions of more than 1 GiB
//
// Their list of pages is longer than what kmalloc() has in one piece.
@@
identifier mr, num_pages;
@@
-	mr->page_info = kzalloc_objs(struct rxe_mr_page, num_pages);
+	mr->page_info = kvzalloc_objs(struct rxe_mr_page, num_pages, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
@@
identifier mr;
@@
-	kfree(mr->page_info);
+	kvfree(mr->page_info);
