import { isIpv6 } from '@ciliate/packet';
import { type AccessLog, type HttpAccessLog, isHttpLog, type SocketAddress } from '../protocol.ts';
import type { LoggedRequest } from './protocol.ts';

/**
 * Log entries on their way out of a worker: a line each, fields with NULs between them. A string crosses threads as it is; an
 * object would be taken apart and put together again. No header, path or host holds either character.
 */
export function logLine(connection: number, request: number, record: AccessLog): string {
  if (!isHttpLog(record)) return otherLine(connection, request, record);
  const { entryType, isIngress, source, destination, missingHeaders, rejectedHeaders, scheme } = record;
  const rare = missingHeaders || rejectedHeaders || scheme;
  const others = rare ? JSON.stringify({ missingHeaders, rejectedHeaders, scheme }) : '';
  const ends = `${addressText(source)}\0${addressText(destination)}`;
  const who = `${connection}\0${request}\0${record.sourceIdentity}\0${record.destinationIdentity}\0${ends}`;
  const what = `${entryType}\0${isIngress ? 1 : 0}\0${record.method}\0${record.path}\0${record.host}\0${record.protocol}`;
  const rule = record.rule === undefined ? '' : JSON.stringify(record.rule);
  const when = `${record.timestampNs}\0${record.latencyNs ?? ''}\0${record.status ?? ''}`;
  return `${who}\0${what}\0${when}\0${rule}\0${others}\n`;
}

/** What is no HTTP request is rare: JSON, behind the same two numbers. */
function otherLine(connection: number, request: number, record: AccessLog): string {
  const { timestampNs, source, destination, ...rest } = record;
  const others = JSON.stringify([rest, addressText(source), addressText(destination)]);
  return `${connection}\0${request}\0${timestampNs}\0${others}\n`;
}

/** @param lines as many as `logLine` made */
export const readLogLines = (lines: string): LoggedRequest[] => lines.slice(0, -1).split('\n').map(readLine);

function readLine(line: string): LoggedRequest {
  const fields = line.split('\0');
  if (fields.length === OTHER_FIELDS) return readOther(fields as [string, string, string, string]);
  const [connection, request, sourceIdentity, destinationIdentity, source, destination] = fields;
  const [entryType, isIngress, method, path, host, protocol] = fields.slice(6);
  const [timestampNs, latencyNs, status, rule, others] = fields.slice(12);
  const record: HttpAccessLog = {
    timestampNs: BigInt(timestampNs!),
    entryType: entryType as HttpAccessLog['entryType'],
    isIngress: isIngress === '1',
    sourceIdentity: Number(sourceIdentity),
    destinationIdentity: Number(destinationIdentity),
    source: readAddress(source!),
    destination: readAddress(destination!),
    method: method!,
    path: path!,
    host: host!,
    protocol: protocol as HttpAccessLog['protocol'],
    status: status === '' ? undefined : Number(status),
    latencyNs: latencyNs === '' ? undefined : BigInt(latencyNs!),
    rule: rule === '' ? undefined : JSON.parse(rule!),
    ...(others !== '' && JSON.parse(others!)),
  };
  return { connection: Number(connection), request: Number(request), record };
}

const OTHER_FIELDS = 4;

function readOther([connection, request, timestampNs, others]: [string, string, string, string]): LoggedRequest {
  const [rest, source, destination] = JSON.parse(others);
  const ends = { source: readAddress(source), destination: readAddress(destination) };
  return {
    connection: Number(connection),
    request: Number(request),
    record: { rule: undefined, ...rest, ...ends, timestampNs: BigInt(timestampNs) },
  };
}

/** `number port`; of IPv6 with an n behind the number. */
const addressText = (address: SocketAddress | undefined): string =>
  address === undefined ? '' : `${address.ip}${isIpv6(address.ip) ? 'n' : ''} ${address.port}`;

function readAddress(text: string): SocketAddress | undefined {
  if (text === '') return undefined;
  const [ip, port] = text.split(' ');
  return { ip: ip!.endsWith('n') ? BigInt(ip!.slice(0, -1)) : Number(ip), port: Number(port) };
}
