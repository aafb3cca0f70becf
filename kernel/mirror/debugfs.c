// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * /sys/kernel/debug/odp_mirror/summary: every mirror and its numbers.
 *
 * One value a line, "mirror ID pid PID NAME VALUE", so that grep and awk do.
 * Only root reads debugfs. Nothing depends on the file being there.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "mirror.h"

static struct dentry *odp_debugfs_dir;

static const char * const odp_counter_names[ODP_NR_COUNTERS] = {
	[ODP_COUNT_FAULTS]		= "faults",
	[ODP_COUNT_QUEUED]		= "faults_queued",
	[ODP_COUNT_PAGES]		= "pages_mapped",
	[ODP_COUNT_SNAPSHOTS]		= "snapshots",
	[ODP_COUNT_PREFETCHES]		= "prefetches",
	[ODP_COUNT_INVALIDATIONS]	= "invalidations",
	[ODP_COUNT_CALLBACKS]		= "callbacks",
	[ODP_COUNT_PAGES_DROPPED]	= "pages_dropped",
	[ODP_COUNT_WRITE_DROPPED]	= "write_dropped",
	[ODP_COUNT_COLLISIONS]		= "collisions",
	[ODP_COUNT_RELOOKS]		= "relooks",
	[ODP_COUNT_RETRIES]		= "retries",
	[ODP_COUNT_BUSY]		= "busy",
	[ODP_COUNT_ERRORS]		= "errors",
	[ODP_COUNT_CHUNKS]		= "chunks_created",
	[ODP_COUNT_HUGE]		= "huge_mapped",
	[ODP_COUNT_RECLAIMED]		= "tables_reclaimed",
	[ODP_COUNT_FLUSHED]		= "pages_flushed",
};

static void odp_summary_line(struct seq_file *file, struct odp_mirror *mirror,
			     const char *name, u64 value)
{
	seq_printf(file, "mirror %u pid %d %s %llu\n", mirror->id, mirror->pid,
		   name, value);
}

static void odp_summary_mirror(struct odp_mirror *mirror, void *context)
{
	struct seq_file *file = context;
	struct odp_mirror_stats stats;
	int i;

	odp_mirror_stats(mirror, &stats);
	odp_summary_line(file, mirror, "windows", stats.windows);
	odp_summary_line(file, mirror, "chunks", stats.chunks);
	odp_summary_line(file, mirror, "pages", stats.pages);
	odp_summary_line(file, mirror, "table_bytes", stats.table_bytes);
	for (i = 0; i < ODP_NR_COUNTERS; i++)
		odp_summary_line(file, mirror, odp_counter_names[i],
				 stats.count[i]);
}

static int summary_show(struct seq_file *file, void *unused)
{
	odp_mirrors_each(odp_summary_mirror, file);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(summary);

void odp_debugfs_init(void)
{
	odp_debugfs_dir = debugfs_create_dir("odp_mirror", NULL);
	debugfs_create_file("summary", 0400, odp_debugfs_dir, NULL,
			    &summary_fops);
}

void odp_debugfs_exit(void)
{
	debugfs_remove(odp_debugfs_dir);
}
