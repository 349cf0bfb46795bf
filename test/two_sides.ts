/** Policies of a client and a server, with HTTP rules at either side. */
const http = (...paths: string[]): string =>
  `[{ ports: [{ port: "80", protocol: TCP }], rules: { http: [${paths.map((path) => `{ path: ${path} }`).join()}] } }]`;
export const policy = (app: string, spec: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${app} }
spec:
  endpointSelector: { matchLabels: { app: ${app} } }
  ${spec}
---`;
export const egress = (...paths: string[]): string =>
  policy('client', `egress: [{ toEndpoints: [{ matchLabels: { app: server } }], toPorts: ${http(...paths)} }]`);
export const ingress = (...paths: string[]): string =>
  policy('server', `ingress: [{ fromEndpoints: [{ matchLabels: { app: client } }], toPorts: ${http(...paths)} }]`);
export const closed = policy('server', 'ingress: [{}]');
