import { expect, test } from 'vitest';
import { type NamedPort, NamedPorts, podPort } from '../src/named_ports.ts';

const TCP = 6;
const UDP = 17;
const port = (name: string, number: number, protocol: NamedPort['protocol'] = 'TCP'): NamedPort => ({
  name,
  protocol,
  port: number,
});

test('on one pod a name means its port, for its protocol alone', () => {
  const ports = [port('web', 80), port('dns', 53, 'UDP')];
  expect([podPort(ports, 'web', TCP), podPort(ports, 'web', UDP), podPort(ports, 'other', TCP)]).toEqual([
    80,
    undefined,
    undefined,
  ]);
});

test('on one pod the last of two ports with one name counts, whatever its protocol', () => {
  const ports = [port('dns', 53), port('DNS', 5353, 'UDP')];
  expect([podPort(ports, 'dns', TCP), podPort(ports, 'dns', UDP)]).toEqual([undefined, 5353]);
});

test('over all pods a name means a port if they agree', () => {
  const all = NamedPorts.of([
    [port('web', 80)],
    [port('web', 80)],
    [port('db', 5432)],
    [port('db', 5433)],
    [port('db', 53, 'UDP')],
  ]);
  expect([all.get('web', TCP), all.get('db', TCP), all.get('db', UDP), all.get('none', TCP)]).toEqual([
    80,
    undefined,
    53,
    undefined,
  ]);
});

test('pods that come and go change what a name means', () => {
  const all = new NamedPorts();
  expect(all.add([port('web', 80)])).toBe(true);
  expect(all.add([port('web', 80)])).toBe(false);
  expect(all.add([port('web', 8080)])).toBe(true);
  expect(all.get('web', TCP)).toBeUndefined();
  expect(all.remove([port('web', 80)])).toBe(false);
  expect(all.remove([port('web', 80)])).toBe(true);
  expect(all.get('web', TCP)).toBe(8080);
});
