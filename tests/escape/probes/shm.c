/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm find KEY   is there a System V segment with this key?
 * shm make KEY   make one, print "ready", wait for standard input to end, remove it
 */
#include <sys/ipc.h>
#include <sys/shm.h>

#include "probe.h"

int main(int argc, char **argv)
{
	key_t key = argc == 3 ? (key_t)strtoul(argv[2], NULL, 0) : 0;
	int id;
	char c;

	if (argc == 3 && strcmp(argv[1], "find") == 0)
		judge(shmget(key, 0, 0), "find the segment");
	if (argc != 3 || strcmp(argv[1], "make") != 0)
		usage("shm find|make KEY");
	id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
	if (id < 0)
		verdict(CANNOT, "shmget: %s", strerror(errno));
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return shmctl(id, IPC_RMID, NULL) < 0;
}
