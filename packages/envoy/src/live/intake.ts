import { type Server, Socket, type SocketConstructorOpts } from 'node:net';

/** All reads of this thread go here first: they do not overlap. */
const room = Buffer.allocUnsafe(64 * 1024);

/**
 * Who takes the bytes of a socket as they come. For each read Node would allocate 64 KiB and give most of them back; here
 * what came is copied out of one room for all.
 */
export class Intake {
  take: ((bytes: Buffer) => void) | undefined;
  /** Of the socket's options. */
  readonly onread = {
    buffer: room,
    callback: (count: number): boolean => {
      const bytes = Buffer.allocUnsafe(count);
      room.copy(bytes, 0, 0, count);
      this.take?.(bytes);
      return true;
    },
  };
}

/** What Node keeps to itself of a server: its listening socket, and who is called for each connection. */
interface Listening {
  readonly _handle: { onconnection(error: number, handle: Connected | undefined): void };
}
type Connected = { setNoDelay(on: boolean): void };

/**
 * A listening server's connections go to `accept`, each with an intake. Node has `onread` for sockets that connect, and none
 * for those that are accepted; so this makes them itself, as `net.Server` does, of what Node has not documented.
 */
export function acceptWithIntake(server: Server, accept: (socket: Socket, intake: Intake) => void): void {
  (server as unknown as Listening)._handle.onconnection = (error, handle) => {
    if (handle === undefined) {
      server.emit('error', new Error(`accept: ${error}`));
      return;
    }
    handle.setNoDelay(true);
    const intake = new Intake();
    const options = { handle, allowHalfOpen: true, onread: intake.onread };
    accept(new Socket(options as unknown as SocketConstructorOpts), intake);
  };
}
