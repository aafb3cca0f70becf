// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +1
//
// rxe: remember how far a FLUSH came that is going to be repeated
@@
@@
struct rxe_resp_info {
	...
	struct rxe_mr *mr;
+	u64 flushed;
	...
};
