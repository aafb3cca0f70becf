// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_mr.c
// Lines: -95 +0
//
// rxe: replace copy_data()
//
// It moved on to the next scatter/gather element before it knew that the copy
// would succeed, so that a second attempt began in the wrong one, and went by
// numbers that user space can change meanwhile. rxe_copy_wqe() does not.
@@
@@
-int copy_data(...)
-{ ... }
