// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_verbs.c
// Lines: -0 +2
//
// rxe: do not say later of pinned memory that it lasts
//
// Nobody has looked whether it does.
@@
@@
	if (... && (access & ~(RXE_ACCESS_SUPPORTED_MR | IB_ACCESS_HUGETLB))) { ... }
+	if (flags & IB_MR_REREG_ACCESS && rxe_adds_persistence(mr, access))
+		return ERR_PTR(-EOPNOTSUPP);
	if (flags & IB_MR_REREG_PD) { ... }
