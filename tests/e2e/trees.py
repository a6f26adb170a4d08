# SPDX-License-Identifier: Apache-2.0
"""
All that there is to say of a tree of files, and what is different between two of them.
`python3 trees.py TOP` prints it as JSON, so that it can be asked inside a sandbox as well.
Imports nothing of the tests.
"""
import hashlib
import json
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link",
         stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device",
         stat.S_IFBLK: "device"}


def content_hash(path, size):
    """Of what is not a hole, so that a sparse file of 1 TB takes no time."""
    digest = hashlib.sha256(str(size).encode())
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        at = 0
        while at < size:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            while start < end:
                block = os.pread(fd, min(1 << 20, 4096 - start % 4096 if start % 4096
                                         else end - start), start)
                if not block:
                    break
                for i in range(0, len(block), 4096):  # a block of zeros is as good as a hole
                    part = block[i:i + 4096]
                    if part.strip(b"\0"):
                        digest.update(str(start + i).encode() + b":" + part)
                start += len(block)
            at = end
    finally:
        os.close(fd)
    return digest.hexdigest()


def entry(path):
    st = os.lstat(path)
    kind = KINDS[stat.S_IFMT(st.st_mode)]
    # Links have no mode and no xattrs of their own.
    mode = stat.S_IMODE(st.st_mode) if kind != "link" else 0o777
    said = {"kind": kind, "mode": f"{mode:04o}", "owner": [st.st_uid, st.st_gid],
            "mtime": st.st_mtime_ns, "ctime": st.st_ctime_ns, "inode": [st.st_dev, st.st_ino],
            "links": st.st_nlink, "xattrs": {}}
    if kind == "link":
        said["target"] = os.fsencode(os.readlink(path)).hex()
    elif kind == "file":
        said["size"] = st.st_size
        said["content"] = content_hash(path, st.st_size)
    elif kind == "device":
        said["device"] = st.st_rdev
    if kind in ("file", "directory"):
        for name in os.listxattr(path, follow_symlinks=False):
            if name.startswith("user.") or name == "security.capability":
                said["xattrs"][name] = os.getxattr(path, name, follow_symlinks=False).hex()
    return said


def listing(top):
    """{path: entry}, "." for the top itself; names as os.fsdecode() has them."""
    tree = {".": entry(top)}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            tree[os.path.relpath(path, top)] = entry(path)
    # Who is the same file as who, within the tree.
    groups = {}
    for path, said in sorted(tree.items()):
        if said["kind"] != "directory" and said["links"] > 1:
            groups.setdefault(tuple(said["inode"]), []).append(path)
    for paths in groups.values():
        for path in paths:
            tree[path]["same"] = paths
    return tree


def facts(said, *without):
    """What of an entry is the same in a faithful copy."""
    skip = {"ctime", "inode", "links", *without}
    if said["kind"] == "directory":
        skip.add("mtime")
    return {key: value for key, value in said.items() if key not in skip}


def differences(old, new, *without):
    """Lines that say what is different; none if @new is a faithful copy of @old."""
    lines = []
    for path in sorted(old.keys() | new.keys()):
        a, b = (facts(tree[path], *without) if path in tree else None for tree in (old, new))
        if a is None or b is None:
            lines.append(f"{path!r}: only in the {'second' if a is None else 'first'}")
            continue
        lines += [f"{path!r}: {key}: {a.get(key)} and {b.get(key)}"
                  for key in sorted(a.keys() | b.keys()) if a.get(key) != b.get(key)]
    return lines


def kinds(old, new):
    """{path: kind} as `purple diff --json` should say when @old becomes @new."""
    found = {}
    for path in old.keys() | new.keys():
        a, b = (facts(tree[path], "mtime", "same") if path in tree else None
                for tree in (old, new))
        if a == b:
            continue
        if b is None:
            # One change for all of a directory that is gone, or is something else now.
            above = path
            while above := os.path.dirname(above):
                if new.get(above, {}).get("kind") != "directory":
                    break
            if not above:
                found[path] = "deleted"
        elif a is None:
            found[path] = "added"
        elif a["kind"] != b["kind"]:
            found[path] = "type"
        else:
            content = ("content", "size", "target", "device")
            found[path] = ("modified" if any(a.get(key) != b.get(key) for key in content)
                           else "meta")
    return found


def untouched(top):
    """One word for all of a tree, with every time but that of reading."""
    return hashlib.sha256(json.dumps(listing(top), sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    json.dump(listing(sys.argv[1]), sys.stdout)
