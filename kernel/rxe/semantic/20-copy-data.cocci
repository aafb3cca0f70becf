// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -1 +5
//
// rxe: make copy_data() repeatable, and size its faults by the work request
//
// It moved on to the next scatter/gather element before it knew that the copy
// would succeed, so that a second attempt began in the wrong one.
@@
@@
 copy_data(...)
 {
	...
	int resid = dma->resid;
+	int first_sge = dma->cur_sge;
	...
 }
@@
@@
-	err = rxe_mr_copy(mr, iova, addr, bytes, dir);
+	err = rxe_mr_copy_ahead(mr, iova, addr, bytes,
+				min_t(u32, resid, sge->length - offset),
+				dir);
@@
@@
 err2:
+	dma->cur_sge = first_sge;
	if (mr)
		rxe_put(mr);
 err1:
	return err;
