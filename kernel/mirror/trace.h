/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Tracepoints: each step of a page's way into the mirror and out of it.
 *
 * In /sys/kernel/tracing/events/odp_mirror. Every event has the mirror's id and
 * the owner's pid, as the summary file in debugfs has them. Addresses are the
 * owner's; first and last are closed.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM odp_mirror

#if !defined(ODP_MIRROR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define ODP_MIRROR_TRACE_H

#include <linux/tracepoint.h>

#include "mirror.h"

#define odp_show_event(event)						\
	__print_symbolic(event,						\
			 { MMU_NOTIFY_UNMAP, "unmap" },			\
			 { MMU_NOTIFY_CLEAR, "clear" },			\
			 { MMU_NOTIFY_PROTECTION_VMA, "protection-vma" },\
			 { MMU_NOTIFY_PROTECTION_PAGE, "protection-page" },\
			 { MMU_NOTIFY_SOFT_DIRTY, "soft-dirty" },	\
			 { MMU_NOTIFY_RELEASE, "release" },		\
			 { MMU_NOTIFY_MIGRATE, "migrate" },		\
			 { MMU_NOTIFY_EXCLUSIVE, "exclusive" })

#define odp_show_mode(mode)						\
	__print_symbolic(mode,						\
			 { ODP_FAULT_LOOK, "look" },			\
			 { ODP_FAULT_QUICK, "quick" },			\
			 { ODP_FAULT_FULL, "full" })

/* What it took. Full faults are those of work items: they may have waited. */
#define odp_show_class(mode, faulted)					\
	(!(faulted) ? "present" : (mode) == ODP_FAULT_FULL ? "major" : "minor")

/*
 * A look for absent pages begins, with leave to fault as the mode says: quick in
 * the accessing context, which goes on to full in a work item if that is not
 * enough. Prefetches are full, or a look.
 */
TRACE_EVENT(odp_fault_begin,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first,
		 unsigned long last, bool write, enum odp_fault_mode mode),
	TP_ARGS(mirror, first, last, write, mode),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned long, last)
		__field(bool, write)
		__field(int, mode)
	),
	TP_fast_assign(
		__entry->id = mirror->id;
		__entry->pid = mirror->pid;
		__entry->first = first;
		__entry->last = last;
		__entry->write = write;
		__entry->mode = mode;
	),
	TP_printk("mirror=%u pid=%d first=%#lx last=%#lx write=%d mode=%s",
		  __entry->id, __entry->pid, __entry->first, __entry->last,
		  __entry->write, odp_show_mode(__entry->mode))
);

/* It ends; usable counts wanted pages, or is an errno. */
TRACE_EVENT(odp_fault_end,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first,
		 bool write, enum odp_fault_mode mode, bool faulted,
		 long usable, u64 ns),
	TP_ARGS(mirror, first, write, mode, faulted, usable, ns),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(bool, write)
		__field(bool, faulted)
		__field(int, mode)
		__field(long, usable)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->id = mirror->id;
		__entry->pid = mirror->pid;
		__entry->first = first;
		__entry->write = write;
		__entry->faulted = faulted;
		__entry->mode = mode;
		__entry->usable = usable;
		__entry->ns = ns;
	),
	TP_printk("mirror=%u pid=%d first=%#lx write=%d mode=%s class=%s usable=%ld ns=%llu",
		  __entry->id, __entry->pid, __entry->first, __entry->write,
		  odp_show_mode(__entry->mode),
		  odp_show_class(__entry->mode, __entry->faulted),
		  __entry->usable, __entry->ns)
);

/* What was seen became usable; usable counts wanted pages, or is an errno. */
TRACE_EVENT(odp_publish,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first,
		 unsigned long last, long usable, bool huge),
	TP_ARGS(mirror, first, last, usable, huge),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned long, last)
		__field(long, usable)
		__field(bool, huge)
	),
	TP_fast_assign(
		__entry->id = mirror->id;
		__entry->pid = mirror->pid;
		__entry->first = first;
		__entry->last = last;
		__entry->usable = usable;
		__entry->huge = huge;
	),
	TP_printk("mirror=%u pid=%d first=%#lx last=%#lx usable=%ld huge=%d",
		  __entry->id, __entry->pid, __entry->first, __entry->last,
		  __entry->usable, __entry->huge)
);

/* An invalidation; pages lost something by it. */
TRACE_EVENT(odp_invalidate,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first,
		 unsigned long last, int event, unsigned int pages),
	TP_ARGS(mirror, first, last, event, pages),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(unsigned long, first)
		__field(unsigned long, last)
		__field(int, event)
		__field(unsigned int, pages)
	),
	TP_fast_assign(
		__entry->id = mirror->id;
		__entry->pid = mirror->pid;
		__entry->first = first;
		__entry->last = last;
		__entry->event = event;
		__entry->pages = pages;
	),
	TP_printk("mirror=%u pid=%d first=%#lx last=%#lx event=%s pages=%u",
		  __entry->id, __entry->pid, __entry->first, __entry->last,
		  odp_show_event(__entry->event), __entry->pages)
);

DECLARE_EVENT_CLASS(odp_place,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first),
	TP_ARGS(mirror, first),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(unsigned long, first)
	),
	TP_fast_assign(
		__entry->id = mirror->id;
		__entry->pid = mirror->pid;
		__entry->first = first;
	),
	TP_printk("mirror=%u pid=%d first=%#lx",
		  __entry->id, __entry->pid, __entry->first)
);

/* A look was thrown away, because its slot was invalidated meanwhile. */
DEFINE_EVENT(odp_place, odp_collide,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first),
	TP_ARGS(mirror, first)
);

/* A chunk and its notifier came into being. */
DEFINE_EVENT(odp_place, odp_chunk_create,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first),
	TP_ARGS(mirror, first)
);

/* A chunk is about to go, with its notifier. */
DEFINE_EVENT(odp_place, odp_chunk_free,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first),
	TP_ARGS(mirror, first)
);

/* The shrinker gave a table back. */
DEFINE_EVENT(odp_place, odp_reclaim,
	TP_PROTO(const struct odp_mirror *mirror, unsigned long first),
	TP_ARGS(mirror, first)
);

#endif /* ODP_MIRROR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
