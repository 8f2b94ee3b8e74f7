/** A bucket as an object store, over any client of the AWS SDK v3's shape. */
import type { Content } from './content.ts';
import {
  command,
  headSize,
  isNotFound,
  isPreconditionFailed,
  listObjects,
  type S3Client,
  type S3Fields,
  type S3Place,
  type Send,
} from './s3-commands.ts';
import type { ObjectStore } from './storage.ts';

/** S3 deletes at most this many objects by one command. */
const MOST_DELETED = 1000;

/** `CopySource`: the slashes stay, everything else is escaped. */
const copySource = (bucket: string, key: string): string =>
  `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;

/**
 * Streams are handed to the client as they are: the SDK must know their length, or wants its own multipart upload (which
 * `meterS3` counts). A rename is a copy and a delete: not atomic. Errors are those of the client.
 */
export const s3Store = (client: S3Client, place: S3Place): Required<ObjectStore> => {
  const { bucket: Bucket, commands } = place;
  const send: Send = async (what) => client.send(what as never) as Promise<S3Fields>;
  const removeAll = async (keys: readonly string[]): Promise<void> => {
    const Objects = keys.map((Key) => ({ Key }));
    const { Errors } = await send(command(commands.DeleteObjectsCommand, { Bucket, Delete: { Objects, Quiet: true } }));
    if (Errors?.length) throw new Error(`${Errors.length} of ${keys.length} objects could not be deleted`);
  };
  const removeBelow = async (prefix: string): Promise<void> => {
    let keys: string[] = [];
    for await (const { key } of listObjects(send, place, prefix)) {
      keys.push(key);
      if (keys.length < MOST_DELETED) continue;
      await removeAll(keys);
      keys = [];
    }
    if (keys.length > 0) await removeAll(keys);
  };
  const move = async (from: string, to: string): Promise<void> => {
    await send(command(commands.CopyObjectCommand, { Bucket, Key: to, CopySource: copySource(Bucket, from) }));
    await send(command(commands.DeleteObjectCommand, { Bucket, Key: from }));
  };
  return {
    async get(key) {
      try {
        return (await send(command(commands.GetObjectCommand, { Bucket, Key: key }))).Body as Content;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    put: async (key, body) => void (await send(command(commands.PutObjectCommand, { Bucket, Key: key, Body: body }))),
    async add(key, body) {
      try {
        await send(command(commands.PutObjectCommand, { Bucket, Key: key, Body: body, IfNoneMatch: '*' }));
        return true;
      } catch (error) {
        if (isPreconditionFailed(error)) return false;
        throw error;
      }
    },
    async delete(key, options) {
      await send(command(commands.DeleteObjectCommand, { Bucket, Key: key }));
      if (options?.recursive) await removeBelow(`${key}/`);
    },
    list: (prefix) => listObjects(send, place, prefix),
    size: (key) => headSize(send, place, key),
    async rename(from, to) {
      if (from === to) return;
      if ((await headSize(send, place, from)) !== undefined) await move(from, to);
      for await (const { key } of listObjects(send, place, `${from}/`)) await move(key, to + key.slice(from.length));
    },
  };
};
