/**
 * A gRPC client for the `rls` bench that costs little: one HTTP/2 connection written by hand, because a library's client
 * takes as long for a call as the server and would be what is measured. It encodes headers without compression, reads
 * frames, and looks no further into an answer than its first field.
 */
import { connect, type Socket } from 'node:net';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const Frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const WINDOW_MAX = 2 ** 31 - 1;

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A literal header field that is not indexed (RFC 7541, 6.2.2). */
const field = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);

/** `:method: POST` and `:scheme: http` stand in the static table. */
const headersOf = (path: string, authority: string): Buffer =>
  Buffer.concat([
    Buffer.from([0x83, 0x86]),
    field(':path', path),
    field(':authority', authority),
    field('content-type', 'application/grpc'),
    field('te', 'trailers'),
  ]);

export class RawClient {
  private readonly socket: Socket;
  private readonly headers: Buffer;
  private readonly answered: (stream: number, ok: boolean) => void;
  private pending = Buffer.alloc(0);
  private stream = -1;
  private readonly good = new Set<number>();

  private constructor(socket: Socket, headers: Buffer, answered: (stream: number, ok: boolean) => void) {
    this.socket = socket;
    this.headers = headers;
    this.answered = answered;
    socket.on('data', (bytes: Buffer) => this.read(bytes));
  }

  /** `answered`: with the stream that `send` returned, and whether the decision was OK. */
  static async open(
    address: string,
    path: string,
    answered: (stream: number, ok: boolean) => void,
  ): Promise<RawClient> {
    const [host = '', port = ''] = address.split(':');
    const socket = connect({ host, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const client = new RawClient(socket, headersOf(path, address), answered);
    const grow = Buffer.alloc(4);
    grow.writeUInt32BE(WINDOW_MAX - 65_535);
    socket.write(
      Buffer.concat([PREFACE, frame(Frame.settings, 0, 0, Buffer.alloc(0)), frame(Frame.windowUpdate, 0, 0, grow)]),
    );
    return client;
  }

  send(message: Buffer): number {
    this.stream += 2;
    const data = Buffer.alloc(5 + message.length);
    data.writeUInt32BE(message.length, 1);
    message.copy(data, 5);
    this.socket.write(
      Buffer.concat([
        frame(Frame.headers, END_HEADERS, this.stream, this.headers),
        frame(Frame.data, END_STREAM, this.stream, data),
      ]),
    );
    return this.stream;
  }

  close(): void {
    this.socket.destroy();
  }

  private read(bytes: Buffer): void {
    let at = 0;
    const all = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes]);
    while (all.length - at >= 9) {
      const length = all.readUIntBE(at, 3);
      if (all.length - at - 9 < length) break;
      this.take(
        all[at + 3] as number,
        all[at + 4] as number,
        all.readUInt32BE(at + 5),
        all.subarray(at + 9, at + 9 + length),
      );
      at += 9 + length;
    }
    this.pending = Buffer.from(all.subarray(at));
  }

  private take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === Frame.settings && (flags & ACK) === 0)
      this.socket.write(frame(Frame.settings, ACK, 0, Buffer.alloc(0)));
    else if (type === Frame.ping && (flags & ACK) === 0) this.socket.write(frame(Frame.ping, ACK, 0, payload));
    // Five bytes before the message; its first field is the overall code.
    else if (type === Frame.data && payload[5] === 0x08 && payload[6] === 1) this.good.add(stream);
    else if (type === Frame.goAway)
      this.socket.destroy(new Error(`the server closes: code ${payload.readUInt32BE(4)}`));
    if (type === Frame.reset || ((type === Frame.headers || type === Frame.data) && (flags & END_STREAM) !== 0))
      this.answered(stream, this.good.delete(stream));
  }
}
