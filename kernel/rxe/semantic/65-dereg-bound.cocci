// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -1 +1
//
// rxe: have no memory window bound to a region that is being deregistered
//
// The look at the number of windows was no promise that there would not be one
// a moment later, which then kept a region that was freed after 50 s.
@@
@@
-	atomic_read(&mr->num_mw) > 0
+	!rxe_mr_close(mr)
