import type { Pod, Service } from '@ciliate/k8s';
import { expect, test } from 'vitest';
import { type ServiceEntry, ServiceIds, serviceEntries } from '../src/index.ts';

const position = { file: 'cluster.yaml', line: 7, column: 1 };
const meta = (fullName: string, labels: Record<string, string> = {}) => {
  const [namespace = '', name = ''] = fullName.split('/');
  return { namespace, name, labels, annotations: {} };
};

type Port = { name?: string; containerPort: number; protocol?: 'TCP' | 'UDP' };
const pod = (fullName: string, podIP: string, labels: Record<string, string>, ports: Port[] = []): Pod => ({
  kind: 'Pod',
  position,
  metadata: meta(fullName, labels),
  spec: {
    nodeName: undefined,
    serviceAccountName: 'default',
    containers: [{ name: 'c', ports: ports.map((p) => ({ name: undefined, protocol: 'TCP' as const, ...p })) }],
  },
  status: { podIP, podIPs: [podIP], hostIP: undefined, hostIPs: [] },
});

type ServicePort = { name?: string; port: number; targetPort: number | string; protocol?: 'TCP' | 'UDP' };
const service = (
  fullName: string,
  clusterIP: string,
  selector: Record<string, string> | undefined,
  ports: ServicePort[],
): Service => ({
  kind: 'Service',
  position,
  metadata: meta(fullName),
  spec: {
    type: 'ClusterIP',
    clusterIP,
    selector,
    ports: ports.map((p) => ({ name: undefined, protocol: 'TCP' as const, ...p })),
  },
});

const dotted = (address: number) => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
const line = ({ namespace, name, revNatId, frontend: f, backends }: ServiceEntry) =>
  `${revNatId} ${namespace}/${name} ${dotted(f.address)}:${f.port}/${f.protocol} -> ${backends
    .map((b) => `${b.id}=${dotted(b.address)}:${b.port}/${b.protocol} ${b.pod}`)
    .join(', ')}`;

const empire = { org: 'empire', class: 'deathstar' };
const pods = [
  pod('default/deathstar-2', '10.0.1.2', empire, [{ name: 'web', containerPort: 8080 }]),
  pod('default/deathstar-1', '10.0.1.1', empire, [{ name: 'web', containerPort: 80 }]),
  pod('default/xwing', '10.0.1.3', { org: 'alliance' }),
  pod('other/deathstar', '10.0.1.4', empire, [{ name: 'web', containerPort: 80 }]),
  pod('default/dns', '10.0.1.5', { app: 'dns' }, [
    { name: 'dns', containerPort: 1053 },
    { name: 'dns', containerPort: 53, protocol: 'UDP' },
  ]),
];

const scenarios: [name: string, services: Service[], want: string[]][] = [
  [
    'the pods of the namespace that the selector selects, in the order of their names',
    [service('default/deathstar', '10.96.0.10', empire, [{ port: 80, targetPort: 80 }])],
    [
      '1 default/deathstar 10.96.0.10:80/TCP -> 1=10.0.1.1:80/TCP default/deathstar-1, 2=10.0.1.2:80/TCP default/deathstar-2',
    ],
  ],
  [
    'a target port by name is each pod’s own; a pod without it does not serve',
    [service('default/d', '10.96.0.10', empire, [{ port: 80, targetPort: 'web' }])],
    ['1 default/d 10.96.0.10:80/TCP -> 1=10.0.1.1:80/TCP default/deathstar-1, 2=10.0.1.2:8080/TCP default/deathstar-2'],
  ],
  [
    'a name counts only with the protocol of the service port',
    [
      service('default/dns', '10.96.0.10', { app: 'dns' }, [
        { name: 'udp', port: 53, targetPort: 'dns', protocol: 'UDP' },
        { name: 'tcp', port: 53, targetPort: 'dns' },
      ]),
    ],
    [
      '1 default/dns 10.96.0.10:53/UDP -> 1=10.0.1.5:53/UDP default/dns',
      '2 default/dns 10.96.0.10:53/TCP -> 2=10.0.1.5:1053/TCP default/dns',
    ],
  ],
  [
    'ids follow the order of names, not of files; one backend of two services has one id',
    [
      service('other/a', '10.96.0.13', empire, [{ port: 80, targetPort: 80 }]),
      service('default/b', '10.96.0.12', { org: 'alliance' }, [{ port: 80, targetPort: 80 }]),
      service('default/a', '10.96.0.11', { org: 'alliance' }, [{ port: 80, targetPort: 80 }]),
    ],
    [
      '1 default/a 10.96.0.11:80/TCP -> 1=10.0.1.3:80/TCP default/xwing',
      '2 default/b 10.96.0.12:80/TCP -> 1=10.0.1.3:80/TCP default/xwing',
      '3 other/a 10.96.0.13:80/TCP -> 2=10.0.1.4:80/TCP other/deathstar',
    ],
  ],
  [
    'no selector selects nobody, and neither does one that no pod meets',
    [
      service('default/a', '10.96.0.10', undefined, [{ port: 80, targetPort: 80 }]),
      service('default/b', '10.96.0.11', { ...empire, tier: 'x' }, [{ port: 80, targetPort: 80 }]),
    ],
    ['1 default/a 10.96.0.10:80/TCP -> ', '2 default/b 10.96.0.11:80/TCP -> '],
  ],
];

test.each(scenarios)('%s', (_name, services, want) => {
  expect(serviceEntries(services, pods).map(line)).toEqual(want);
  expect(serviceEntries(services.toReversed(), pods.toReversed()).map(line)).toEqual(want);
});

test('with the ids of the last time, what is there already keeps its ids and what is gone frees them', () => {
  const ids = new ServiceIds();
  const of = (...last: number[]) =>
    serviceEntries(
      last.map((byte) => service(`default/s${byte}`, `10.96.0.${byte}`, empire, [{ port: 80, targetPort: 80 }])),
      [],
      ids,
    ).map(({ name, revNatId }) => `${name}=${revNatId}`);
  expect(of(2, 3)).toEqual(['s2=1', 's3=2']);
  expect(of(1, 3)).toEqual(['s1=3', 's3=2']); // 1 is free only now
  expect(of(1, 3, 4)).toEqual(['s1=3', 's3=2', 's4=1']);
});

test('addresses above 127.255.255.255 are positive numbers', () => {
  const [entry] = serviceEntries([service('default/a', '240.0.0.1', empire, [{ port: 1, targetPort: 1 }])], []);
  expect(entry!.frontend.address).toBe(0xf0000001);
});

test('two services that claim one frontend are refused with the place of the second', () => {
  const claim = (name: string) => service(`default/${name}`, '10.96.0.10', empire, [{ port: 80, targetPort: 80 }]);
  const wrong = { ...claim('b'), position: { file: 'b.yaml', line: 3, column: 5 } };
  expect(() => serviceEntries([wrong, claim('a')], pods)).toThrow(
    expect.objectContaining({
      code: 'BAD_INPUT',
      message:
        'b.yaml:3:5: spec.clusterIP: 10.96.0.10:80/TCP of Service default/b belongs to Service default/a already',
    }),
  );
});
