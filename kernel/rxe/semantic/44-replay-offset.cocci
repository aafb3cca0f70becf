// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.h
// Lines: -0 +1
//
// rxe: remember what a zero based memory window adds to a READ's address
@@
@@
struct resp_res {
	...
	union {
		...
		struct {
			u64 va_org;
+			u64 offset;
			u32 rkey;
			u32 length;
			u64 va;
			u32 resid;
		} read;
		...
	};
};
