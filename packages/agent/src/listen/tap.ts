/** Hears what a server and its answers do, without being one of their listeners. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Socket } from 'node:net';

/**
 * Node says here that an answer is with the system, before it puts the next pipelined one on the socket. A listener
 * for `finish` would have to be first in line, and the list of two is copied for each answer.
 */
const FINISHED = 'http.server.response.finish';

interface Finished {
  readonly socket: Socket;
  readonly response: ServerResponse;
}
type Emit = (this: unknown, name: string | symbol, ...args: unknown[]) => boolean;

export interface Ear {
  /** An event of the server, before its listeners; the first two arguments. */
  event(name: string | symbol, a: unknown, b: unknown): void;
  /** An answer of any server of the process. */
  finish(socket: Socket, response: ServerResponse): void;
  /** One of the two above threw. It reaches nobody else. */
  failed(): void;
}

/**
 * Listens by wrapping `emit`. A listener of its own for `upgrade`, `connect` or `checkContinue` would change what the
 * server does: Node asks whether there is one. Returns what ends it.
 */
export const tap = (server: Server | SecureServer, ear: Ear): (() => void) => {
  const target = server as { emit: Emit };
  const isOwn = Object.hasOwn(server, 'emit');
  const inner = target.emit;
  const emit: Emit = function (name, ...args) {
    try {
      ear.event(name, args[0], args[1]);
    } catch {
      ear.failed();
    }
    return inner.call(this, name, ...args);
  };
  target.emit = emit;
  const finished = (message: unknown): void => {
    const { socket, response } = message as Finished;
    try {
      ear.finish(socket, response);
    } catch {
      ear.failed();
    }
  };
  subscribe(FINISHED, finished);
  return () => {
    unsubscribe(FINISHED, finished);
    // Somebody may have wrapped ours since: then it stays and only passes on.
    if (target.emit !== emit) return;
    if (isOwn) target.emit = inner;
    else Reflect.deleteProperty(target, 'emit');
  };
};
