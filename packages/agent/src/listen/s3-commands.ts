/**
 * What we need of an S3 client: the shape of the AWS SDK v3, without depending on it. Its module namespace
 * (`import * as S3 from '@aws-sdk/client-s3'`) fits `S3Commands`.
 */
import type { StoredObject } from './store-ledger.ts';

/** Anything with `send(command)`. `never` lets the SDK's generic overloads fit. */
export interface S3Client {
  send(command: never, ...rest: never[]): unknown;
}

type Command = new (input: never) => { readonly input: object };

/** Command classes by the names the SDK gives them. They are recognised by identity, so bundling does no harm. */
export interface S3Commands {
  readonly HeadObjectCommand: Command;
  readonly ListObjectsV2Command: Command;
  readonly GetObjectCommand: Command;
  readonly PutObjectCommand: Command;
  readonly DeleteObjectCommand: Command;
  readonly DeleteObjectsCommand: Command;
  readonly CopyObjectCommand: Command;
  readonly UploadPartCommand: Command;
  readonly CompleteMultipartUploadCommand: Command;
}

/** Fields of inputs and outputs that are read; everything else passes through untouched. */
export interface S3Fields {
  Bucket?: string;
  Key?: string;
  Prefix?: string;
  Body?: unknown;
  IfNoneMatch?: string;
  ContentLength?: number;
  Delete?: { Objects?: readonly { Key?: string }[] };
  Errors?: readonly { Key?: string }[];
  Contents?: readonly { Key?: string; Size?: number }[];
  NextContinuationToken?: string;
  IsTruncated?: boolean;
}

export interface S3Place {
  readonly bucket: string;
  readonly commands: S3Commands;
}

/** The SDK checks its commands' inputs by types of its own; we vouch for the few fields we give. */
export const command = (Of: Command, input: object): object => new Of(input as never);

export type Send = (command: object) => Promise<S3Fields>;

const statusOf = (error: unknown): number | undefined =>
  (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;

export const isNotFound = (error: unknown): boolean =>
  statusOf(error) === 404 || ['NoSuchKey', 'NotFound'].includes((error as Error | null)?.name ?? '');

export const isPreconditionFailed = (error: unknown): boolean =>
  statusOf(error) === 412 || (error as Error | null)?.name === 'PreconditionFailed';

/** Bytes of an object, undefined when there is none. */
export const headSize = async (send: Send, { bucket, commands }: S3Place, key: string): Promise<number | undefined> => {
  try {
    const { ContentLength } = await send(command(commands.HeadObjectCommand, { Bucket: bucket, Key: key }));
    return ContentLength ?? 0;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
};

export async function* listObjects(
  send: Send,
  { bucket, commands }: S3Place,
  prefix: string,
): AsyncGenerator<StoredObject> {
  let token: string | undefined;
  do {
    const input = {
      Bucket: bucket,
      ...(prefix !== '' && { Prefix: prefix }),
      ...(token && { ContinuationToken: token }),
    };
    const page = await send(command(commands.ListObjectsV2Command, input));
    for (const { Key, Size } of page.Contents ?? []) if (Key !== undefined) yield { key: Key, size: Size ?? 0 };
    token = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}
