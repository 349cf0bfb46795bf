import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EmbeddedStore, etcdClient, etcdOptions, KvstoreServer, valueText } from '../src/index.ts';
import { isInstalled } from './backends.ts';

const nowNs = () => 0n;

test('a watch goes on where it was when the server is back; nothing is missed or told twice', async () => {
  const store = new EmbeddedStore({ nowNs });
  const local = store.client();
  let server = await KvstoreServer.start({ store, listen: '127.0.0.1:0' });
  const listen = server.address;
  const client = etcdClient({ endpoints: [listen] });
  const seen: string[] = [];
  const watch = client.watch({ prefix: '', fromRevision: 1 });
  const following = (async () => {
    for await (const events of watch) for (const { entry } of events) seen.push(valueText(entry));
  })();
  const until = async (count: number) => {
    while (seen.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  await local.put('a', '1');
  await until(1);
  await server.stop();
  await local.put('a', '2');
  await local.put('a', '3');
  server = await KvstoreServer.start({ store, listen });
  await until(3);
  await client.put('a', '4');
  await until(4);
  expect(seen).toEqual(['1', '2', '3', '4']);
  watch.close();
  await following;
  await client.close();
  await server.stop();
}, 20_000);

test('a watch whose past was compacted while it was away says so', async () => {
  const store = new EmbeddedStore({ nowNs });
  const local = store.client();
  let server = await KvstoreServer.start({ store, listen: '127.0.0.1:0' });
  const listen = server.address;
  const client = etcdClient({ endpoints: [listen] });
  await client.put('a', '1');
  const watch = client.watch({ prefix: '', fromRevision: 1 })[Symbol.asyncIterator]();
  expect((await watch.next()).value).toHaveLength(1);
  await server.stop();
  for (let i = 0; i < 4; i++) await local.put('a', `${i}`);
  await local.compact(5);
  server = await KvstoreServer.start({ store, listen });
  await expect(watch.next()).rejects.toMatchObject({ code: 'COMPACTED' });
  await client.close();
  await server.stop();
}, 20_000);

test('while no endpoint can be reached, calls say so; with another one, they go there', async () => {
  const alone = etcdClient({ endpoints: ['127.0.0.1:1'], timeoutMs: 300 });
  await expect(alone.put('a', '1')).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('no etcd endpoint can be reached'),
  });
  await alone.close();
  const server = await KvstoreServer.start({ store: new EmbeddedStore({ nowNs }), listen: '127.0.0.1:0' });
  const both = etcdClient({ endpoints: ['127.0.0.1:1', server.address], timeoutMs: 2000 });
  expect(await both.put('a', '1')).toBe(2);
  await both.close();
  await server.stop();
}, 20_000);

const options: [pairs: string[], problem: string][] = [
  [[], 'etcd.address or etcd.config must be given'],
  [['etcd.adress=x:1'], 'no option "etcd.adress"; there are etcd.address and etcd.config'],
  [['etcd.qps=3'], 'etcd.qps is not modelled'],
  [['etcd.config=/nowhere'], 'no such file'],
];
test.each(options)('options %j are refused', (pairs, problem) => {
  expect(() => etcdOptions(pairs)).toThrow(problem);
});

describe.skipIf(!isInstalled('openssl'))('TLS (with certificates that openssl makes)', () => {
  let directory: string;
  const file = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });

  const certificate = (name: string, authority: string) => {
    writeFileSync(file('ext'), 'subjectAltName=IP:127.0.0.1\n');
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    const signed = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-extfile', 'ext'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '2', ...signed);
  };
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ciliate-tls-'));
    for (const ca of ['ca', 'other']) {
      const self = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${ca}`];
      openssl('req', ...self, '-keyout', `${ca}.key`, '-out', `${ca}.pem`);
    }
    certificate('server', 'ca');
    certificate('client', 'ca');
    certificate('stranger', 'other');
  }, 30_000);
  afterAll(() => rmSync(directory, { recursive: true }));

  test('a client with a certificate gets in, others and what is no TLS do not, and the server serves on', async () => {
    const pem = (name: string) => readFileSync(file(name));
    const server = await KvstoreServer.start({
      store: new EmbeddedStore({ nowNs }),
      listen: '127.0.0.1:0',
      tls: { cert: pem('server.pem'), key: pem('server.key'), clientCa: pem('ca.pem') },
    });
    const [host, port] = server.address.split(':');
    for (const garbage of ['GET / HTTP/1.1\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x16\x03\x01\x00\x05hello']) {
      const socket = connect(Number(port), host!);
      socket.on('error', () => {}); // it may be reset
      socket.resume();
      socket.write(garbage, 'latin1');
      await once(socket, 'close');
    }
    const config = file('etcd.yaml');
    const write = (name: string) =>
      writeFileSync(
        config,
        `endpoints: ['https://${server.address}']
trusted-ca-file: ${file('ca.pem')}
${name === '' ? '' : `cert-file: ${file(`${name}.pem`)}\nkey-file: ${file(`${name}.key`)}`}\n`,
      );
    for (const name of ['', 'stranger', 'client']) {
      write(name);
      const client = etcdClient({ ...etcdOptions([`etcd.config=${config}`]), timeoutMs: 1500 });
      const put = client.put('a', '1');
      if (name === 'client') expect(await put).toBe(2);
      else await expect(put).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await client.close();
    }
    await server.stop();
  }, 20_000);
});
