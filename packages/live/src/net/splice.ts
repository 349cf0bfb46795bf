import type { Socket } from 'node:net';
import type { TcpEnd } from './tcp_end.ts';

/**
 * Joins a real socket with an emulated connection: bytes, ends and resets go both ways, and neither side is read faster
 * than the other takes. The socket must allow half-open connections.
 */
export function splice(socket: Socket, end: TcpEnd): void {
  end.events = {
    onData: (bytes) => {
      if (!socket.write(bytes)) end.pause();
    },
    onEnd: () => socket.end(),
    onReset: () => socket.resetAndDestroy(),
    onTimeout: () => socket.resetAndDestroy(),
    onDrain: () => socket.resume(),
    onClosed: () => socket.destroySoon(),
  };
  socket.on('data', (bytes: Uint8Array) => {
    end.write(bytes);
    if (end.isFull) socket.pause();
  });
  socket.on('drain', () => end.resume());
  socket.on('end', () => end.finish());
  socket.on('error', () => end.reset());
  // Closed without an end and without an error: by this process.
  socket.on('close', () => {
    if (!socket.readableEnded) end.reset();
  });
}
