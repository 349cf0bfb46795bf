import { type Agent, AgentError, podName } from '@ciliate/agent';
import { isHttpLog } from '@ciliate/envoy';
import { formatIp } from '@ciliate/packet';
import { type DescribedStep, describeRequest, describeSteps } from './describe.ts';
import { playTrace } from './replay.ts';
import { type Row, rowsOf } from './rows.ts';
import { type Question, synthesize } from './synthesize.ts';
import { TcpPlayer } from './tcp_player.ts';

/** May this client do this? Addresses as in `Question`. */
export type VerdictQuestion = Omit<Question, 'request' | 'response'> & {
  /** Ask also what becomes of a request on the connection. */
  http?: { method: string; target: string; host: string };
};

export interface Verdict extends Omit<Row, 'policy' | 'sourcePort'> {
  /** Of the first packet, and of the request in the proxy. */
  steps: DescribedStep[];
}

const RESPONSE = new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');

/**
 * Answers by doing it: makes the packets of such a connection, as if they had been recorded without policy, and replays
 * them. There is no second way to a verdict.
 */
export async function judge(agent: Agent, question: VerdictQuestion): Promise<Verdict> {
  const { http } = question;
  const request =
    http && new TextEncoder().encode(`${http.method} ${http.target} HTTP/1.1\r\nhost: ${http.host}\r\n\r\n`);
  const packets = synthesize({ ...question, ...(request && { request, response: RESPONSE }) });
  agent.flushConntrack();
  const { players, names } = await playTrace(agent, packets);
  const player = players[0];
  if (player === undefined) {
    const { client, server } = question;
    throw new AgentError(
      'BAD_INPUT',
      `no packet goes from ${typeof client === 'object' ? podName(client) : formatIp(client)} to ${formatIp(server.address)}`,
    );
  }
  const { policy: _policy, sourcePort: _port, ...row } = rowsOf(agent, player, names)[0]!;
  const steps = player.first === undefined ? [] : describeSteps(agent, player.first.steps);
  const log = player instanceof TcpPlayer ? (player.proxied?.log ?? []) : [];
  for (const { record } of log)
    if (isHttpLog(record) && record.entryType !== 'Response')
      steps.push(describeRequest(row.backend ?? row.destination, record));
  return { ...row, steps };
}
