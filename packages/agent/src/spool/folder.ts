/** The spool's disk in real life: a folder of mode 0700 with files of mode 0600. */
import { close, constants, fdatasync, fstat, ftruncate, open, rename, write } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SpoolDisk, SpoolFile } from './disk.ts';
import { lockFolder } from './lock.ts';

const BEAT = 'heartbeat';
const FILE_MODE = 0o600;

// The calls of node:fs on bare descriptors: a FileHandle costs twice the CPU, ten times a second.
const openFile = promisify(open);
const closeFile = promisify(close);
const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const writeFile = (fd: number, bytes: Uint8Array): Promise<number> =>
  new Promise((resolve, reject) =>
    write(fd, bytes, 0, bytes.length, null, (error, written) => (error ? reject(error) : resolve(written))),
  );

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await fs.open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/**
 * Every write waits for the disk (O_DSYNC), in the thread pool: one call instead of a write and a sync behind it, and so
 * one time less that a sleeping process is woken.
 */
const LOG_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_DSYNC;

const fileOf = (fd: number, folder: string): SpoolFile => {
  let named = false;
  return {
    async append(bytes) {
      for (let at = 0; at < bytes.length; ) at += await writeFile(fd, at === 0 ? bytes : bytes.subarray(at));
    },
    async sync() {
      if (!named) await syncFolder(folder);
      named = true;
    },
    truncate: (length) => truncateFile(fd, length),
    close: () => closeFile(fd),
  };
};

export const folderDisk = (folder: string): SpoolDisk => {
  const path = (name: string): string => join(folder, name);
  let beatFd: number | null = null;
  const notes = new Map<string, { fd: number; size: number }>();
  return {
    async lock() {
      await fs.mkdir(folder, { recursive: true, mode: 0o700 });
      await fs.chmod(folder, 0o700);
      const unlock = await lockFolder(folder);
      return async () => {
        for (const fd of [beatFd, ...[...notes.values()].map((note) => note.fd)]) if (fd !== null) await closeFile(fd);
        beatFd = null;
        notes.clear();
        await unlock();
      };
    },
    list: () => fs.readdir(folder),
    read: (name) => fs.readFile(path(name)),
    async readAt(name, offset, length) {
      const handle = await fs.open(path(name), 'r');
      try {
        const bytes = Buffer.alloc(length);
        const { bytesRead } = await handle.read(bytes, 0, length, offset);
        if (bytesRead < length) throw new Error(`${name} ends before ${offset + length}`);
        return bytes;
      } finally {
        await handle.close();
      }
    },
    beat: () => fs.readFile(path(BEAT)),
    async setBeat(bytes, sync) {
      beatFd ??= await openFile(path(BEAT), constants.O_RDWR | constants.O_CREAT, FILE_MODE);
      await new Promise<void>((resolve, reject) =>
        write(beatFd as number, bytes, 0, bytes.length, 0, (error) => (error ? reject(error) : resolve())),
      );
      if (sync) await syncFile(beatFd);
    },
    create: async (name) => fileOf(await openFile(path(name), LOG_FLAGS, FILE_MODE), folder),
    truncate: (name, length) => fs.truncate(path(name), length),
    remove: (name) => fs.rm(path(name), { force: true }),
    async note(name, line, maxBytes) {
      let note = notes.get(name);
      if (note === undefined) {
        const fd = await openFile(path(name), 'a', FILE_MODE);
        note = { fd, size: (await promisify(fstat)(fd)).size };
        notes.set(name, note);
      }
      note.size += await writeFile(note.fd, Buffer.from(`${line}\n`));
      if (note.size < maxBytes) return;
      notes.delete(name);
      await closeFile(note.fd);
      await promisify(rename)(path(name), path(`${name}.1`));
    },
  };
};
