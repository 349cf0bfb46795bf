/** Objects of the namespace default as YAML; a service has slices by its name. */

/** @param spec in one line. @param more of the metadata */
export const service = (name: string, spec: string, more = ''): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: ${name}${more}}, spec: {${spec}}}\n---\n`;
/** @param endpoints in one line. @param ports in one line */
export const slice = (name: string, endpoints: string, ports = '{port: 8080}', family = 'IPv4'): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}-1, labels: {kubernetes.io/service-name: ${name}}},
addressType: ${family}, endpoints: [${endpoints}], ports: [${ports}]}\n---\n`;
export const TWO = '{addresses: [10.0.0.1], nodeName: here}, {addresses: [10.0.0.2], nodeName: there}';
export const ready = (address: string): string => `{addresses: [${address}]}`;
export const terminating = (address: string, serving = true): string =>
  `{addresses: [${address}], conditions: {ready: false, serving: ${serving}, terminating: true}}`;

/** Where the first of TWO is. */
export const NODE = { nodeName: 'here', nodePortAddresses: ['192.168.1.1', 'fd00:1::1'] };
