// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +2
//
// rxe: give a queue pair the list of the memory windows that are bound to it
@@
@@
struct rxe_qp {
	...
	struct rxe_hold hold;
+	struct list_head mws;
	...
};
@@
@@
struct rxe_mw {
	...
	struct rxe_mr *mr;
+	struct list_head of_qp;
	...
};
