// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe_loc.h
// Lines: -3 +0
//
// rxe: the notifiers are the mirror's
@@
@@
-extern const struct mmu_interval_notifier_ops rxe_mn_ops;
