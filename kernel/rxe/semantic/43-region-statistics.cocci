// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
// File: rxe.c
// Lines: -0 +2
//
// rxe: tell what happens to ODP regions
//
// `rdma resource show mr` says which regions these are, `rdma statistic show mr`
// counts as for mlx5.
@@
@@
 static const struct ib_device_ops rxe_ib_dev_odp_ops = {
	.advise_mr = rxe_ib_advise_mr,
+	.fill_res_mr_entry = rxe_odp_fill_res_mr,
+	.fill_stat_mr_entry = rxe_odp_fill_stat_mr,
 };
