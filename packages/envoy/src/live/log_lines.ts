import type { HttpAccessLog } from '../protocol.ts';
import type { LoggedRequest } from './protocol.ts';

/**
 * Log entries on their way out of a worker: a line each, fields with NULs between them. A string crosses threads as it is; an
 * object would be taken apart and put together again. No header, path or host holds either character.
 */
export function logLine(connection: number, request: number, record: HttpAccessLog): string {
  const { entryType, isIngress, source, destination, missingHeaders, rejectedHeaders } = record;
  const headers = missingHeaders || rejectedHeaders ? JSON.stringify({ missingHeaders, rejectedHeaders }) : '';
  const ends = `${source.ip}\0${source.port}\0${destination.ip}\0${destination.port}`;
  const who = `${connection}\0${request}\0${record.sourceIdentity}\0${record.destinationIdentity}\0${ends}`;
  const what = `${entryType}\0${isIngress ? 1 : 0}\0${record.method}\0${record.path}\0${record.host}\0${record.protocol}`;
  const rule = record.rule === undefined ? '' : JSON.stringify(record.rule);
  const when = `${record.timestampNs}\0${record.latencyNs ?? ''}\0${record.status ?? ''}`;
  return `${who}\0${what}\0${when}\0${rule}\0${headers}\n`;
}

/** @param lines as many as `logLine` made */
export const readLogLines = (lines: string): LoggedRequest[] => lines.slice(0, -1).split('\n').map(readLine);

function readLine(line: string): LoggedRequest {
  const fields = line.split('\0');
  const [connection, request, sourceIdentity, destinationIdentity, sourceIp, sourcePort, ip, port] = fields;
  const [entryType, isIngress, method, path, host, protocol] = fields.slice(8);
  const [timestampNs, latencyNs, status, rule, headers] = fields.slice(14);
  const record: HttpAccessLog = {
    timestampNs: BigInt(timestampNs!),
    entryType: entryType as HttpAccessLog['entryType'],
    isIngress: isIngress === '1',
    sourceIdentity: Number(sourceIdentity),
    destinationIdentity: Number(destinationIdentity),
    source: { ip: Number(sourceIp), port: Number(sourcePort) },
    destination: { ip: Number(ip), port: Number(port) },
    method: method!,
    path: path!,
    host: host!,
    protocol: protocol as HttpAccessLog['protocol'],
    status: status === '' ? undefined : Number(status),
    latencyNs: latencyNs === '' ? undefined : BigInt(latencyNs!),
    rule: rule === '' ? undefined : JSON.parse(rule!),
    ...(headers !== '' && JSON.parse(headers!)),
  };
  return { connection: Number(connection), request: Number(request), record };
}
