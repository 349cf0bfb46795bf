import { describe, test } from 'vitest';
import { check, type Row } from './bad.ts';
import { cnp, ingress, netpol, pod, service, slices } from './texts.ts';

describe('Misplaced and misspelt fields', () => {
  const rows: Row[] = [
    [
      'matchLables',
      cnp('  endpointSelector:\n    matchLables: {a: b}\n'),
      'x.yaml:7:5: spec.endpointSelector: unknown field "matchLables", did you mean "matchLabels"?',
    ],
    [
      'toPorts indented under fromEndpoints',
      ingress('    - fromEndpoints:\n        - matchLabels: {org: empire}\n          toPorts: []\n'),
      'x.yaml:10:11: spec.ingress[0].fromEndpoints[0]: unknown field "toPorts"; it belongs one level out, in spec.ingress[0]',
    ],
    [
      'ingress indented under endpointSelector',
      cnp('  endpointSelector:\n    matchLabels: {a: b}\n    ingress: []\n'),
      'x.yaml:8:5: spec.endpointSelector: unknown field "ingress"; it belongs one level out, in spec',
    ],
    [
      'spec indented under metadata',
      pod('  spec: {}'),
      'x.yaml:5:3: metadata: unknown field "spec"; it belongs one level out, at the top of the object',
    ],
    [
      'rules indented under ports',
      ingress('    - toPorts:\n        - ports:\n            - port: "80"\n              rules: {}\n'),
      'x.yaml:11:15: spec.ingress[0].toPorts[0].ports[0]: unknown field "rules"; it belongs one level out, in spec.ingress[0].toPorts[0]',
    ],
    [
      'description indented under fromEndpoints',
      ingress('    - fromEndpoints:\n        - description: x\n'),
      'x.yaml:9:11: spec.ingress[0].fromEndpoints[0]: unknown field "description"; it belongs two levels out, in spec',
    ],
    [
      'matchLabels without its selector',
      cnp('  matchLabels: {a: b}\n'),
      'x.yaml:6:3: spec: unknown field "matchLabels"; it belongs one level in, in spec.endpointSelector or spec.nodeSelector',
    ],
    [
      'http without rules',
      ingress('    - toPorts:\n        - ports: []\n          http: []\n'),
      'x.yaml:10:11: spec.ingress[0].toPorts[0]: unknown field "http"; it belongs one level in, in spec.ingress[0].toPorts[0].rules',
    ],
    [
      'a field of the spec at the top',
      'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec: {endpointSelector: {}}\ningress: []\n',
      'x.yaml:5:1: unknown field "ingress"; it belongs one level in, in spec or specs[]',
    ],
    [
      'a name that has two places further in',
      netpol('  podSelector: {}\n  ingress:\n    - matchLabels: {a: b}\n'),
      'x.yaml:7:7: spec.ingress[0]: unknown field "matchLabels"; it belongs two levels in, in spec.ingress[0].from[].podSelector or spec.ingress[0].from[].namespaceSelector',
    ],
    [
      'a misspelt field of an object around',
      ingress('    - fromEndpoints:\n        - toPort: []\n'),
      'x.yaml:9:11: spec.ingress[0].fromEndpoints[0]: unknown field "toPort", did you mean "toPorts"? It belongs one level out, in spec.ingress[0]',
    ],
    [
      'a misspelt field that is required is not missing as well',
      cnp('  endpointSelecter: {}\n'),
      'x.yaml:6:3: spec: unknown field "endpointSelecter", did you mean "endpointSelector"?',
    ],
    ['a field like no other', ingress('    - banana: []\n'), 'x.yaml:8:7: spec.ingress[0]: unknown field "banana"'],
    [
      'a field with a line break and a line separator',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, "x\\ny\\u2028": b}\n',
      'x.yaml:3:21: metadata: unknown field "x\\ny\\u2028"',
    ],
    [
      'a field named after what every JavaScript object has',
      ingress('    - constructor: []\n      __proto__: []\n'),
      'x.yaml:8:7: spec.ingress[0]: unknown field "constructor"',
      'x.yaml:9:7: spec.ingress[0]: unknown field "__proto__"',
    ],
    [
      'an unknown field of a container',
      pod('spec: {containers: [{name: a, imagePullPolice: Always}]}'),
      'x.yaml:5:31: spec.containers[0]: unknown field "imagePullPolice", did you mean "imagePullPolicy"?',
    ],
    [
      'toFQDNs in a deny rule, where Cilium has none',
      cnp('  endpointSelector: {}\n  egressDeny:\n    - toFQDNs: [{matchName: a.io}]\n'),
      'x.yaml:8:7: spec.egressDeny[0]: unknown field "toFQDNs"',
    ],
    [
      'L7 rules in a deny rule',
      cnp('  endpointSelector: {}\n  ingressDeny:\n    - toPorts: [{rules: {http: []}}]\n'),
      'x.yaml:8:18: spec.ingressDeny[0].toPorts[0]: unknown field "rules"',
    ],
    [
      'a peer of the other direction',
      ingress('    - toEndpoints: []\n'),
      'x.yaml:8:7: spec.ingress[0]: unknown field "toEndpoints", did you mean "fromEndpoints"?',
    ],
    [
      'a required field is missing',
      'apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: a}\n',
      'x.yaml:1:1: missing required field "spec"',
    ],
    [
      'a policy without spec and specs',
      'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\n',
      'x.yaml:1:1: missing required field "spec" (or "specs")',
    ],
    [
      'a pod without an address',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {phase: Running}\n',
      'x.yaml:4:9: status: missing required field "podIP": no scheduler gives pods an address here, so write status.podIP',
    ],
  ];
  test.each(rows)('%s', check);
});

describe('Known, but not modelled yet', () => {
  const rows: Row[] = [
    [
      'a host pod with a host port',
      pod('spec:\n  hostNetwork: true\n  containers: [{name: a, ports: [{containerPort: 80, hostPort: 80}]}]'),
      'x.yaml:6:16: spec.hostNetwork: pods in the network of their host are not modelled yet',
      'x.yaml:7:54: spec.containers[0].ports[0].hostPort: ports of the host are not modelled yet',
    ],
    [
      'a pod that has ended',
      pod('').replace('{podIP', '{phase: Succeeded, podIP'),
      'x.yaml:6:17: status.phase: pods that have ended are not modelled yet',
    ],
    [
      'a pod that is not ready',
      pod('').replace('{podIP', '{conditions: [{type: Ready, status: "False"}], podIP'),
      'x.yaml:6:45: status.conditions[0].status: pods that are not ready are not modelled yet',
    ],
    [
      'an object that is being deleted',
      pod('  deletionTimestamp: "2025-05-01T00:00:00Z"'),
      'x.yaml:5:3: metadata.deletionTimestamp: objects that are being deleted are not modelled yet',
    ],
    [
      'an annotation of Cilium',
      pod('  annotations: {policy.cilium.io/no-track-port: "80"}'),
      'x.yaml:5:17: metadata.annotations: annotation "policy.cilium.io/no-track-port" is not modelled yet',
    ],
    [
      'another type of service',
      service('  type: ExternalName\n  clusterIP: 10.96.0.1\n  externalName: a.io\n  ports: [{port: 80}]\n'),
      'x.yaml:5:9: spec.type: services of type ExternalName are not modelled yet',
      'x.yaml:7:3: spec.externalName: external names are not modelled yet',
    ],
    [
      'fields of a service',
      service(
        '  clusterIP: 10.96.0.1\n  ports: [{port: 80}]\n  publishNotReadyAddresses: true\n  trafficDistribution: PreferClose\n',
      ),
      'x.yaml:7:29: spec.publishNotReadyAddresses: pods that are not ready are not modelled yet',
      'x.yaml:8:3: spec.trafficDistribution: a preference among backends is not modelled yet',
    ],
    [
      'an annotation of a service',
      service('  clusterIP: 10.96.0.1\n  ports: [{port: 80}]\n').replace(
        'name: web',
        'name: web, annotations: {service.cilium.io/forwarding-mode: dsr}',
      ),
      'x.yaml:3:37: metadata.annotations: annotation "service.cilium.io/forwarding-mode" is not modelled yet',
    ],
    [
      'names for endpoints',
      slices('FQDN', '{addresses: [10.0.0.1]}'),
      'x.yaml:4:14: addressType: endpoints with names are not modelled yet',
    ],
  ];
  test.each(rows)('%s', check);
});
