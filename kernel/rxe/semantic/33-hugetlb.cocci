// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -2 +2
//
// rxe: take regions of huge pages
//
// IBV_ACCESS_HUGETLB promises the driver something about the memory. The mirror
// finds out by itself, and pinned regions do not care.
@@
expression access;
@@
	access &
-	~RXE_ACCESS_SUPPORTED_MR
+	~(RXE_ACCESS_SUPPORTED_MR | IB_ACCESS_HUGETLB)
