import { expect, test } from 'vitest';
import type { LoadBalancerConfig } from '../src/index.ts';
import { World } from './world.ts';
import { NODE, ready, service, slice, TWO, terminating } from './yaml.ts';

const scenarios: [name: string, yaml: string, want: string[], config?: Partial<LoadBalancerConfig>][] = [
  [
    'a cluster address is reached from inside alone',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]') + slice('a', TWO),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080'],
  ],
  [
    'without backends it is known all the same',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]'),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> '],
  ],
  [
    'each port has the backends that serve its name, with its protocol',
    service(
      'dns',
      'clusterIP: 10.96.0.1, ports: [{name: u, port: 53, protocol: UDP}, {name: t, port: 53}, {name: s, port: 54, protocol: SCTP}]',
    ) +
      slice(
        'dns',
        ready('10.0.0.1'),
        '{name: u, port: 1053, protocol: UDP}, {name: t, port: 1054}, {name: s, port: 1055}',
      ),
    [
      '10.96.0.1:53/TCP [ClusterIP, non-routable] -> 10.0.0.1:1054',
      '10.96.0.1:53/UDP [ClusterIP, non-routable] -> 10.0.0.1:1053',
      '10.96.0.1:54/SCTP [ClusterIP, non-routable] -> ',
    ],
  ],
  [
    'a port without a name is served by every port of its protocol',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]') +
      slice('a', ready('10.0.0.1'), '{name: c, port: 1}, {name: d, port: 2}'),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:1, 10.0.0.1:2'],
  ],
  [
    'a node port is there as the wildcard and at each address of the node',
    service('a', 'type: NodePort, clusterIP: 10.96.0.1, ports: [{port: 80, nodePort: 30080}]') +
      slice('a', ready('10.0.0.1')),
    [
      '0.0.0.0:30080/TCP [NodePort, non-routable] -> 10.0.0.1:8080',
      '10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:8080',
      '192.168.1.1:30080/TCP [NodePort] -> 10.0.0.1:8080',
    ],
  ],
  [
    'externalTrafficPolicy Local: clients from outside get the backends of this node, the others all',
    service(
      'a',
      'type: NodePort, clusterIP: 10.96.0.1, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]',
    ) + slice('a', TWO),
    [
      '0.0.0.0:30080/TCP [NodePort, Local, two-scopes, non-routable] -> 10.0.0.1:8080',
      '0.0.0.0:30080/TCP/i [NodePort, Local, two-scopes, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080',
      '10.96.0.1:80/TCP [ClusterIP, Local, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080',
      '192.168.1.1:30080/TCP [NodePort, Local, two-scopes] -> 10.0.0.1:8080',
      '192.168.1.1:30080/TCP/i [NodePort, Local, two-scopes] -> 10.0.0.1:8080, 10.0.0.2:8080',
    ],
  ],
  [
    'both policies Local: one scope, and only this node',
    service(
      'a',
      'type: LoadBalancer, clusterIP: 10.96.0.1, externalTrafficPolicy: Local, internalTrafficPolicy: Local, ports: [{port: 80}]',
    ).replace('}}\n', '}, status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}}}\n') + slice('a', TWO),
    [
      '10.96.0.1:80/TCP [ClusterIP, Local, InternalLocal, non-routable] -> 10.0.0.1:8080',
      '203.0.113.1:80/TCP [LoadBalancer, Local, InternalLocal] -> 10.0.0.1:8080',
    ],
  ],
  [
    'internalTrafficPolicy Local: a backend of which nobody says where it is counts as here',
    service('a', 'clusterIP: 10.96.0.1, internalTrafficPolicy: Local, ports: [{port: 80}]') +
      slice('a', `${TWO}, ${ready('10.0.0.3')}`),
    ['10.96.0.1:80/TCP [ClusterIP, InternalLocal, non-routable] -> 10.0.0.1:8080, 10.0.0.3:8080'],
  ],
  [
    'a load balancer with source ranges: those of each family with its address',
    service(
      'a',
      'type: LoadBalancer, clusterIP: 10.96.0.1, loadBalancerSourceRanges: [192.0.2.0/24, "2001:db8::/32"], ports: [{port: 80}]',
    ).replace('}}\n', '}, status: {loadBalancer: {ingress: [{ip: 203.0.113.1}, {hostname: x}, {ip: "fd00::1"}]}}}\n'),
    [
      '10.96.0.1:80/TCP [ClusterIP, non-routable, check source-range] from 192.0.2.0/24 -> ',
      '203.0.113.1:80/TCP [LoadBalancer, check source-range] from 192.0.2.0/24 -> ',
      '[fd00::1]:80/TCP [LoadBalancer, check source-range] from 2001:db8::/32 -> ',
    ],
    { ipv6: true },
  ],
  [
    'source ranges that are refused',
    service(
      'a',
      'type: LoadBalancer, clusterIP: 10.96.0.1, loadBalancerSourceRanges: [192.0.2.0/24], ports: [{port: 80}]',
      ', annotations: {service.cilium.io/src-ranges-policy: deny}',
    ),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable, check source-range, deny] from 192.0.2.0/24 -> '],
  ],
  [
    'external addresses have the external scope alone',
    service(
      'a',
      'clusterIP: 10.96.0.1, externalIPs: [198.51.100.1], externalTrafficPolicy: Local, ports: [{port: 80}]',
    ) + slice('a', TWO),
    [
      '10.96.0.1:80/TCP [ClusterIP, Local, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080',
      '198.51.100.1:80/TCP [ExternalIPs, Local, two-scopes] -> 10.0.0.1:8080',
    ],
  ],
  [
    'clients come back to active backends, for so many seconds',
    service('a', 'clusterIP: 10.96.0.1, sessionAffinity: ClientIP, ports: [{port: 80}]') +
      slice('a', `${ready('10.0.0.1')}, ${terminating('10.0.0.2')}`),
    [
      '10.96.0.1:80/TCP [ClusterIP, sessionAffinity, non-routable] timeout 10800 keeps 10.0.0.1:8080 -> 10.0.0.1:8080 | 10.0.0.2:8080 terminating',
    ],
  ],
  [
    'only terminating backends are left: those that still serve get the connections',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]') +
      slice('a', `${terminating('10.0.0.1', false)}, ${terminating('10.0.0.2')}`),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.2:8080 terminating'],
  ],
  [
    'two slices name one backend: it is active if one says so',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]') +
      slice('a', terminating('10.0.0.1')) +
      slice('a', ready('10.0.0.1')).replace('a-1', 'a-2'),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:8080'],
  ],
  ['a headless service has no frontend', service('a', 'clusterIP: None, ports: [{port: 80}]') + slice('a', TWO), []],
  [
    'nor has one that says it is headless',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]', ', labels: {service.kubernetes.io/headless: ""}'),
    [],
  ],
  [
    'a service is exposed by the type that its annotation names alone',
    service(
      'a',
      'type: NodePort, clusterIP: 10.96.0.1, ports: [{port: 80, nodePort: 30080}]',
      ', annotations: {service.cilium.io/type: ClusterIP}',
    ),
    ['10.96.0.1:80/TCP [ClusterIP, non-routable] -> '],
  ],
  [
    'both families',
    service(
      'a',
      'type: NodePort, clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], ports: [{port: 80, nodePort: 30080}]',
    ) +
      slice('a', ready('10.0.0.1')) +
      slice('a', ready('"fd00::1"'), '{port: 8080}', 'IPv6').replace('a-1', 'a-2'),
    [
      '0.0.0.0:30080/TCP [NodePort, non-routable] -> 10.0.0.1:8080',
      '10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:8080',
      '192.168.1.1:30080/TCP [NodePort] -> 10.0.0.1:8080',
      '[::]:30080/TCP [NodePort, non-routable] -> [fd00::1]:8080',
      '[fd00:1::1]:30080/TCP [NodePort] -> [fd00::1]:8080',
      '[fd00:96::1]:80/TCP [ClusterIP, non-routable] -> [fd00::1]:8080',
    ],
    { ipv6: true },
  ],
  [
    'a family that is off has no frontend',
    service('a', 'clusterIP: "fd00:96::1", ports: [{port: 80}]') + slice('a', ready('"fd00::1"'), '{port: 1}', 'IPv6'),
    [],
  ],
  [
    'Maglev: tables for addresses that are reached from outside, of the backends that get connections',
    service('a', 'type: NodePort, clusterIP: 10.96.0.1, ports: [{port: 80, nodePort: 30080}]') +
      slice('a', `${TWO}, ${terminating('10.0.0.3')}`),
    [
      '0.0.0.0:30080/TCP [NodePort, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080 | 10.0.0.3:8080 terminating',
      '10.96.0.1:80/TCP [ClusterIP, non-routable] -> 10.0.0.1:8080, 10.0.0.2:8080 | 10.0.0.3:8080 terminating',
      '192.168.1.1:30080/TCP [NodePort] maglev 10.0.0.1:8080 126, 10.0.0.2:8080 125 -> 10.0.0.1:8080, 10.0.0.2:8080 | 10.0.0.3:8080 terminating',
    ],
    { algorithm: 'maglev' },
  ],
  [
    'an algorithm per service: none for one that does not choose',
    service(
      'a',
      'clusterIP: 10.96.0.1, ports: [{port: 80}]',
      ', annotations: {service.cilium.io/lb-algorithm: maglev}',
    ) +
      service(
        'b',
        'clusterIP: 10.96.0.2, ports: [{port: 80}]',
        ', annotations: {service.cilium.io/lb-algorithm: random}',
      ) +
      service('c', 'clusterIP: 10.96.0.3, ports: [{port: 80}]') +
      slice('a', ready('10.0.0.1')),
    [
      '10.96.0.1:80/TCP [ClusterIP, non-routable] algorithm 2 maglev 10.0.0.1:8080 251 -> 10.0.0.1:8080',
      '10.96.0.2:80/TCP [ClusterIP, non-routable] algorithm 1 -> ',
      '10.96.0.3:80/TCP [ClusterIP, non-routable] -> ',
    ],
    { algorithmAnnotation: true },
  ],
  [
    'cluster addresses for everybody',
    service('a', 'clusterIP: 10.96.0.1, ports: [{port: 80}]') + slice('a', ready('10.0.0.1')),
    ['10.96.0.1:80/TCP [ClusterIP] maglev 10.0.0.1:8080 251 -> 10.0.0.1:8080'],
    { externalClusterIP: true, algorithm: 'maglev' },
  ],
];

test.each(scenarios)('%s', (_name, yaml, want, config) => {
  expect(new World({ ...NODE, ...config }).apply(yaml).frontends()).toEqual(want);
});

test('what is gone leaves nothing behind', () => {
  const world = new World({ ...NODE, ipv6: true, algorithm: 'maglev' });
  for (const [, yaml] of scenarios) {
    world.apply(yaml);
    for (const name of ['a', 'b', 'c', 'dns']) world.manager.deleteService('default', name);
    for (const name of ['a-1', 'a-2', 'dns-1']) world.manager.deleteEndpointSlice('default', name);
    world.manager.reconcile();
    expect(Object.entries(world.counts()).filter(([, count]) => count > 0)).toEqual([]);
  }
});
