import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import type { LiveCluster } from '@ciliate/live';
import { decode, encode, type Packet, streamDecode, streamEncode } from 'dns-packet';

type Type = 'A' | 'AAAA';
const queryFor = (name: string, type: Type): Packet => ({ type: 'query', id: 1, questions: [{ type, name }] });
const WAIT_MS = 1000;

/** A native question on the pod's own port. @returns undefined if nothing comes back for a second */
export function askDns(cluster: LiveCluster, pod: string, name: string, type: Type = 'A'): Promise<Packet | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(undefined), WAIT_MS);
    const finish = (answer: Packet | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    socket.on('message', (bytes) => finish(decode(bytes)));
    socket.send(encode(queryFor(name, type)), cluster.pod(pod)!.dnsPort, '127.0.0.1');
  });
}

/** The same over TCP, several on one connection. @returns as many answers as came when the server ended it, or in a second */
export function askDnsOverTcp(cluster: LiveCluster, pod: string, names: readonly string[]): Promise<Packet[]> {
  const socket = connect({ port: cluster.pod(pod)!.dnsPort, host: '127.0.0.1' });
  const answers: Packet[] = [];
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(), WAIT_MS);
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answers);
    };
    socket.on('data', (more: Buffer) => {
      bytes = Buffer.concat([bytes, more]);
      while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE()) {
        const end = 2 + bytes.readUInt16BE();
        answers.push(streamDecode(bytes.subarray(0, end)));
        bytes = bytes.subarray(end);
      }
      if (answers.length === names.length) finish();
    });
    socket.on('error', finish);
    for (const name of names) socket.write(streamEncode(queryFor(name, 'A')));
  });
}
