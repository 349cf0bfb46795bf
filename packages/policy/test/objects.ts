import { decodeObjects, type PolicyObject } from '@ciliate/k8s';
import { DEFAULT_POLICY_CONFIG, type PolicyConfig } from '../src/config.ts';
import { PolicyError } from '../src/errors.ts';
import type { PeerRule, PortProtocol, Rule } from '../src/index.ts';
import { parsePolicy, type ServiceView } from '../src/k8s/parse.ts';

// Policy objects from YAML, decoded as an agent decodes what the API server gives it.

/** @param text one document, YAML or JSON; positions name it `p.yaml` */
export function policyOf(text: string): PolicyObject {
  const [object] = decodeObjects(text, 'p.yaml', { unknownFields: 'ignore' });
  switch (object?.kind) {
    case 'NetworkPolicy':
    case 'CiliumNetworkPolicy':
    case 'CiliumClusterwideNetworkPolicy':
      return object;
    default:
      throw new Error(`want a policy, found ${object?.kind}`);
  }
}

/** Lines 1 to 3 of every policy below; the rest begins on line 4. */
const head = (kind: string, metadata: string): string =>
  `apiVersion: ${kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : 'cilium.io/v2'}\nkind: ${kind}\nmetadata: ${metadata}\n`;

const IN_DEFAULT = '{ name: p, namespace: default }';

/** A CiliumNetworkPolicy in namespace `default`. @param spec in flow style, on line 4 */
export const cnp = (spec: string): PolicyObject =>
  policyOf(`${head('CiliumNetworkPolicy', IN_DEFAULT)}spec: { endpointSelector: {}, ${spec} }\n`);
/** The same with the subject left out. */
export const cnpOf = (rest: string): PolicyObject => policyOf(`${head('CiliumNetworkPolicy', IN_DEFAULT)}${rest}\n`);
export const ccnp = (spec: string): PolicyObject =>
  policyOf(`${head('CiliumClusterwideNetworkPolicy', '{ name: p }')}spec: { ${spec} }\n`);
export const networkPolicy = (spec: string, metadata = IN_DEFAULT): PolicyObject =>
  policyOf(`${head('NetworkPolicy', metadata)}spec: { podSelector: {}, ${spec} }\n`);

export interface Given {
  readonly config?: Partial<PolicyConfig>;
  readonly services?: readonly ServiceView[];
}

export const rulesOf = (object: PolicyObject, { config = {}, services = [] }: Given = {}): Rule[] =>
  parsePolicy(object, { config: { ...DEFAULT_POLICY_CONFIG, ...config }, services });

/** @throws if the policy is accepted */
export function refusalOf(object: PolicyObject, given?: Given): PolicyError {
  try {
    rulesOf(object, given);
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

/** `nobody`, or the texts of the selectors and names. */
export const peersOf = ({ peers }: PeerRule): string | string[] =>
  peers === undefined
    ? 'nobody'
    : [...peers.endpoints, ...peers.others, ...peers.fqdns].map((one) =>
        'key' in one ? one.key : one.matchName || one.matchPattern,
      );

/** Ports as `80/TCP`, `80-90/ANY`, a list for each port rule. */
export const portsOf = ({ toPorts }: PeerRule): string[] =>
  toPorts.map(({ ports }) => ports.map(portText).join(' ') || 'none');

const portText = ({ port, endPort, protocol }: PortProtocol): string =>
  `${port}${endPort === 0 ? '' : `-${endPort}`}/${protocol}`;
