/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of the kernel's structures that trace.bpf.c reads, and no others:
 * where they are in the running kernel is found out when the program is loaded
 * (CO-RE: libbpf compares names with /sys/kernel/btf/vmlinux).
 */
#ifndef PURPLE_TRACE_KERNEL_H
#define PURPLE_TRACE_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct inode {
	unsigned short i_mode;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount { /* fs/mount.h */
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	void *private_data;
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_mode;
	unsigned int f_flags;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
	struct file *exe_file;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	int nr_threads;
	unsigned int flags;
	int group_exit_code;
};

struct task_struct {
	int pid, tgid;
	int exit_code;
	struct task_struct *real_parent, *group_leader;
	__u64 self_exec_id; /* counts executions; a child's begins with its parent's */
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	char comm[16];
};

struct linux_binprm {
	const char *filename;
};

struct socket {
	short type;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs { /* the arguments of a system call outlive it, but for those of execve */
	unsigned long di, si, dx, r10, orig_ax;
};
#define REGS_CALL(r) ((r)->orig_ax)
#define REGS_ARG0(r) ((r)->di)
#define REGS_ARG1(r) ((r)->si)
#define REGS_ARG2(r) ((r)->dx)
#define REGS_ARG3(r) ((r)->r10)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 orig_x0;
	int syscallno;
};
#define REGS_CALL(r) ((__u64)(__u32)(r)->syscallno)
#define REGS_ARG0(r) ((r)->orig_x0)
#define REGS_ARG1(r) ((r)->regs[1])
#define REGS_ARG2(r) ((r)->regs[2])
#define REGS_ARG3(r) ((r)->regs[3])
#endif

#pragma clang attribute pop

#endif
