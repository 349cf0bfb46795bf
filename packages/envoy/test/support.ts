import {
  encodeDiscoveryResponse,
  type HttpNetworkPolicyRules,
  isHttpLog,
  type NetworkPolicy,
  type PortNetworkPolicyRule,
  type ProxyAction,
  type ProxyConnection,
  ProxyCore,
} from '../src/index.ts';

export const SEED = 1;
/** Tue, 01 Jul 2025 00:00:00 GMT */
export const NOW = 1_751_328_000_000_000_000n;
export const ENDPOINT = 7;
export const EMPIRE = 1001;
export const ALLIANCE = 1002;
export const PORT = 80;

export const bytes = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, 'latin1'));
export const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1');

export const policyOf = (rules: readonly PortNetworkPolicyRule[], port = PORT): NetworkPolicy => ({
  endpointIps: ['10.0.0.7'],
  endpointId: ENDPOINT,
  ingressPerPortPolicies: [{ port, protocol: 'TCP', rules }],
});

export const httpRules = (...rules: { method?: string; path?: string; host?: string }[]): HttpNetworkPolicyRules => ({
  httpRules: rules.map(({ method, path, host }) => {
    const matchers = [
      [':method', method],
      [':path', path],
      [':authority', host],
    ] as const;
    return {
      headers: matchers.flatMap(([name, regex]) =>
        regex === undefined ? [] : [{ name, stringMatch: { safeRegex: { regex } } }],
      ),
    };
  }),
});

/** The empire may land, and nothing else. */
export const LANDING = policyOf([
  {
    name: 'deathstar',
    remotePolicies: [EMPIRE],
    httpRules: httpRules({ method: 'POST', path: '/v1/request-landing' }),
  },
]);

export const connection = (over: Partial<ProxyConnection> = {}): ProxyConnection => ({
  id: 1,
  endpointId: ENDPOINT,
  ingress: true,
  remoteIdentity: EMPIRE,
  localPort: PORT,
  source: { ip: 0x0a000009, port: 40000 },
  destination: { ip: 0x0a000007, port: PORT },
  ...over,
});

export function coreWith(...policies: NetworkPolicy[]): ProxyCore {
  const core = new ProxyCore({ seed: SEED });
  const answer = core.applyPolicy(encodeDiscoveryResponse('1', policies));
  if (!answer.ack) throw new Error(answer.reason);
  return core;
}

/** Actions as short texts: `<` to the client, `>` to the server, a log entry as `Denied PUT /x 403`. */
export function show(actions: readonly ProxyAction[]): string[] {
  const lines: string[] = [];
  for (const action of actions) {
    switch (action.type) {
      case 'upstream':
      case 'downstream': {
        const sign = action.type === 'upstream' ? '>' : '<';
        const last = lines.at(-1);
        if (last?.startsWith(sign)) lines[lines.length - 1] = last + text(action.bytes);
        else lines.push(sign + text(action.bytes));
        break;
      }
      case 'log': {
        const { record } = action;
        const words = isHttpLog(record) ? [record.method, record.path, record.status] : [];
        lines.push([record.entryType, ...words].filter((word) => word !== undefined && word !== '').join(' '));
        break;
      }
      default:
        lines.push(action.type);
    }
  }
  return lines;
}

export const seed = Number(process.env.CILIATE_SEED ?? Date.now() & 0x7fffffff);
