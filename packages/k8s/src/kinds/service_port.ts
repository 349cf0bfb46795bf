import { dnsLabel, portName } from '../formats.ts';
import { checked, type Fail, mapped } from '../schema/derived.ts';
import { ignored, object, optional, required } from '../schema/object.ts';
import type { Schema } from '../schema/schema.ts';
import { integer, integerOrString, text } from '../schema/values.ts';
import type { ServicePort } from '../types.ts';
import { MAX_PORT, protocol } from './pod.ts';

const targetPort = checked(integerOrString(1, MAX_PORT), (value, fail) => {
  const wrong = typeof value === 'string' ? portName(value) : undefined;
  if (wrong !== undefined) fail(wrong);
});

export const servicePort: Schema<ServicePort> = mapped(
  object({
    name: optional(text(dnsLabel)),
    port: required(integer(1, MAX_PORT)),
    targetPort: optional(targetPort),
    protocol,
    nodePort: optional(integer(1, MAX_PORT)),
    appProtocol: ignored,
  }),
  ({ name, port, targetPort, protocol, nodePort }) => ({
    ...{ name, port, targetPort: targetPort ?? port, protocol, nodePort },
  }),
);

/** Several ports must have names; no name, no port and no node port of a protocol may come twice. */
export function checkPorts(ports: readonly ServicePort[], fail: Fail): void {
  if (ports.length === 0) fail('want at least one port');
  const seen = new Set<string>();
  const once = (word: string, index: number, field: string): void => {
    if (seen.has(word)) fail(`${word} is there twice`, { at: [index, field] });
    seen.add(word);
  };
  for (const [index, { name, port, protocol, nodePort }] of ports.entries()) {
    once(`port ${port}/${protocol}`, index, 'port');
    if (nodePort !== undefined) once(`node port ${nodePort}/${protocol}`, index, 'nodePort');
    if (name !== undefined) once(`name ${name}`, index, 'name');
    else if (ports.length > 1) fail('each of several ports needs a name', { at: [index] });
  }
}
