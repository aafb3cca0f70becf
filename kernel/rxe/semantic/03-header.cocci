// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe.h
// Lines: -0 +1
//
// rxe: declare the ODP functions that the transport calls
@@
@@
#include "rxe_loc.h"
+#include "rxe_odp.h"
