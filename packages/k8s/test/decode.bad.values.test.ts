import { describe, test } from 'vitest';
import { check, type Row } from './bad.ts';
import { cnp, ingress, netpol, pod, service, slices } from './texts.ts';

describe('Wrong types', () => {
  const rows: Row[] = [
    ['a list for a string', pod('spec: {nodeName: [a]}'), 'x.yaml:5:18: spec.nodeName: want a string, found a list'],
    [
      'a mapping for a list',
      cnp('  endpointSelector: {}\n  ingress: {}\n'),
      'x.yaml:7:12: spec.ingress: want a list, found a mapping',
    ],
    [
      'a list for a mapping',
      cnp('  endpointSelector: []\n'),
      'x.yaml:6:21: spec.endpointSelector: want a mapping, found a list',
    ],
    [
      'a string for a mapping',
      cnp('  endpointSelector: all\n'),
      'x.yaml:6:21: spec.endpointSelector: want a mapping, found "all"',
    ],
    [
      'nothing for an item of a list',
      ingress('    - fromEndpoints:\n        -\n'),
      'x.yaml:9:10: spec.ingress[0].fromEndpoints[0]: want a mapping, found nothing',
    ],
    [
      'nothing for the value of a label',
      pod('  labels:\n    a:\n'),
      'x.yaml:6:7: metadata.labels.a: want a string, found nothing',
    ],
    [
      'a number for the value of a label',
      pod('  labels: {version: 1.10}'),
      'x.yaml:5:21: metadata.labels.version: want a string, found the number 1.10; write it in quotes: "1.10"',
    ],
    [
      'true for the value of a label',
      pod('  labels: {canary: true}'),
      'x.yaml:5:20: metadata.labels.canary: want a string, found the boolean true; write it in quotes: "true"',
    ],
    [
      'yes, which YAML 1.1 takes for true',
      pod('  labels: {canary: yes}'),
      'x.yaml:5:20: metadata.labels.canary: want a string, found yes, which Kubernetes reads as a boolean; write it in quotes: "yes"',
    ],
    [
      'yes, whatever the directive says',
      `%YAML 1.1\n---\n${pod('  labels: {canary: yes}')}`,
      'x.yaml:7:20: metadata.labels.canary: want a string, found yes, which Kubernetes reads as a boolean; write it in quotes: "yes"',
    ],
    [
      'a string for a number',
      pod('spec: {containers: [{name: a, ports: [{containerPort: "80"}]}]}'),
      'x.yaml:5:55: spec.containers[0].ports[0].containerPort: want a number, found "80"',
    ],
    [
      'a string for true or false',
      pod('spec: {hostNetwork: "no"}'),
      'x.yaml:5:21: spec.hostNetwork: want true or false, found "no"',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Ports, protocols, words', () => {
  const rows: Row[] = [
    [
      'a number where Cilium wants a text',
      ingress('    - toPorts: [{ports: [{port: 80}]}]\n'),
      'x.yaml:8:33: spec.ingress[0].toPorts[0].ports[0].port: want a string, found the number 80; write it in quotes: "80"',
    ],
    [
      'a port of a NetworkPolicy that is too large',
      netpol('  podSelector: {}\n  ingress: [{ports: [{port: 70000}]}]\n'),
      'x.yaml:6:29: spec.ingress[0].ports[0].port: want a number from 1 to 65535, found the number 70000',
    ],
    [
      'a policy type that is none',
      netpol('  podSelector: {}\n  policyTypes: [ingress]\n'),
      'x.yaml:6:17: spec.policyTypes[0]: unknown value "ingress", did you mean "Ingress"?',
    ],
    [
      'a way to authenticate that the API server does not know',
      ingress('    - authentication: {mode: require}\n'),
      'x.yaml:8:30: spec.ingress[0].authentication.mode: unknown value "require", did you mean "required"?',
    ],
    [
      'an address block without its length, which only the agent takes',
      ingress('    - fromCIDR: [10.0.0.1]\n'),
      'x.yaml:8:18: spec.ingress[0].fromCIDR[0]: want a CIDR, with the length of its prefix, as in 10.0.0.0/8; found "10.0.0.1"',
    ],
    [
      'a name of a server with a star at its end',
      ingress('    - toPorts: [{serverNames: [a.io, "**.b.io", c.*]}]\n'),
      `x.yaml:8:49: spec.ingress[0].toPorts[0].serverNames[2]: "c.*" is no name of a server: want letters, digits, '-', '_' and dots; '*.' or '**.' only before them`,
    ],
    [
      'a listener without a name, and with a priority that is none',
      ingress('    - toPorts: [{listener: {priority: 0}}]\n'),
      'x.yaml:8:39: spec.ingress[0].toPorts[0].listener.priority: want a number from 1 to 100, found the number 0',
    ],
    [
      'a DNS rule about nothing',
      ingress('    - toPorts: [{rules: {dns: [{}]}}]\n'),
      'x.yaml:8:32: spec.ingress[0].toPorts[0].rules.dns[0]: missing required field "matchName" (or "matchPattern")',
    ],
    [
      'a port with a fraction',
      netpol('  podSelector: {}\n  ingress: [{ports: [{port: 80.5}]}]\n'),
      'x.yaml:6:29: spec.ingress[0].ports[0].port: want a plain whole number, found the number 80.5',
    ],
    [
      'a port of a pod that is a word',
      pod('spec: {containers: [{name: a, ports: [{containerPort: 80a}]}]}'),
      'x.yaml:5:55: spec.containers[0].ports[0].containerPort: want a number, found "80a"',
    ],
    [
      'port 0 of a service',
      service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 0}]\n'),
      'x.yaml:7:18: spec.ports[0].port: want a number from 1 to 65535, found the number 0',
    ],
    [
      'a protocol in small letters, which only Cilium allows',
      netpol('  podSelector: {}\n  ingress: [{ports: [{port: 80, protocol: tcp}]}]\n'),
      'x.yaml:6:43: spec.ingress[0].ports[0].protocol: unknown value "tcp", did you mean "TCP"?',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Names, labels, addresses', () => {
  const rows: Row[] = [
    [
      'a name with a capital',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: Shop}\n',
      `x.yaml:3:18: metadata.name: "Shop" is no DNS label: want lower-case letters, digits and '-', a letter or digit at both ends`,
    ],
    [
      'a namespace of a Namespace',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n',
      'x.yaml:3:32: metadata.namespace: this kind of object belongs to no namespace',
    ],
    [
      'an address of a node that is none',
      'apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus: {addresses: [{type: InternalIP, address: a.b}]}\n',
      'x.yaml:4:50: status.addresses[0].address: "a.b" is no IP address',
    ],
    [
      'a node with an identity of its own',
      'apiVersion: cilium.io/v2\nkind: CiliumNode\nmetadata: {name: a}\nspec: {nodeidentity: 300}\n',
      'x.yaml:4:22: spec.nodeidentity: nodes with an identity of their own are not modelled yet',
    ],
    [
      'an identity whose name is no number',
      'apiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: {name: web}\nsecurity-labels: {"k8s:a": b}\n',
      'x.yaml:3:18: metadata.name: want the number of an identity, 1 to 16777215',
    ],
    [
      'an identity with a label without source',
      'apiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: {name: "300"}\nsecurity-labels: {app: b}\n',
      'x.yaml:4:19: security-labels: want source:key, as k8s:app; found "app"',
    ],
    [
      'an identity of nobody',
      'apiVersion: cilium.io/v2\nkind: CiliumIdentity\nmetadata: {name: "300"}\nsecurity-labels: {}\n',
      'x.yaml:4:18: security-labels: an identity needs at least one label',
    ],
    [
      'an endpoint whose identity does not fit a packet',
      'apiVersion: cilium.io/v2\nkind: CiliumEndpoint\nmetadata: {name: a}\nstatus: {id: 1, identity: {id: 16777216}, networking: {node: 10.0.0.1}}\n',
      'x.yaml:4:32: status.identity.id: want a number from 1 to 16777215, found the number 16777216',
    ],
    [
      'a name of a service that starts with a digit',
      service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80}]\n').replace('name: web', 'name: 1web'),
      `x.yaml:3:18: metadata.name: "1web" is no service name: want lower-case letters, digits and '-', a letter or digit at both ends, a letter first`,
    ],
    [
      'a name that is too long',
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${'a'.repeat(64)}}\n`,
      'x.yaml:3:18: metadata.name: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is no DNS label: it is longer than 63 characters',
    ],
    [
      'a label key with a space',
      pod('  labels: {a b: c}'),
      `x.yaml:5:12: metadata.labels: "a b" is no label key: want letters, digits, '-', '_' and '.', a letter or digit at both ends`,
    ],
    [
      'a label key with a bad prefix',
      pod('  labels: {A/b: c}'),
      `x.yaml:5:12: metadata.labels: "A/b" is no label key: want a DNS name before the '/'`,
    ],
    [
      'a label key with two slashes',
      pod('  labels: {a/b/c: d}'),
      `x.yaml:5:12: metadata.labels: "a/b/c" is no label key: want letters, digits, '-', '_' and '.', a letter or digit at both ends`,
    ],
    [
      'a label key that is too long',
      pod(`  labels: {${'a'.repeat(64)}: b}`),
      'x.yaml:5:12: metadata.labels: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is no label key: 64 characters are too many, at most 63',
    ],
    [
      'a label value with a space',
      pod('  labels: {a: b c}'),
      `x.yaml:5:12: metadata.labels: "b c" is no label value: want letters, digits, '-', '_' and '.', a letter or digit at both ends`,
    ],
    [
      'a label value that is too long',
      pod(`  labels: {a: ${'b'.repeat(64)}}`),
      'x.yaml:5:12: metadata.labels: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" is no label value: it is longer than 63 characters',
    ],
    [
      'a port name that is too long',
      pod('spec: {containers: [{name: a, ports: [{containerPort: 80, name: averyveryverylongname}]}]}'),
      'x.yaml:5:65: spec.containers[0].ports[0].name: "averyveryverylongname" is no port name: it is longer than 15 characters',
    ],
    [
      'a port name without a letter',
      service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80, targetPort: "80"}]\n'),
      'x.yaml:7:34: spec.ports[0].targetPort: "80" is no port name: it needs a letter',
    ],
    [
      'an address with a part that is too large',
      pod('').replace('10.0.0.1', '10.0.0.256'),
      'x.yaml:6:17: status.podIP: "10.0.0.256" is no IP address',
    ],
    [
      'an address with a leading zero',
      pod('').replace('10.0.0.1', '010.0.0.1'),
      'x.yaml:6:17: status.podIP: "010.0.0.1" is no IP address',
    ],
    [
      'an IPv6 address with two gaps',
      pod('').replace('10.0.0.1', '"fd00::1::2"'),
      'x.yaml:6:17: status.podIP: "fd00::1::2" is no IP address',
    ],
    [
      'an IPv6 address of one link only',
      pod('').replace('10.0.0.1', '"fe80::1"'),
      'x.yaml:6:17: status.podIP: "fe80::1" is a linkLocal address and cannot be used here',
    ],
    [
      'an IPv6 address with a zone',
      pod('').replace('10.0.0.1', '"fd00::1%eth0"'),
      'x.yaml:6:17: status.podIP: "fd00::1%eth0" is a zoned address and cannot be used here',
    ],
    [
      'an IPv4 address in the form of IPv6',
      pod('').replace('10.0.0.1', '"::ffff:10.0.0.1"'),
      'x.yaml:6:17: status.podIP: "::ffff:10.0.0.1" is a ipv4Mapped address and cannot be used here',
    ],
    [
      'a loopback address',
      pod('').replace('10.0.0.1', '127.0.0.1'),
      'x.yaml:6:17: status.podIP: "127.0.0.1" is a loopback address and cannot be used here',
    ],
    [
      'a second address of the same family',
      pod('').replace('podIP: 10.0.0.1', 'podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]'),
      'x.yaml:6:35: status.podIPs: want at most one IPv4 and one IPv6 address',
    ],
    [
      'three addresses',
      pod('').replace('podIP: 10.0.0.1', 'podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}, {ip: "fd00::2"}]'),
      'x.yaml:6:35: status.podIPs: want at most one IPv4 and one IPv6 address',
    ],
    [
      'another address first',
      pod('').replace('podIP: 10.0.0.1', 'podIP: 10.0.0.1, podIPs: [{ip: "fd00::1"}, {ip: 10.0.0.1}]'),
      'x.yaml:6:35: status.podIPs: want podIP (10.0.0.1) first',
    ],
    [
      'addresses of a node whose first is not told',
      pod('').replace('podIP: 10.0.0.1', 'podIP: 10.0.0.1, hostIPs: [{ip: 192.168.1.1}]'),
      'x.yaml:6:36: status.hostIPs: want hostIP (none) first',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Several ports of a service', () => {
  const rows: Row[] = [
    [
      'no port',
      service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: []\n'),
      'x.yaml:7:10: spec.ports: want at least one port',
    ],
    [
      'ports without names',
      service('  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80}, {port: 81, name: b}]\n'),
      'x.yaml:7:11: spec.ports[0]: each of several ports needs a name',
    ],
    [
      'a port and a name twice',
      service(
        '  clusterIP: 10.96.0.1\n  selector: {a: b}\n  ports: [{port: 80, name: a}, {port: 80, name: a}, {port: 80, name: b, protocol: UDP}]\n',
      ),
      'x.yaml:7:39: spec.ports[1].port: port 80/TCP is there twice',
      'x.yaml:7:49: spec.ports[1].name: name a is there twice',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Addresses and policies of a service', () => {
  const spec = (...lines: string[]): string =>
    service(['ports: [{port: 80}]', ...lines].map((l) => `  ${l}\n`).join(''));
  const rows: Row[] = [
    [
      'a headless node port',
      service('  type: NodePort\n  clusterIP: None\n  ports: [{port: 80, nodePort: 30080}]\n'),
      'x.yaml:6:14: spec.clusterIP: a service of type NodePort cannot be headless',
    ],
    [
      'addresses in another order, and two of one family',
      spec('clusterIP: 10.96.0.2', 'clusterIPs: [10.96.0.1, 10.96.0.2]'),
      'x.yaml:7:15: spec.clusterIPs: want clusterIP (10.96.0.2) first',
      'x.yaml:7:15: spec.clusterIPs: want one address, or one of each family',
    ],
    [
      'families that are not those of the addresses',
      spec('clusterIP: 10.96.0.1', 'ipFamilies: [IPv6]'),
      'x.yaml:7:15: spec.ipFamilies: want the families of clusterIPs: IPv4',
    ],
    [
      'a node port that nobody reaches, and one that is missing',
      `${service('  clusterIP: 10.96.0.1\n  ports: [{port: 80, nodePort: 30080}]\n')}---\n${service('  type: NodePort\n  clusterIP: 10.96.0.2\n  ports: [{port: 80}]\n')}`,
      'x.yaml:6:32: spec.ports[0].nodePort: only with type NodePort or LoadBalancer',
      'x.yaml:14:11: spec.ports[0]: missing required field "nodePort": no API server gives one here',
    ],
    [
      'a node port twice',
      service(
        '  type: NodePort\n  clusterIP: 10.96.0.1\n  ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 81, nodePort: 30080}]\n',
      ),
      'x.yaml:7:79: spec.ports[1].nodePort: node port 30080/TCP is there twice',
    ],
    [
      'fields that need others',
      spec(
        'clusterIP: 10.96.0.1',
        'externalTrafficPolicy: Local',
        'loadBalancerSourceRanges: [10.0.0.0/8]',
        'sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}',
      ),
      'x.yaml:7:26: spec.externalTrafficPolicy: only where clients from outside can come: type NodePort or LoadBalancer, or externalIPs',
      'x.yaml:8:29: spec.loadBalancerSourceRanges: only with type LoadBalancer',
      'x.yaml:9:26: spec.sessionAffinityConfig: only with sessionAffinity ClientIP',
    ],
    [
      'values that are none',
      spec(
        'clusterIP: 10.96.0.1',
        'externalIPs: ["::ffff:10.0.0.1", fe80::1%eth0, 10.0.0]',
        'loadBalancerSourceRanges: [10.0.0.0]',
      ),
      'x.yaml:7:17: spec.externalIPs[0]: "::ffff:10.0.0.1" is a ipv4Mapped address and cannot be used here',
      'x.yaml:7:36: spec.externalIPs[1]: "fe80::1%eth0" is a zoned address and cannot be used here',
      'x.yaml:7:50: spec.externalIPs[2]: "10.0.0" is no IP address',
      'x.yaml:8:30: spec.loadBalancerSourceRanges[0]: "10.0.0.0" is no prefix, want for example 10.0.0.0/8',
    ],
    [
      'an algorithm that Cilium does not know',
      spec('clusterIP: 10.96.0.1').replace(
        'name: web',
        'name: web, annotations: {service.cilium.io/lb-algorithm: meglev}',
      ),
      'x.yaml:3:37: metadata.annotations: unknown value "meglev", want random or maglev, did you mean "maglev"?',
    ],
    [
      'an endpoint of the other family',
      slices('IPv6', '{addresses: [10.0.0.1]}'),
      'x.yaml:6:18: endpoints[0].addresses[0]: 10.0.0.1 is no IPv6 address',
    ],
  ];
  test.each(rows)('%s', check);
});
