/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest program that runs: no libc, one page. It ends at once with
 * status 0; with an argument it writes one byte, to say that it runs, and sleeps
 * until a signal ends it. What a bench row costs beyond it is the sandbox's own
 * cost.
 */
#if defined(__x86_64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	cmpq $1, (%rsp)\n" /* argc */
	"	ja 1f\n"
	"	mov $60, %eax\n" /* exit */
	"	xor %edi, %edi\n"
	"	syscall\n"
	"1:	mov $1, %eax\n" /* write(1, stack, 1) */
	"	mov $1, %edi\n"
	"	mov %rsp, %rsi\n"
	"	mov $1, %edx\n"
	"	syscall\n"
	"2:	mov $34, %eax\n" /* pause */
	"	syscall\n"
	"	jmp 2b\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n"
	"_start:\n"
	"	ldr x0, [sp]\n" /* argc */
	"	cmp x0, #1\n"
	"	b.hi 1f\n"
	"	mov x8, #93\n" /* exit */
	"	mov x0, #0\n"
	"	svc #0\n"
	"1:	mov x0, #1\n" /* write(1, stack, 1) */
	"	mov x1, sp\n"
	"	mov x2, #1\n"
	"	mov x8, #64\n"
	"	svc #0\n"
	"2:	mov x0, #0\n" /* ppoll(NULL, 0, NULL, NULL) */
	"	mov x1, #0\n"
	"	mov x2, #0\n"
	"	mov x3, #0\n"
	"	mov x8, #73\n"
	"	svc #0\n"
	"	b 2b\n");
#else
#error "tiny: add this machine's exit(0) and pause()"
#endif
