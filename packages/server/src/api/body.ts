/** Request bodies of the ingest routes: raw bytes, at most one gzip layer, bounded before and after decompression. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Problem } from '../errors.ts';
import { codeOf } from '../store/errors.ts';

const inflate = promisify(gunzip);

/** The body as sent, decompressed. Throws Problem. */
export const plainBody = async (body: unknown, encoding: string | undefined, bytesMax: number): Promise<Buffer> => {
  const raw = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const coding = encoding?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return raw;
  if (coding !== 'gzip' && coding !== 'x-gzip')
    throw new Problem('request.content_encoding', `Content-Encoding ${coding.slice(0, 50)} is not read here`);
  try {
    return await inflate(raw, { maxOutputLength: bytesMax });
  } catch (e) {
    if (codeOf(e) === 'ERR_BUFFER_TOO_LARGE')
      throw new Problem('request.too_large', `The body is larger than ${bytesMax} bytes after decompression`);
    throw new Problem('request.bad_gzip');
  }
};
