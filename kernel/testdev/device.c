// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * /dev/odp_mirror_test: the file, and the way from an ioctl() to its function.
 *
 * Every command works on the memory of whoever made the window, with the
 * kernel's hands, and can keep threads running. So only root opens it.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "testdev.h"

/**
 * struct odp_test_command - a command that exists
 * @cmd: as user space gives it
 * @size: bytes of its structure. All are in their first version, so fewer are
 *	wrong; the first that grows needs its former size here too.
 * @reply: the structure is written back afterwards, also after an error; a
 *	command that makes something does that itself
 * @run: does it
 */
struct odp_test_command {
	unsigned int cmd;
	u32 size;
	bool reply;
	int (*run)(struct odp_test_device *device, struct odp_test_call *call);
};

#define ODP_TEST_COMMAND(_cmd, _type, _reply, _run) \
	{ \
		.cmd = (_cmd), \
		.size = sizeof(struct _type), \
		.reply = (_reply), \
		.run = (_run), \
	}

static const struct odp_test_command odp_test_commands[] = {
	ODP_TEST_COMMAND(ODP_TEST_WINDOW_CREATE, odp_test_window_create, false,
			 odp_test_window_create),
	ODP_TEST_COMMAND(ODP_TEST_WINDOW_DESTROY, odp_test_window_destroy,
			 false, odp_test_window_destroy),
	ODP_TEST_COMMAND(ODP_TEST_READ, odp_test_access, true, odp_test_read),
	ODP_TEST_COMMAND(ODP_TEST_WRITE, odp_test_access, true, odp_test_write),
	ODP_TEST_COMMAND(ODP_TEST_FLUSH, odp_test_access, true, odp_test_flush),
	ODP_TEST_COMMAND(ODP_TEST_ATOMIC, odp_test_atomic, true,
			 odp_test_atomic),
	ODP_TEST_COMMAND(ODP_TEST_PREFETCH, odp_test_prefetch, false,
			 odp_test_prefetch),
	ODP_TEST_COMMAND(ODP_TEST_THREADS_START, odp_test_threads_start, false,
			 odp_test_threads_start),
	ODP_TEST_COMMAND(ODP_TEST_THREADS_COUNT, odp_test_threads, true,
			 odp_test_threads_count),
	ODP_TEST_COMMAND(ODP_TEST_THREADS_STOP, odp_test_threads, true,
			 odp_test_threads_stop),
	ODP_TEST_COMMAND(ODP_TEST_BENCH, odp_test_bench, true, odp_test_bench),
	ODP_TEST_COMMAND(ODP_TEST_SNAPSHOT, odp_test_snapshot, false,
			 odp_test_snapshot),
	ODP_TEST_COMMAND(ODP_TEST_STATS, odp_test_stats, true, odp_test_stats),
	ODP_TEST_COMMAND(ODP_TEST_DMA_STATS, odp_test_dma_stats, true,
			 odp_test_dma_stats),
};

static const struct odp_test_command *odp_test_command(unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odp_test_commands); i++)
		if (odp_test_commands[i].cmd == cmd)
			return &odp_test_commands[i];
	return NULL;
}

/**
 * odp_test_reply - write a command's structure back to its caller
 * @call: the command
 *
 * Return: 0, or -EFAULT
 */
int odp_test_reply(const struct odp_test_call *call)
{
	if (copy_to_user(call->user, &call->data, call->length))
		return -EFAULT;
	return 0;
}

static long odp_test_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	const struct odp_test_command *command = odp_test_command(cmd);
	struct odp_test_call call = { .user = (void __user *)arg };
	int err, reply_err;
	u32 size;

	if (!command)
		return -ENOTTY;
	if (get_user(size, (u32 __user *)call.user))
		return -EFAULT;
	if (size < command->size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;

	err = copy_struct_from_user(&call.data, command->size, call.user, size);
	if (err)
		return err;
	call.length = min(size, command->size);

	err = command->run(file->private_data, &call);
	if (!command->reply)
		return err;
	reply_err = odp_test_reply(&call);
	return err ?: reply_err;
}

static int odp_test_open(struct inode *inode, struct file *file)
{
	struct odp_test_device *device;

	/* The mode can be changed by whoever manages device nodes. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	device = kzalloc_obj(*device, GFP_KERNEL_ACCOUNT);
	if (!device)
		return -ENOMEM;
	device->account = odp_test_account_open();
	if (!device->account) {
		kfree(device);
		return -ENOMEM;
	}
	xa_init_flags(&device->windows, XA_FLAGS_ALLOC1);
	xa_init_flags(&device->runs, XA_FLAGS_ALLOC1);
	file->private_data = device;
	return nonseekable_open(inode, file);
}

static int odp_test_release(struct inode *inode, struct file *file)
{
	struct odp_test_device *device = file->private_data;

	odp_test_runs_release(device);
	odp_test_windows_release(device);
	odp_test_account_close(device->account);
	kfree(device);
	return 0;
}

static const struct file_operations odp_test_fops = {
	.owner		= THIS_MODULE,
	.open		= odp_test_open,
	.release	= odp_test_release,
	.unlocked_ioctl	= odp_test_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice odp_test_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "odp_mirror_test",
	.fops	= &odp_test_fops,
	.mode	= 0600,
};
module_misc_device(odp_test_misc);

MODULE_DESCRIPTION("Test device on the mirror of a process address space");
MODULE_LICENSE("Dual BSD/GPL");
